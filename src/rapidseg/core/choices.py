"""Names that arguments and command-line options choose from: one definition for both.

`device` is not among them: it is open, since engines take names such as `cuda:1` and `gpu.0`.
"""

from __future__ import annotations

from typing import Literal

EngineName = Literal["openvino", "onnxruntime", "torch"]
"""An engine that runs model files."""

EngineChoice = Literal["auto", "openvino", "onnxruntime", "torch"]
"""An engine, or the one that `load` selects."""

PrecisionName = Literal["float32", "bf16", "fp16", "int8"]
"""A precision in which a network is computed."""

PrecisionChoice = Literal["auto", "float32", "bf16", "fp16", "int8"]
"""A precision, or the one that `load` selects."""

ExportPrecision = Literal["float32", "int8"]
"""A precision of the file that `export` writes."""

OutputKind = Literal["logits", "class-map"]
"""What a file that `export` writes returns for an image."""

SaveKind = Literal["class-map", "overlay", "confidence"]
"""What can be drawn of a result."""

ProtocolName = Literal["whole", "sliding", "multi-scale"]
"""How evaluation shows images to the network."""

ClassMappingName = Literal["cityscapes-to-camvid"]
"""A known mapping from the classes of a model to those of a data set."""

Baseline = Literal["eager"]
"""What `benchmark` compares with."""

TrainingDevice = Literal["auto", "cpu", "cuda"]
"""A device to train on."""

MaskKind = Literal["labelIds", "labelTrainIds", "instanceIds", "instanceTrainIds"]
"""A mask that `prepare_data` draws."""
