"""`benchmark` and `tune` as Python functions. No test asserts a time."""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys

import pytest

import rapidseg
from rapidseg.cli.tables.benchmark import show_benchmark
from rapidseg.cli.tables.tune import show_tuning
from rapidseg.core.errors import InputError
from rapidseg.workflows.benchmark import benchmark
from rapidseg.workflows.tune import tune
from tests.support.data_folders import write_camvid
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx

SHORT = {"engines": ["openvino"], "precisions": ["float32"], "rounds": 1, "seconds": 0}


class Recorder:
    """A progress that remembers the tasks and how far each came."""

    def __init__(self):
        self.tasks = {}

    def update(self, task, done, total, *, unit="items"):
        self.tasks[task] = (done, total)

    def metrics(self, step, values): ...

    def message(self, text): ...


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_tiny_onnx(tmp_path / "tiny.onnx")


def test_a_benchmark_takes_sizes_as_tuples_and_writes_nothing_unless_asked(model, tmp_path, capfd):
    progress = Recorder()
    camvid = write_camvid(tmp_path / "camvid")
    report = benchmark(model, image_sizes=[(64, 96), "48x80"], data="camvid", root=camvid, progress=progress, **SHORT)
    assert [measurement.input_size_hw for measurement in report.measurements] == [(64, 96), (48, 80)]
    assert all(measurement.accuracy.source.startswith("measured: camvid val") for measurement in report.measurements)
    assert progress.tasks["starting"] == (2, 2)
    assert progress.tasks["measuring"] == (3, 3)  # two configurations and the matrix product
    assert progress.tasks["scoring tiny openvino float32"] == (3, 3)
    assert (report.complete, report.unmeasured, report.warnings, report.files) == (True, (), (), ())
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["measurements"][0]["image_size_hw"] == [64, 96]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["camvid", "tiny.onnx"]
    assert capfd.readouterr() == ("", "")
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.rounds = 2


def test_a_benchmark_names_what_it_could_not_measure(model):
    report = benchmark(model, image_sizes=(64, 96), **SHORT | {"precisions": "float32,int8"})
    assert (report.complete, report.unmeasured) == (False, ("int8",))
    ((configuration, reason),) = report.skipped
    assert configuration.label == "tiny openvino int8"
    assert "INT8" in reason


def test_without_matplotlib_the_report_is_written_and_says_so(model, tmp_path, monkeypatch):
    write_tiny_onnx(model, tiny_spec(scores=({"dataset": "camvid", "split": "val", "mean_iou": 0.5},)))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    report = benchmark(model, image_sizes="360x480", output=tmp_path / "out", **SHORT)
    assert not report.complete
    assert report.files == (tmp_path / "out" / "benchmark.json",)
    assert json.loads(report.files[0].read_text()) == report.to_dict()
    (warning,) = report.warnings
    assert warning.startswith("plot skipped: matplotlib is not installed; run in the clone of RapidSeg: pip install")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"baseline": "lightning"}, "unknown baseline 'lightning'; allowed: eager"),
        (
            {"baseline": "eager"},
            r"--baseline eager needs the checkpoint with the same weights: .* --checkpoint \(checkpoint= in Python\)",
        ),
        (
            {"checkpoint": "best.pth"},
            r"--checkpoint needs --baseline eager, .* \(checkpoint=, baseline= in Python\)",
        ),
        ({"image_sizes": ()}, "no image sizes given"),
        ({"engines": []}, "no engine given; allowed: openvino"),
    ],
)
def test_mistakes_in_a_benchmark_are_input_errors(model, arguments, message):
    with pytest.raises(InputError, match=message):
        benchmark(model, **arguments)


def test_tuning_saves_what_load_accepts(model, tmp_path):
    progress = Recorder()
    report = tune(
        [model], min_fps=1e-3, input_sizes=[48, (32, 48)], image_size=(64, 96), progress=progress,
        output=tmp_path / "street.yaml", **SHORT,
    )  # fmt: skip
    assert report.met
    assert report.path == tmp_path / "street.yaml"
    assert report.best.input_size_hw == (48, 72)  # the larger of the two
    assert sorted(trial.input_size_hw for trial in report.trials) == [(32, 48), (48, 72)]
    assert (
        report.reason
        == "the most exact precision at the largest input size, of the configurations that reach 0.001 FPS"
    )
    assert progress.tasks["measuring"] == (2, 2)
    assert rapidseg.load(report.path).spec.input_short_side == 48
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert (document["met"], document["path"]) == (True, str(report.path))
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.path = None


def test_tuning_that_misses_its_target_writes_nothing(model, tmp_path):
    report = tune(model, min_fps=1e9, input_sizes=64, image_size="64x96", **SHORT)
    assert (report.met, report.path) == (False, None)
    assert report.best is report.trials[0]
    assert report.reason == "target 1e+09 FPS not met; this is the fastest configuration"
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


def test_tuning_scores_on_data_and_takes_its_first_image(model, tmp_path):
    camvid = write_camvid(tmp_path / "camvid")
    report = tune(model, min_miou=0, data="camvid", root=camvid, input_sizes="32", **SHORT)
    assert report.met
    assert report.reason == "the fastest configuration that reaches mIoU 0"
    assert (report.best.configuration.image_size_hw, report.best.data) == ((12, 20), "camvid val")
    assert report.path.name == "tiny.tuned.yaml"


def test_a_mean_iou_on_training_images_is_marked(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    model = write_tiny_onnx(tmp_path / "own.onnx", tiny_spec().model_copy(update={"trained_on": ("camvid/val",)}))
    data = {"data": "camvid", "root": write_camvid(tmp_path / "camvid")}
    measured = benchmark(model, image_sizes=["64x96", "32x48"], **data, **SHORT)
    tuned = tune(model, min_miou=0, input_sizes=[32, 64], **data, **SHORT)
    for report in (measured, tuned):
        (warning,) = report.warnings
        assert warning.startswith("own was trained on camvid val, so these scores do not measure its accuracy on new")
        assert report.to_dict()["warnings"] == [warning]
        assert repr(report).endswith("; 1 warning>")
    show_benchmark(measured, tables=True, with_skipped=False)
    show_tuning(tuned, table=True)
    assert capfd.readouterr().err.count("warning: own was trained on camvid val") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"set a target: --min-fps, or --min-miou with --data \(min_fps=, min_miou=, data= in Python\)"),
        ({"min_miou": 0.5}, r"--min-miou needs --data to measure it on \(min_miou=, data= in Python\)"),
        ({"min_fps": 1, "output": "tuned.json"}, "the name of a tuned file must end in .yaml; use tuned.yaml"),
        ({"min_fps": 1, "input_sizes": (31,)}, "input sizes have 32 pixels or more on the shorter side, not 31"),
        ({"min_fps": 1, "input_sizes": [(64, 64)], "image_size": (64, 96)}, "does not keep the aspect ratio of 64x96"),
        (
            {"min_fps": 1, "input_sizes": "36x54", "image_size": (72, 108)},
            "multiple of the model's stride; .* such as 36",
        ),
        ({"min_fps": 1, "image_size": "1024"}, "'1024' is not a size"),
    ],
)
def test_mistakes_in_tuning_are_input_errors(model, arguments, message):
    with pytest.raises(InputError, match=message):
        tune(model, **arguments)


@pytest.mark.parametrize("function", [benchmark, tune])
def test_only_the_models_are_positional(function):
    first, *others = inspect.signature(function).parameters.values()
    assert (first.name, first.kind) == ("models", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    assert {parameter.kind for parameter in others} == {inspect.Parameter.KEYWORD_ONLY}
