"""Every architecture as one file that runs at any size, in each engine, with any batch."""

import contextlib
import functools

import numpy as np
import pytest
import torch

from rapidseg.exporting import export_onnx, specialize_onnx
from rapidseg.exporting.verification import CHECK_SIZES, MAX_RELATIVE_ERROR, affordable_check_sizes, image_like_noise
from rapidseg.models import count_macs, create_model
from rapidseg.runtime.engines.torch_onnx.network import TorchNetwork
from rapidseg.runtime.engines.torch_onnx.torch_onnx_engine import TorchOnnxEngine
from tests.support.networks import NETWORKS, make_network

# Each architecture, all four heads and both necks. Tracing takes seconds per network, so the others are slow.
QUICK = ("fastfcn-wuhuikai", "fastfcn-jpu_x", "deeplabv3-openmmlab", "pspnet-openmmlab", "encnet-lateral")
QUICK_STATIC = ("fastfcn-wuhuikai", "pspnet-openmmlab")  # made static, too; the slow ones all are
OTHERS = tuple(case for case in NETWORKS if case not in QUICK and not case.startswith("fast-scnn"))

# Odd sides, the smallest sides, and sides that every stride divides. The export itself compares each engine with
# PyTorch, with one image and with three, and raises where they differ.
SIZES = ((97, 161), (33, 32), (128, 64))

# Of the largest logit: rounded to the 11 bits of fp16 after each of up to 180 operators.
FP16_ERROR = 2e-2


@pytest.mark.parametrize("case", [*QUICK, *(pytest.param(case, marks=pytest.mark.slow) for case in OTHERS)])
def test_one_file_runs_at_any_size_in_each_engine(case, tmp_path):
    model = make_network(case).eval()
    path = tmp_path / "model.onnx"
    report = export_onnx(model, model.spec, path, check_sizes=SIZES, images=())
    assert len(report.checks) == len(SIZES) * 2 * 3
    assert report.spec.architecture == model.spec.architecture
    runs_in_pytorch(model, path)
    if case in QUICK and case not in QUICK_STATIC:
        return
    for output in ("logits", "class-map"):  # each program compares it with the file of any size
        static = specialize_onnx(path, tmp_path / f"{output}.onnx", static_size=SIZES[0], output=output)
        engines = ["torch"] if output == "logits" else []
        assert [check.engine for check in static.checks] == ["openvino", "onnxruntime", *engines, "opencv"]
        assert static.warnings == ()


def runs_in_pytorch(model, path):
    """Checks the logits of the PyTorch engine, and that nothing which depends on sizes alone is left to the device."""
    engine = TorchOnnxEngine(path, model.spec, precision="float32", device="cpu")
    emulated = TorchOnnxEngine(path, model.spec, precision="float32", device="cpu", emulated_dtype="fp16")
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (model.spec.mean, model.spec.std))
    for batch, size_hw in zip((1, 3, 2), SIZES, strict=True):
        images = image_like_noise(batch, size_hw)
        with torch.inference_mode(), highest_feature(model) as highest:
            expected = model((torch.from_numpy(images).permute(0, 3, 1, 2).float() - mean) / std).numpy()
        largest = np.abs(expected).max()
        assert np.abs(engine.run(images) - expected).max() <= MAX_RELATIVE_ERROR * largest
        in_fp16 = emulated.run(images)
        if max(highest) > torch.finfo(torch.float16).max:  # beyond what fp16 holds, and to be seen as that
            assert not np.isfinite(in_fp16).all()
        else:
            assert 0 < np.abs(in_fp16 - expected).max() <= FP16_ERROR * largest
        operators = {step.operator for step in engine.plan(images.shape).steps}
        assert not operators & {"Shape", "Range", "Less", "GreaterOrEqual", "And", "Floor", "Cast"}, operators
        assert engine.infer(engine.upload(images)).is_contiguous(memory_format=torch.channels_last)
    # PyTorch's device without memory refuses to mix it with the CPU, and types with each other: so will a GPU.
    elsewhere = TorchNetwork(path, device="meta", dtype=torch.float16)
    logits = elsewhere(torch.empty(2, 3, 97, 161, device="meta"))
    assert (logits.device.type, logits.dtype, logits.shape[:2]) == ("meta", torch.float16, (2, expected.shape[1]))


@contextlib.contextmanager
def highest_feature(model):
    """Gives a list of the largest absolute features behind each normalization and activation of a network."""
    highest = []
    hooks = [
        module.register_forward_hook(lambda module, inputs, output: highest.append(float(output.abs().max())))
        for module in model.modules()
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.ReLU)
    ]
    yield highest
    for hook in hooks:
        hook.remove()


def test_a_heavy_network_is_compared_at_the_sizes_that_take_seconds():
    with torch.device("meta"):
        light, heavy = create_model("fast-scnn", 19), create_model("deeplabv3", 19)
    assert affordable_check_sizes(functools.partial(count_macs, light)) == CHECK_SIZES
    assert affordable_check_sizes(functools.partial(count_macs, heavy)) == ((360, 480), (97, 161))
