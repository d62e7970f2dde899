"""A model file that classifies `block_scenes` by brightness, optionally with layers that INT8 cannot represent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rapidseg.core.labels import CITYSCAPES
from rapidseg.core.spec import SPEC_KEY, ModelSpec

CLASSES = (0, 9, 18)  # so far apart that INT8 rounding changes the class of few pixels
STRIDE = 4
LOUD = 1000  # of an unused channel; sharing 256 steps with it leaves none for brightness


def write_brightness_onnx(path: Path, *, quiet: int = 1, loud: int = 0) -> Path:
    """Writes a chain of convolutions: brightness, layers that pass it on, and a classifier.

    Args:
        path: the file to write.
        quiet: number of layers that pass on brightness only.
        loud: number of following layers, including the classifier, that have an additional channel of large values,
            which INT8 cannot represent together with brightness; their names start with `loud`, except `classifier`.
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
