"""What benchmarks compute, apart from time itself: no test asserts a time."""

from __future__ import annotations

import sys

import numpy as np
import openvino
import pytest

from rapidseg.benchmarking.accuracy import stated_accuracy
from rapidseg.benchmarking.configuration import (
    Configuration,
    parse_names,
)
from rapidseg.benchmarking.input_images import image_of_size
from rapidseg.benchmarking.interleaving import pooled, repeat_for, run_interleaved
from rapidseg.benchmarking.peak_matmul import MatrixProduct
from rapidseg.benchmarking.process import MeasuringProcess
from rapidseg.benchmarking.summary import Summary, between_round_drift
from rapidseg.core.errors import EngineError, InputError, ModelFileError, RapidSegError
from rapidseg.core.sizes import to_input_sizes, to_sizes
from rapidseg.core.spec import Score
from rapidseg.imaging import read_image, write_image
from rapidseg.runtime.model_file import find_model
from rapidseg.runtime.onnx_complexity import count_onnx_complexity, count_onnx_macs
from rapidseg.system.memory import peak_memory_bytes
from tests.support.tiny_onnx import STRIDE, tiny_spec, write_tiny_onnx


def configuration(**changes):
    values = {
        "model": "models/street.onnx",
        "engine": "openvino",
        "precision": "float32",
        "device": "auto",
        "image_size_hw": (360, 480),
        "input_size": None,
    }
    return Configuration(**values | changes)


def test_a_summary_has_the_median_and_the_range_of_ninety_percent():
    summary = Summary.of([float(value) for value in range(101)])
    assert (summary.median, summary.p5, summary.p95, summary.count) == (50, 5, 95, 101)
    assert Summary.of([7.0]) == Summary(7, 7, 7, 1)
    with pytest.raises(InputError, match="no measurements to summarize"):
        Summary.of([])


def test_the_rate_of_a_summary_swaps_its_ends():
    rate = Summary(median=20, p5=10, p95=40, count=9).rate(2)
    assert (rate.median, rate.p5, rate.p95) == (100, 50, 200)
    assert rate.to_dict() == {"median": 100, "p5": 50, "p95": 200, "count": 9}


def test_drift_is_the_range_of_the_rounds():
    assert between_round_drift([90, 100, 110]) == pytest.approx(0.2)
    assert between_round_drift([3]) is None


def test_the_order_of_workloads_reverses_from_round_to_round():
    order = []

    class FakeWorkload:
        def __init__(self, name):
            self.name = name

        def measure(self, seconds):
            order.append(self.name)
            return {"path": [seconds, float(len(order))]}

    seen = []
    samples = run_interleaved(
        {name: FakeWorkload(name) for name in "abc"},
        rounds=3,
        seconds=0.5,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert "".join(order) == "abccbaabc"
    assert pooled(samples["a"], "path") == [0.5, 1, 0.5, 6, 0.5, 7]
    assert pooled(samples["a"], "numpy") == []
    assert seen[0] == (1, 9)
    assert seen[-1] == (9, 9)


def test_repeating_happens_at_least_once():
    assert len(list(repeat_for(0))) == 1
    assert len(list(repeat_for(0, 3))) == 3


def test_a_configuration_comes_back_from_json():
    import json

    for size in (None, 512, (96, 128)):
        original = configuration(input_size=size, batch=3)
        assert Configuration.from_arguments(json.loads(json.dumps(original.to_arguments()))) == original
    assert configuration().name == "street"
    assert configuration().label == "street openvino float32"


def test_names_and_sizes_are_read_from_text_and_sequences():
    for names in ("bf16, float32,bf16", ["bf16", "float32", "bf16"]):
        assert parse_names(names, "precision", ("float32", "bf16")) == ("bf16", "float32")
    with pytest.raises(InputError, match=r"unknown engine 'openvin' \(.*'openvino'\?\); allowed: openvino, torch"):
        parse_names("openvin", "engine", ("openvino", "torch"))
    with pytest.raises(InputError, match="no engine given"):
        parse_names(" , ", "engine", ("openvino",))
    for sizes in ("64x96, 32x48,64x96", [(64, 96), "32x48"], ((64, 96), (32, 48))):
        assert to_sizes(sizes, "image_sizes") == ((64, 96), (32, 48))
    assert to_sizes((64, 96), "image_sizes") == to_sizes("64x96", "image_sizes") == ((64, 96),)
    for sizes, message in (
        ("", "no image sizes given"),
        ("512", "not a size"),
        ([512], "not a size"),
        ((0, 8), "not a"),
    ):
        with pytest.raises(InputError, match=message):
            to_sizes(sizes, "image_sizes")
    for sizes in ("512,256, 512", (512, 256), [512, "256"]):
        assert to_input_sizes(sizes, "input_sizes") == (512, 256)
    assert to_input_sizes(512, "input_sizes") == (512,)
    assert to_input_sizes("512x1024,256", "input_sizes") == ((512, 1024), 256)
    assert to_input_sizes([(512, 1024), 256], "input_sizes") == ((512, 1024), 256)
    for sizes, message in (
        ("", "no input sizes given"),
        ("-64", "not an input size"),
        ([(64, 96, 3)], "not an input size"),
    ):
        with pytest.raises(InputError, match=message):
            to_input_sizes(sizes, "input_sizes")


SCORES = (Score(dataset="camvid", split="val", mean_iou=0.6),)


@pytest.mark.parametrize(
    ("input_short_side", "changes", "known"),
    [
        (None, {}, True),
        (None, {"precision": "bf16"}, False),
        (None, {"image_size_hw": (720, 960)}, False),
        (None, {"image_size_hw": (720, 960), "input_size": (360, 480)}, True),
        (480, {}, True),
        (480, {"image_size_hw": (720, 960)}, True),
        (480, {"input_size": (360, 480)}, False),
        (480, {"input_size": 480}, True),
    ],
)
def test_a_stated_score_holds_only_for_the_size_and_precision_that_it_was_measured_at(input_short_side, changes, known):
    spec = tiny_spec(scores=SCORES, input_short_side=input_short_side)
    accuracy = stated_accuracy(spec, configuration(**changes))
    assert (accuracy is not None) == known
    if accuracy is not None:
        assert accuracy.mean_iou == 0.6
        assert accuracy.source == "stated in the model file: camvid val"


def test_a_score_on_unknown_data_is_not_used():
    spec = tiny_spec(scores=(Score(dataset="my-streets", split="val", mean_iou=0.6),))
    assert stated_accuracy(spec, configuration()) is None


def test_complexity_of_one_convolution(tmp_path):
    complexity = count_onnx_complexity(write_tiny_onnx(tmp_path / "tiny.onnx"), (64, 96))
    weights = 11 * 3 * 9 * 9
    assert complexity.parameters == weights  # it has no bias
    assert complexity.multiply_accumulates == weights * (64 // STRIDE) * (96 // STRIDE)


def test_onnx_files_and_pytorch_models_have_the_same_complexity():
    from rapidseg.models import count_macs, create_model

    complexity = count_onnx_complexity(find_model(None), (96, 160))
    model = create_model("fast-scnn", num_classes=11)
    assert complexity.multiply_accumulates == count_onnx_macs(find_model(None), (96, 160))
    assert complexity.multiply_accumulates == count_macs(model, (96, 160))
    assert complexity.multiply_accumulates == count_onnx_macs(find_model("fast-scnn-camvid-int8"), (96, 160))
    # Folded into a convolution, batch normalization leaves one bias for each of its two learned values.
    folded = sum(
        (module.weight.numel() for module in model.modules() if type(module).__name__ == "BatchNorm2d"), start=0
    )
    aux = sum(p.numel() for name, p in model.named_parameters() if name.startswith("aux_heads."))
    assert complexity.parameters == sum(p.numel() for p in model.parameters()) - aux - folded


@pytest.mark.parametrize(
    # bf16 has 8 bits of mantissa; INT8 has 256 levels, here over the whole range of a normal distribution.
    ("precision", "tolerance", "computed_in"),
    [("float32", 1e-5, {"f32"}), ("bf16", 1e-2, {"bf16"}), ("int8", 3e-2, {"i8", "u8"})],
)
def test_the_matrix_product_is_right_and_computed_in_its_precision(precision, tolerance, computed_in):
    if precision == "bf16" and "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU does not compute in bf16")
    product = MatrixProduct(precision, "cpu", side=64)
    samples = product.measure(0)
    assert set(samples) == ({"openvino", "numpy"} if precision == "float32" else {"openvino"})
    first, second = np.random.default_rng(0).standard_normal((2, 64, 64), np.float32)
    error = np.linalg.norm(product.product() - first @ second) / np.linalg.norm(first @ second)
    assert error < tolerance
    nodes = [node.get_rt_info() for node in product.compiled.get_runtime_model().get_ordered_ops()]
    kinds = {node["layerType"].astype(str): node["runtimePrecision"].astype(str) for node in nodes}
    assert kinds.get("FullyConnected", kinds.get("MatMul")) in computed_in


def test_no_matrix_product_in_an_unknown_precision():
    with pytest.raises(
        EngineError, match="no peak matmul rate for precision 'float16'; available: float32, bf16, int8"
    ):
        MatrixProduct("float16", "cpu")


@pytest.mark.skipif(sys.platform == "win32", reason="unknown on Windows")
def test_peak_memory_grows_and_stays():
    before = peak_memory_bytes()
    np.ones(200 << 20, np.uint8).sum()
    assert peak_memory_bytes() >= max(before, 200 << 20)


def test_an_image_of_the_right_size_is_taken_as_it_is(tmp_path):
    photo = tmp_path / "photo.png"
    write_image(photo, np.zeros((64, 96, 3), np.uint8))
    assert image_of_size(photo, (64, 96), tmp_path) == photo
    resized = image_of_size(photo, (32, 48), tmp_path)
    assert resized.name == "photo-32x48.jpg"
    assert read_image(resized).shape == (32, 48, 3)


def test_a_process_passes_errors_on_unchanged(tmp_path):
    arguments = {"image": "photo.png", "scratch": None}
    broken = tmp_path / "broken.onnx"
    broken.write_text("no model")
    with pytest.raises(ModelFileError, match=r"broken\.onnx is not an ONNX file"):
        MeasuringProcess("rapidseg", configuration=configuration(model=str(broken)).to_arguments(), **arguments)


def test_a_process_that_exits_is_reported_with_its_last_output():
    with pytest.raises(RapidSegError, match=r"the measuring process exited with status 1: .*KeyError: 'nonsense'"):
        MeasuringProcess("nonsense")
