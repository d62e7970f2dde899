"""Builds the ONNX graph of a model file: bytes of an image in, logits out."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from rapidseg.core.errors import ExportError, InputError
from rapidseg.core.quiet import quiet_libraries
from rapidseg.core.spec import SPEC_KEY, ModelSpec
from rapidseg.imaging import MINIMUM_SIDE
from rapidseg.models import SegmentationModel

# Opset 18 is the lowest that the exporter writes, and it has every operator we need; ONNX Runtime and OpenVINO have
# supported it since early 2023. IR version 8 came with it.
OPSET_VERSION = 18
IR_VERSION = 8

MAX_BATCH = 1 << 16
MAX_SIDE = 1 << 16  # pixels; the exporter needs bounds, and these are far above what memory allows


def build_graph(model: SegmentationModel, spec: ModelSpec) -> onnx.ModelProto:
    """Traces a model and puts normalization before it.

    The graph's input `image` is uint8 (batch, height, width, 3) RGB, its output `logits` float32 (batch, classes,
    logits_height, logits_width). The network's own input, float32 (batch, 3, height, width), is the tensor
    `normalized`. The specification is in the metadata.

    Args:
        model: on the CPU, in float32 and in evaluation mode.
        spec: stored in the file; `mean` and `std` go into the graph.

    Raises:
        ExportError: the model cannot be traced with a dynamic batch, height and width.
        InputError: `spec` names another number of classes than the model has logits.
    """
    network = _trace(model)
    output_dims = network.graph.output[0].type.tensor_type.shape.dim
    num_classes = output_dims[1].dim_value
    if num_classes != spec.labels.num_classes:
        raise InputError(
            f"the model has logits for {num_classes} classes, but its specification names "
            f"{spec.labels.num_classes}; pass the model's own labels"
        )
    nodes, initializers = _normalization(spec)
    graph = helper.make_graph(
        [*nodes, *network.graph.node],
        name=spec.architecture,
        inputs=[helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", "height", "width", 3])],
        outputs=[
            helper.make_tensor_value_info(
                "logits", TensorProto.FLOAT, ["batch", num_classes, "logits_height", "logits_width"]
            )
        ],
        initializer=[*initializers, *network.graph.initializer],
    )
    # The exporter annotates every node with its source lines, which are of no use to readers of the file.
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for tensor in graph.initializer:
        del tensor.metadata_props[:]
        tensor.doc_string = ""
    file = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET_VERSION)],
        ir_version=IR_VERSION,
        producer_name="rapidseg",
    )
    helper.set_model_props(file, {SPEC_KEY: spec.to_json()})
    onnx.checker.check_model(file, full_check=True)
    return file


def _trace(model: SegmentationModel) -> onnx.ModelProto:
    """Traces the network alone, from `normalized` to `logits`."""
    batch, height, width = (
        torch.export.Dim("batch", min=1, max=MAX_BATCH),
        torch.export.Dim("height", min=MINIMUM_SIDE, max=MAX_SIDE),
        torch.export.Dim("width", min=MINIMUM_SIDE, max=MAX_SIDE),
    )
    # Sides must differ from each other and from 1, or the exporter specializes on them.
    example = torch.zeros(2, 3, 97, 161)
    try:
        with quiet_libraries(stdout=True, stderr=True), torch.no_grad():
            program = torch.onnx.export(
                model,
                (example,),
                dynamo=True,
                dynamic_shapes=({0: batch, 2: height, 3: width},),
                input_names=["normalized"],
                output_names=["logits"],
                opset_version=OPSET_VERSION,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise ExportError(
            f"{model.spec.architecture} cannot be exported with a dynamic batch, height and width: {reason}"
        ) from error
    assert program is not None  # it is None only for the older exporter
    return program.model_proto


def _normalization(spec: ModelSpec) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Returns the nodes from `image` to `normalized` and their constants."""
    mean = np.asarray(spec.mean, np.float32).reshape(1, 3, 1, 1)
    std = np.asarray(spec.std, np.float32).reshape(1, 3, 1, 1)
    nodes = [
        helper.make_node(
            "Transpose", ["image"], ["normalization.planes"], "normalization.Transpose", perm=[0, 3, 1, 2]
        ),
        helper.make_node(
            "Cast", ["normalization.planes"], ["normalization.float"], "normalization.Cast", to=TensorProto.FLOAT
        ),
        helper.make_node(
            "Sub", ["normalization.float", "normalization.mean"], ["normalization.centered"], "normalization.Sub"
        ),
        helper.make_node("Div", ["normalization.centered", "normalization.std"], ["normalized"], "normalization.Div"),
    ]
    return nodes, [
        numpy_helper.from_array(mean, "normalization.mean"),
        numpy_helper.from_array(std, "normalization.std"),
    ]
