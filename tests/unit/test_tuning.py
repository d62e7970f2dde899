"""The selection of `tune` among made-up measurements, and the file that it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

import rapidseg
from rapidseg.benchmarking.configuration import Configuration
from rapidseg.benchmarking.run_tuning import combinations, run_tuning, to_tuned_model
from rapidseg.benchmarking.summary import Summary
from rapidseg.benchmarking.trial_selection import Target, Trial, TuningResult, select
from rapidseg.core.errors import ConfigError, EngineError, InputError, ModelFileError
from rapidseg.runtime.tuned_file import read_tuned, relative_model, write_tuned
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx


def trial(ms, mean_iou=None, *, precision="float32", side=512, engine="openvino", path="street.onnx"):
    configuration = Configuration(str(path), engine, precision, "auto", (512, 1024), side)
    path_ms = Summary(ms, 0.9 * ms, 1.1 * ms, 10)
    return Trial(configuration, engine, precision, "cpu", Path(path), (side, 2 * side), path_ms, mean_iou, "camvid val")


def test_for_speed_the_most_accurate_that_is_fast_enough():
    trials = [trial(10, 0.5), trial(20, 0.7), trial(30, 0.8)]
    assert select(trials, Target(min_fps=40)) == (
        trials[1],
        True,
        "the most accurate configuration that reaches 40 FPS",
    )
    assert select(trials, Target(min_fps=30))[0] is trials[2]


def test_for_accuracy_the_fastest_that_is_accurate_enough():
    trials = [trial(10, 0.5), trial(20, 0.7), trial(30, 0.8)]
    assert select(trials, Target(min_miou=0.6)) == (trials[1], True, "the fastest configuration that reaches mIoU 0.6")


def test_for_both_the_most_accurate_that_is_fast_enough():
    trials = [trial(10, 0.7), trial(20, 0.75), trial(30, 0.8)]
    target = Target(min_fps=40, min_miou=0.6)
    assert select(trials, target) == (
        trials[1],
        True,
        "the most accurate configuration that reaches 40 FPS and mIoU 0.6",
    )


def test_without_miou_a_larger_size_counts_more_than_a_more_exact_precision_and_that_more_than_speed():
    trials = [
        trial(5, side=256),
        trial(9, side=512, precision="int8"),
        trial(12, side=512, precision="bf16"),
        trial(11, side=512, precision="bf16", engine="onnxruntime"),
        trial(40, side=512),
    ]
    best, is_met, reason = select(trials, Target(min_fps=50))
    assert (best, is_met) == (trials[3], True)
    assert reason == "the most exact precision at the largest input size, of the configurations that reach 50 FPS"
    assert select(trials, Target(min_fps=150))[0] is trials[0]
    assert select(trials, Target(min_fps=1))[0] is trials[4]


@pytest.mark.parametrize(
    ("target", "best", "reason"),
    [
        (Target(min_fps=200), 0, "target 200 FPS not met; this is the fastest configuration"),
        (Target(min_miou=0.9), 2, "target mIoU 0.9 not met; this is the most accurate configuration"),
        (
            Target(min_fps=40, min_miou=0.9),
            1,
            "target 40 FPS and mIoU 0.9 not met; this is the most accurate configuration that is fast enough",
        ),
        (
            Target(min_fps=200, min_miou=0.1),
            0,
            "target 200 FPS and mIoU 0.1 not met; this is the fastest configuration",
        ),
    ],
)
def test_where_no_trial_meets_the_target_the_closest_is_named(target, best, reason):
    trials = [trial(10, 0.5), trial(20, 0.7), trial(30, 0.8)]
    assert select(trials, target) == (trials[best], False, reason)


def test_a_target_must_be_measurable(tmp_path):
    configurations = combinations(["street.onnx"], ["openvino"], ["float32"], [None], (64, 96), "auto")
    with pytest.raises(InputError, match="set a target: --min-fps, or --min-miou with --data"):
        run_tuning(configurations, tmp_path / "photo.png", Target())
    with pytest.raises(InputError, match="--min-miou needs --data to measure it on"):
        run_tuning(configurations, tmp_path / "photo.png", Target(min_miou=0.5))


@pytest.fixture
def model(tmp_path):
    (tmp_path / "models").mkdir()
    return write_tiny_onnx(tmp_path / "models" / "tiny.onnx", tiny_spec(input_short_side=96))


@pytest.fixture
def tuned(tmp_path, model):
    best = trial(10, 0.6123, side=64, path=model)
    file = tmp_path / "tiny.tuned.yaml"
    write_tuned(file, to_tuned_model(TuningResult(Target(min_fps=1), (best,), (), best, True, ""), file))
    return file


def change(file, **changes):
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | changes))


def test_a_tuned_file_comes_back_and_says_everything(tuned, model):
    content, path = read_tuned(tuned)
    assert path.samefile(model)
    assert content.model == "models/tiny.onnx"
    assert (content.engine, content.precision, content.device) == ("openvino", "float32", "cpu")
    assert (content.input_short_side, content.measured.image_size_hw) == (64, (512, 1024))
    assert (content.measured.frames_per_s, content.measured.mean_iou) == (100, 0.6123)
    assert content.measured.data == "camvid val"
    assert content.machine.cpu
    assert "rapidseg.load('tiny.tuned.yaml')" in tuned.read_text()


def test_load_takes_what_a_tuned_file_says(tuned, model, monkeypatch):
    segmenter = rapidseg.load(tuned)
    image = np.zeros((128, 192, 3), np.uint8)
    assert segmenter(image).input_size_hw == (64, 96)  # not the 96 pixels of the model itself
    assert segmenter.path.samefile(model)
    assert segmenter.engine.choice.startswith(f"openvino, float32 and cpu, as set in {tuned}, tuned on ")
    monkeypatch.chdir(tuned.parent / "models")  # its model is found from the file's own folder
    assert rapidseg.load("../tiny.tuned.yaml").engine.name == "openvino"
    assert rapidseg.load(str(tuned), engine="onnxruntime").engine.name == "onnxruntime"


def test_a_built_in_model_is_named(tmp_path):
    assert relative_model("fast-scnn-camvid", Path("anywhere.onnx"), tmp_path / "x.yaml") == "fast-scnn-camvid"
    best = trial(10, side=64, path=rapidseg.load().path)
    best = Trial(
        **{
            **vars(best),
            "configuration": Configuration("fast-scnn-camvid", "openvino", "float32", "auto", (64, 96), None),
        }
    )
    file = tmp_path / "built-in.tuned.yaml"
    write_tuned(file, to_tuned_model(TuningResult(Target(min_fps=1), (best,), (), best, True, ""), file))
    assert "model: fast-scnn-camvid\n" in file.read_text()
    assert rapidseg.load(file).spec.labels.num_classes == 11


def test_another_model_in_its_place_is_refused(tuned, model):
    write_tiny_onnx(model, seed=1)
    with pytest.raises(ModelFileError, match=r"tiny\.onnx is not the model that was tuned \(SHA-256 .*tune` again"):
        rapidseg.load(tuned)
    model.unlink()
    with pytest.raises(ModelFileError, match=r"its model .*tiny\.onnx does not exist; put it there"):
        rapidseg.load(tuned)


def test_another_device_is_told_what_to_do(tuned):
    change(tuned, device="npu")
    with pytest.raises(
        EngineError,
        match=r"tuned for openvino in float32 on the npu of .*, which is not available here: OpenVINO: "
        r"device 'npu' not found; .* Run `rapidseg tune` on this machine, or pass another engine",
    ):
        rapidseg.load(tuned)
    assert rapidseg.load(tuned, device="cpu").engine.device == "cpu"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"presicion": "bf16"}, "unknown key 'presicion' (did you mean 'precision'"),
        ({"input_short_side": 12}, "input_short_side should be greater than or equal to 32, not 12"),
        ({"format_version": 2}, "format_version should be less than or equal to 1, not 2"),
        ({"machine": {"cpu": "x", "cpus": 2}}, "the key 'machine.system' is missing"),
    ],
)
def test_a_file_that_was_changed_by_hand_is_explained(tuned, changes, message):
    change(tuned, **changes)
    with pytest.raises(ConfigError) as raised:
        rapidseg.load(tuned)
    assert message in str(raised.value)
    assert "run `rapidseg tune` again" in str(raised.value)


def test_other_files_are_named(tmp_path):
    (tmp_path / "recipe.yaml").write_text("model: {}\n")
    with pytest.raises(
        ConfigError,
        match=r"recipe\.yaml is not a tuned file: it has no key 'sha256'; use a file that `rapidseg tune` wrote",
    ):
        rapidseg.load(tmp_path / "recipe.yaml")
    (tmp_path / "broken.yaml").write_text("{")
    with pytest.raises(ConfigError, match=r"broken\.yaml is not valid YAML"):
        rapidseg.load(tmp_path / "broken.yaml")
    with pytest.raises(ConfigError, match=r"cannot read .*absent\.yaml: No such file"):
        rapidseg.load(tmp_path / "absent.yaml")
