"""What benchmarks compute, apart from time itself: no test asserts a time."""

from __future__ import annotations

import sys

import numpy as np
import openvino
import pytest

from rapidseg.benchmarking import peak_matmul as peak_matmul_rate
from rapidseg.benchmarking.accuracy import stated_accuracy
from rapidseg.benchmarking.complexity import count_complexity
from rapidseg.benchmarking.configuration import Configuration, parse_names, parse_sides
from rapidseg.benchmarking.interleaving import pooled, repeat_for, run_interleaved
from rapidseg.benchmarking.opening import image_of_size
from rapidseg.benchmarking.process import MeasuringProcess
from rapidseg.benchmarking.summary import Summary, drift
from rapidseg.core.errors import EngineError, InputError, ModelFileError, RapidSegError
from rapidseg.core.spec import Score
from rapidseg.imaging import read_image, write_image
from rapidseg.runtime.model_file import find_model
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


def test_a_spread_has_the_middle_and_the_range_of_ninety_percent():
    spread = Summary.of([float(value) for value in range(101)])
    assert (spread.median, spread.p5, spread.p95, spread.count) == (50, 5, 95, 101)
    assert Summary.of([7.0]) == Summary(7, 7, 7, 1)
    with pytest.raises(InputError, match="nothing was measured"):
        Summary.of([])


def test_the_rate_of_a_spread_turns_its_ends_round():
    rate = Summary(median=20, p5=10, p95=40, count=9).rate(2)
    assert (rate.median, rate.p5, rate.p95) == (100, 50, 200)
    assert rate.to_dict() == {"median": 100, "p5": 50, "p95": 200, "count": 9}


def test_drift_is_how_far_rounds_lie_apart():
    assert drift([90, 100, 110]) == pytest.approx(0.2)
    assert drift([3]) == 0


def test_turns_go_forth_and_back():
    order = []

    class Contestant:
        def __init__(self, name):
            self.name = name

        def measure(self, seconds):
            order.append(self.name)
            return {"path": [seconds, float(len(order))]}

    seen = []
    samples = run_interleaved(
        {name: Contestant(name) for name in "abc"},
        rounds=3,
        seconds=0.5,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert "".join(order) == "abccbaabc"
    assert pooled(samples["a"], "path") == [0.5, 1, 0.5, 6, 0.5, 7]
    assert pooled(samples["a"], "numpy") == []
    assert seen[0] == (1, 9)
    assert seen[-1] == (9, 9)


def test_what_is_repeated_happens_once_at_least():
    assert len(list(repeat_for(0))) == 1
    assert len(list(repeat_for(0, 3))) == 3


def test_a_configuration_comes_back_from_json():
    import json

    for size in (None, 512, (96, 128)):
        one = configuration(input_size=size, batch=3)
        assert Configuration.from_arguments(json.loads(json.dumps(one.to_arguments()))) == one
    assert configuration().name == "street"


def test_names_and_sides_are_read_from_lists():
    assert parse_names("bf16, float32,bf16", "precision", ("float32", "bf16")) == ("bf16", "float32")
    with pytest.raises(InputError, match=r"engine 'openvin' is unknown; allowed are openvino, torch, .*'openvino'"):
        parse_names("openvin", "engine", ("openvino", "torch"))
    with pytest.raises(InputError, match="no engine given"):
        parse_names(" , ", "engine", ("openvino",))
    assert parse_sides("512,256, 512") == (512, 256)
    for text in ("", "31", "512x1024", "-64"):
        with pytest.raises(InputError, match="sizes are shorter sides of 32 pixels or more"):
            parse_sides(text)


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
    complexity = count_complexity(write_tiny_onnx(tmp_path / "tiny.onnx"), (64, 96))
    weights = 11 * 3 * 9 * 9
    assert complexity.parameters == weights  # it has no bias
    assert complexity.multiply_accumulates == weights * (64 // STRIDE) * (96 // STRIDE)


def test_complexity_is_what_pytorch_counts():
    from rapidseg.models import count_macs, create_model

    complexity = count_complexity(find_model(None), (96, 160))
    model = create_model("fast-scnn", num_classes=11)
    assert complexity.multiply_accumulates == count_macs(model, (96, 160))
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
def test_the_matrix_product_is_one_and_in_its_precision(monkeypatch, precision, tolerance, computed_in):
    if precision == "bf16" and "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU does not compute in bf16")
    monkeypatch.setattr(peak_matmul_rate, "SIDE", 64)
    product = peak_matmul_rate.MatrixProduct(precision, "cpu")
    samples = product.measure(0)
    assert set(samples) == ({"openvino", "numpy"} if precision == "float32" else {"openvino"})
    first, second = np.random.default_rng(0).standard_normal((2, 64, 64), np.float32)
    found = product._request.get_output_tensor().data
    error = np.linalg.norm(found - first @ second) / np.linalg.norm(first @ second)
    assert error < tolerance
    nodes = [node.get_rt_info() for node in product.compiled.get_runtime_model().get_ordered_ops()]
    kinds = {node["layerType"].astype(str): node["runtimePrecision"].astype(str) for node in nodes}
    assert kinds.get("FullyConnected", kinds.get("MatMul")) in computed_in


def test_no_matrix_product_in_an_unknown_precision():
    with pytest.raises(EngineError, match="no matrix product is known for precision 'float16'"):
        peak_matmul_rate.MatrixProduct("float16", "cpu")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
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


def test_a_process_hands_errors_over_as_they_are(tmp_path):
    arguments = {"image": "photo.png", "scratch": None}
    broken = tmp_path / "broken.onnx"
    broken.write_text("no model")
    with pytest.raises(ModelFileError, match=r"broken\.onnx: is not an ONNX file"):
        MeasuringProcess("segmenting", configuration=configuration(model=str(broken)).to_arguments(), **arguments)


def test_a_process_that_dies_is_mourned_with_its_last_words():
    with pytest.raises(RapidSegError, match=r"the process that measures ended with status 1: .*KeyError: 'nonsense'"):
        MeasuringProcess("nonsense")
