"""The Triton kernels compile to machine code of NVIDIA GPUs, without a GPU, and do not spill registers."""

import pytest

from rapidseg.runtime.engines.torch_onnx.conv_geometry import ConvGeometry

triton = pytest.importorskip("triton", minversion="3.3")

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from rapidseg.runtime.engines.torch_onnx.kernels import (  # noqa: E402
    class_map_kernel,
    depthwise_kernel,
    image_kernel,
)

POINTERS = {"row_starts": "*i32", "column_cells": "*i32", "row_weights": "*fp32", "column_weights": "*fp32"}
POINTERS |= {"class_maps": "*u8", "confidences": "*u8", "low": "fp32", "high": "fp32"}
NUMBERS = ("logits", "features", "taps", "weights", "bias", "results")  # in the precision of the network
GEOMETRY = ConvGeometry((3, 3), (2, 2), (1, 1), (1, 1)).constants()
PARTS = {"BIAS": True, "CLAMP": True}


def compiled(kernel, dtype, constants, capability):
    types, values = {}, {}
    for index, name in enumerate(kernel.arg_names):
        if name in constants:
            types[name], values[(index,)] = "constexpr", constants[name]
        else:
            types[name] = f"*{dtype}" if name in NUMBERS else POINTERS.get(name, "i32")
    source = ASTSource(fn=kernel, signature=types, constexprs=values)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 4})


@pytest.mark.parametrize("capability", [75, 90])  # Turing, the oldest that PyTorch is built for, and Hopper
@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
@pytest.mark.parametrize(
    ("kernel", "constants"),
    [
        (class_map_kernel.upsample_argmax_kernel, {"NUM_CLASSES": 19, "ROWS": 8, "COLUMNS": 128, "CONFIDENCE": False}),
        (class_map_kernel.upsample_argmax_kernel, {"NUM_CLASSES": 150, "ROWS": 1, "COLUMNS": 128, "CONFIDENCE": True}),
        (depthwise_kernel.depthwise_convolution_kernel, {**GEOMETRY, **PARTS, "COLUMNS": 16, "CHANNELS": 64}),
        (
            image_kernel.image_convolution_kernel,
            {**GEOMETRY, **PARTS, "CHANNELS": 3, "COLUMNS": 64, "SUMMED": 32, "RESULTS": 32},
        ),
    ],
)
def test_compiles_to_machine_code(kernel, constants, dtype, capability):
    code = compiled(kernel, dtype, constants, capability)
    assert len(code.asm["cubin"]) > 1000
    assert ".local" not in code.asm["ptx"]  # local memory holds spilled registers
