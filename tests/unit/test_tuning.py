"""The choice of `tune` over made measurements, and the file that it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

import rapidseg
from rapidseg.benchmarking.configuration import Configuration
from rapidseg.benchmarking.selection import Target, Trial, Tuning, choose
from rapidseg.benchmarking.summary import Summary
from rapidseg.benchmarking.tuning import as_tuned, combinations, tune
from rapidseg.core.errors import ConfigError, EngineError, InputError, ModelFileError
from rapidseg.runtime.tuned_file import read_tuned, relative_model, write_tuned
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx


def made(ms, mean_iou=None, *, precision="float32", side=512, engine="openvino", path="street.onnx"):
    configuration = Configuration(str(path), engine, precision, "auto", (512, 1024), side)
    spread = Summary(ms, 0.9 * ms, 1.1 * ms, 10)
    return Trial(configuration, engine, precision, "cpu", Path(path), (side, 2 * side), spread, mean_iou, "camvid val")


def test_for_speed_the_most_accurate_that_is_fast_enough():
    tries = [made(10, 0.5), made(20, 0.7), made(30, 0.8)]
    assert choose(tries, Target(min_fps=40)) == (tries[1], True, "the most accurate of those that reach 40 frames/s")
    assert choose(tries, Target(min_fps=30))[0] is tries[2]


def test_for_accuracy_the_fastest_that_is_accurate_enough():
    tries = [made(10, 0.5), made(20, 0.7), made(30, 0.8)]
    assert choose(tries, Target(min_miou=0.6)) == (tries[1], True, "the fastest of those that reach mIoU 0.6")


def test_for_both_the_most_accurate_that_is_fast_enough():
    tries = [made(10, 0.7), made(20, 0.75), made(30, 0.8)]
    wish = Target(min_fps=40, min_miou=0.6)
    assert choose(tries, wish) == (tries[1], True, "the most accurate of those that reach 40 frames/s and mIoU 0.6")


def test_without_miou_a_larger_size_counts_more_than_a_more_exact_precision_and_that_more_than_speed():
    tries = [
        made(5, side=256),
        made(9, side=512, precision="int8"),
        made(12, side=512, precision="bf16"),
        made(11, side=512, precision="bf16", engine="onnxruntime"),
        made(40, side=512),
    ]
    best, granted, reason = choose(tries, Target(min_fps=50))
    assert (best, granted) == (tries[3], True)
    assert reason == "the largest input size, then the most exact precision, of those that reach 50 frames/s"
    assert choose(tries, Target(min_fps=150))[0] is tries[0]
    assert choose(tries, Target(min_fps=1))[0] is tries[4]


@pytest.mark.parametrize(
    ("wish", "best", "reason"),
    [
        (Target(min_fps=200), 0, "the fastest, but none reaches 200 frames/s"),
        (Target(min_miou=0.9), 2, "the most accurate, but none reaches mIoU 0.9"),
        (
            Target(min_fps=40, min_miou=0.9),
            1,
            "the most accurate that is fast enough, but none reaches 40 frames/s and mIoU 0.9",
        ),
        (Target(min_fps=200, min_miou=0.1), 0, "the fastest, but none reaches 200 frames/s and mIoU 0.1"),
    ],
)
def test_where_nothing_fits_the_nearest_is_named(wish, best, reason):
    tries = [made(10, 0.5), made(20, 0.7), made(30, 0.8)]
    assert choose(tries, wish) == (tries[best], False, reason)


def test_a_wish_must_be_one_that_can_be_measured(tmp_path):
    one = combinations(["street.onnx"], ["openvino"], ["float32"], [None], (64, 96), "auto")
    with pytest.raises(InputError, match="nothing is wished for; give --min-fps, or --min-miou with --data"):
        tune(one, tmp_path / "photo.png", Target())
    with pytest.raises(InputError, match="a mIoU must be measured to be wished for; give --data, too"):
        tune(one, tmp_path / "photo.png", Target(min_miou=0.5))


@pytest.fixture
def model(tmp_path):
    (tmp_path / "models").mkdir()
    return write_tiny_onnx(tmp_path / "models" / "tiny.onnx", tiny_spec(input_short_side=96))


@pytest.fixture
def tuned(tmp_path, model):
    best = made(10, 0.6123, side=64, path=model)
    file = tmp_path / "tiny.tuned.yaml"
    write_tuned(file, as_tuned(Tuning(Target(min_fps=1), (best,), (), best, True, ""), file))
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
    best = made(10, side=64, path=rapidseg.load().path)
    best = Trial(
        **{
            **vars(best),
            "configuration": Configuration("fast-scnn-camvid", "openvino", "float32", "auto", (64, 96), None),
        }
    )
    file = tmp_path / "built-in.tuned.yaml"
    write_tuned(file, as_tuned(Tuning(Target(min_fps=1), (best,), (), best, True, ""), file))
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
        ({"presicion": "bf16"}, "unknown key 'presicion'; did you mean 'precision'"),
        ({"input_short_side": 12}, "input_short_side: should be greater than or equal to 32, not 12"),
        ({"format_version": 2}, "format_version: should be less than or equal to 1, not 2"),
        ({"machine": {"cpu": "x", "cpus": 2}}, "the key 'machine.system' is missing"),
    ],
)
def test_a_file_that_was_changed_by_hand_is_explained(tuned, changes, message):
    change(tuned, **changes)
    with pytest.raises(ConfigError) as found:
        rapidseg.load(tuned)
    assert message in str(found.value)
    assert "run `rapidseg tune` again" in str(found.value)


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
