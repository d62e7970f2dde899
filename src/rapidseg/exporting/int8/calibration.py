"""Makes INT8 graphs: NNCF calibrates them, and all engines compute them alike.

An INT8 graph is an ordinary ONNX graph with weights stored as int8, and a pair of QuantizeLinear and DequantizeLinear
in front of each layer that an engine may compute in INT8. The standard defines its values; engines replace the pairs by
integer arithmetic.
"""

from __future__ import annotations

import os

import numpy as np
import onnx
from onnx import numpy_helper

from rapidseg.core.errors import ExportError
from rapidseg.core.progress import SILENT, Progress
from rapidseg.core.quiet import quiet_libraries
from rapidseg.core.spec import ModelSpec
from rapidseg.data import Sample
from rapidseg.exporting.int8.layers import layer_nodes
from rapidseg.exporting.network_images import NetworkImages
from rapidseg.runtime.engines.base import NORMALIZED


def quantize_graph(network: onnx.ModelProto, images: NetworkImages, *, progress: Progress = SILENT) -> onnx.ModelProto:
    """Puts every convolution, and every sum of convolutions, into INT8.

    Nothing else is quantized. Normalization has to stay as it is for engines that split it off. Pooling and resizing,
    which are matrix products and interpolation, would lose accuracy and save no time.

    Weights are symmetric, with a scale for each output channel, and use half of their range: processors without VNNI
    add products in 16 bits, which the whole range would overflow. Activations are unsigned, with one scale per layer.
    Their range is from the smallest to the largest value seen, and for `normalized` that of all bytes.

    Args:
        network: a model file that is not quantized, with equal channels (`equalize_channels`).
        images: to calibrate on; read anew for each of NNCF's passes.
        progress: told after each image of each pass.

    Raises:
        ExportError: the network has no layer that can be INT8.
    """
    os.environ.setdefault("NNCF_CI", "1")  # or it would send usage data to its makers
    import nncf
    from nncf.quantization.advanced_parameters import (
        AdvancedQuantizationParameters,
        OverflowFix,
        QuantizationParameters,
    )
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    chosen = {node.name for node in layer_nodes(network).values()}
    if not chosen:
        raise ExportError("the file has no convolution with stored weights, so nothing in it can be INT8")
    # ReLU is not ignored, or NNCF would put a pair between a convolution and its ReLU.
    ignored = [node.name for node in network.graph.node if node.name not in chosen and node.op_type != "Relu"]
    passes = 2 * len(images)  # one for the ranges, one to correct biases
    done = 0

    def feed(sample: Sample) -> dict[str, np.ndarray]:
        nonlocal done
        done += 1
        progress.update("calibrating", min(done, passes), passes)
        return {"image": images.prepare(sample)}

    with quiet_libraries(stdout=True):  # NNCF's notes and progress bars
        quantized: onnx.ModelProto = nncf.quantize(
            network,
            nncf.Dataset(images.dataset, feed),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(images),
            fast_bias_correction=True,
            ignored_scope=nncf.IgnoredScope(names=ignored),
            advanced_parameters=AdvancedQuantizationParameters(
                overflow_fix=OverflowFix.ENABLE,
                activations_quantization_params=QuantizationParameters(per_channel=False),
                # NNCF's default, the mean of each image's largest value, clips what is bright in few images.
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
            ),
        )
    del quantized.graph.value_info[:]
    _make_unsigned(quantized.graph)
    _widen_to_all_bytes(quantized.graph, images.spec)
    return quantized


def _make_unsigned(graph: onnx.GraphProto) -> None:
    """Makes all activations uint8, which changes no value: the zero point moves with the range.

    OpenVINO 2026.4 computes wrong values for int8 activations that come from a concatenation of resized tensors.
    """
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "QuantizeLinear":
            zero_point = numpy_helper.to_array(stored[node.input[2]])
            moved = (zero_point.astype(np.int16) - np.iinfo(zero_point.dtype).min).astype(np.uint8)
            stored[node.input[2]].CopyFrom(numpy_helper.from_array(moved, node.input[2]))


def _widen_to_all_bytes(graph: onnx.GraphProto, spec: ModelSpec) -> None:
    """Gives the pair behind `normalized` the range of all normalized bytes."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    mean, std = np.array(spec.mean), np.array(spec.std)
    lowest, highest = (-mean / std).min(), ((255 - mean) / std).max()
    scale = np.float32((highest - lowest) / 255)
    zero_point = np.uint8(np.rint(-lowest / scale).clip(0, 255))
    for node in graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] == NORMALIZED:
            stored[node.input[1]].CopyFrom(numpy_helper.from_array(np.asarray(scale), node.input[1]))
            stored[node.input[2]].CopyFrom(numpy_helper.from_array(np.asarray(zero_point), node.input[2]))
