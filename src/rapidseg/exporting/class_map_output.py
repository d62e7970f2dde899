"""Gives a model file class maps as its output, for programs that cannot compute them from logits."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.engines.engine import INPUT, OUTPUT

CLASS_MAP = "class_map"


def add_class_map(file: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Returns a copy of a model file whose output is `class_map`, (batch, height, width) uint8, in place of `logits`.

    Logits are upsampled to the size of the image as in prediction, then the class of the largest is taken; of equal
    ones, the first.

    Args:
        file: a model file, dynamic, with the output `logits`; it is not changed.
        spec: gives `align_corners`.
    """
    copied = onnx.ModelProto()
    copied.CopyFrom(file)
    graph = copied.graph
    alignment = "align_corners" if spec.align_corners else "half_pixel"
    graph.node.extend(
        [
            helper.make_node("Shape", [OUTPUT], ["class_map.channels"], "class_map.Shape", start=0, end=2),
            helper.make_node("Shape", [INPUT], ["class_map.size_hw"], "class_map.Shape_1", start=1, end=3),
            helper.make_node(
                "Concat", ["class_map.channels", "class_map.size_hw"], ["class_map.sizes"], "class_map.Concat", axis=0
            ),
            helper.make_node(
                "Resize",
                [OUTPUT, "", "", "class_map.sizes"],
                ["class_map.logits"],
                "class_map.Resize",
                mode="linear",
                coordinate_transformation_mode=alignment,
            ),
            helper.make_node(
                "ArgMax", ["class_map.logits"], ["class_map.indices"], "class_map.ArgMax", axis=1, keepdims=0
            ),
            helper.make_node("Cast", ["class_map.indices"], [CLASS_MAP], "class_map.Cast", to=TensorProto.UINT8),
        ]
    )
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(CLASS_MAP, TensorProto.UINT8, ["batch", "height", "width"]))
    onnx.checker.check_model(copied, full_check=True)
    return copied
