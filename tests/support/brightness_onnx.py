"""A model file that knows the classes of `block_scenes` by their brightness, and may be too fine for INT8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rapidseg.core.labels import CITYSCAPES
from rapidseg.core.spec import SPEC_KEY, ModelSpec

CLASSES = (0, 9, 18)  # of the 19, so far apart that the rounding of INT8 moves few pixels from one to another
STRIDE = 4
LOUD = 1000  # a channel that nobody needs; 256 steps for it and for brightness together leave brightness none


def write_brightness_onnx(path: Path, *, quiet: int = 1, loud: int = 0) -> Path:
    """Writes convolutions in a row: brightness, layers that hand it on, and a class for each brightness.

    Args:
        path: the file.
        quiet: how many layers hand brightness on and nothing else.
        loud: how many of the layers behind them get a loud channel beside it, and so cannot be INT8; their names begin
            with `loud`, but for the last, which is `classifier`.
    """
    spec = ModelSpec(architecture="brightness", labels=CITYSCAPES, mean=(0, 0, 0), std=(255, 255, 255), stride=STRIDE)
    levels = (np.array(CLASSES) * 12 + 15) / 255
    weights = {
        "brightness": np.full((1, 3, 5, 5), 1 / 75),
        **{f"quiet.{index}": np.ones((1, 1, 1, 1)) for index in range(quiet)},
    }
    if loud:
        weights["louder"] = np.array([1, LOUD]).reshape(2, 1, 1, 1)
        weights |= {f"loud.{index}": np.eye(2).reshape(2, 2, 1, 1) for index in range(loud - 1)}
    # The nearest level is that of the largest 2 * level * brightness - level ** 2.
    classifier = np.zeros((CITYSCAPES.num_classes, 2 if loud else 1, 1, 1))
    classifier[list(CLASSES), 0, 0, 0] = 2 * levels
    weights["classifier"] = classifier
    bias = np.full(CITYSCAPES.num_classes, -9.0)
    bias[list(CLASSES)] = -(levels**2)
    biases = {"classifier": bias}

    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], "normalization.Transpose", perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["floats"], "normalization.Cast", to=TensorProto.FLOAT),
        helper.make_node("Div", ["floats", "std"], ["normalized"], "normalization.Div"),
    ]
    stored = [numpy_helper.from_array(np.full((1, 3, 1, 1), 255, np.float32), "std")]
    tensor = "normalized"
    for name, weight in weights.items():
        for kind, numbers in (("weight", weight), ("bias", biases.get(name, np.zeros(len(weight))))):
            stored.append(numpy_helper.from_array(numbers.astype(np.float32), f"{name}.{kind}"))
        side, stride = weight.shape[2], STRIDE if name == "brightness" else 1
        output = "logits" if name == "classifier" else f"{name}.convolved"
        nodes.append(
            helper.make_node(
                "Conv",
                [tensor, f"{name}.weight", f"{name}.bias"],
                [output],
                f"node.{name}",
                strides=[stride, stride],
                pads=[side // 2] * 4,
            )
        )
        if name != "classifier":
            tensor = f"{name}.output"
            nodes.append(helper.make_node("Relu", [output], [tensor], f"relu.{name}"))
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", "height", "width", 3])],
        [
            helper.make_tensor_value_info(
                "logits", TensorProto.FLOAT, ["batch", CITYSCAPES.num_classes, "logits_height", "logits_width"]
            )
        ],
        stored,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, {SPEC_KEY: spec.to_json()})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    return path
