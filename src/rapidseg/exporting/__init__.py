"""Exports models to files that run anywhere, in float32 or INT8."""

from rapidseg.exporting.int8.quantization import QuantizationReport, quantize_onnx
from rapidseg.exporting.onnx_export import ExportReport, export_onnx
from rapidseg.exporting.specialization import SpecializationReport, specialize_onnx
from rapidseg.exporting.verification import Check

__all__ = [
    "Check",
    "ExportReport",
    "QuantizationReport",
    "SpecializationReport",
    "export_onnx",
    "quantize_onnx",
    "specialize_onnx",
]
