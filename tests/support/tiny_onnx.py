"""A model file with our inputs, outputs and metadata, written in milliseconds without PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rapidseg.core.labels import CAMVID, LabelSet
from rapidseg.core.spec import SPEC_KEY, ModelSpec, Quantization

STRIDE = 8


# As an INT8 file states it.
QUANTIZATION = Quantization(
    dataset="camvid",
    calibration_split="train",
    calibration_images=100,
    validation_split="val",
    mean_iou_float32=0.62,
    mean_iou=0.617,
    agreement=0.994,
    kept=("classifier",),
)


def tiny_spec(labels: LabelSet = CAMVID, **changes: object) -> ModelSpec:
    """Returns a specification of stride 8; `changes` are other fields."""
    values: dict[str, object] = {"architecture": "tiny", "labels": labels, "stride": STRIDE}
    return ModelSpec.model_validate(values | changes)


def write_tiny_onnx(path: Path, spec: ModelSpec | None = None, *, with_spec: bool = True, seed: int = 0) -> Path:
    """Writes a 9x9 convolution of stride 8 over normalized RGB: `image` uint8 NHWC in, `logits` NKhw out."""
    spec = spec or tiny_spec()
    weights = np.random.default_rng(seed).normal(0, 0.1, (spec.labels.num_classes, 3, 9, 9)).astype(np.float32)
    mean = np.array(spec.mean, np.float32).reshape(1, 3, 1, 1)
    std = np.array(spec.std, np.float32).reshape(1, 3, 1, 1)
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["planes", "mean"], ["centered"]),
        helper.make_node("Div", ["centered", "std"], ["normalized"]),
        helper.make_node("Conv", ["normalized", "weights"], ["logits"], strides=[STRIDE, STRIDE], pads=[4, 4, 4, 4]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "height", "width", 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", spec.labels.num_classes, "h", "w"])],
        [
            numpy_helper.from_array(mean, "mean"),
            numpy_helper.from_array(std, "std"),
            numpy_helper.from_array(weights, "weights"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if with_spec:
        helper.set_model_props(model, {"other": "entry", SPEC_KEY: spec.to_json()})
    onnx.save(model, str(path))
    return path
