"""`evaluate` and `compare_runs` from Python: no command line, the same numbers and documents."""

from __future__ import annotations

import json

import numpy as np
import pytest

import rapidseg
from rapidseg import load
from rapidseg.core.errors import InputError
from rapidseg.core.labels import CAMVID, LabelSet
from rapidseg.core.spec import ModelSpec
from rapidseg.workflows.evaluate import evaluate
from rapidseg.workflows.report import compare_runs, open_run
from tests.support.data_folders import write_camvid
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx


class Watcher:
    """A progress that remembers what it was told."""

    def __init__(self):
        self.updates, self.messages = [], []

    def update(self, task, done, total, *, unit="items"):
        self.updates.append((task, done, total))

    def metrics(self, step, values):
        raise AssertionError("nothing is measured while evaluating")

    def message(self, text):
        self.messages.append(text)


@pytest.fixture
def camvid(tmp_path):
    return write_camvid(tmp_path / "camvid", ("train", "val"))


@pytest.fixture
def model(tmp_path):
    write_tiny_onnx(tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def spec_trained_on(**said):
    return tiny_spec(CAMVID).model_copy(update=said)


def test_a_report_has_scores_settings_and_pages(camvid, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    watcher = Watcher()
    segmenter = load(model)
    report = evaluate(
        segmenter, data="camvid", root=camvid, protocol="sliding", crop=(32, 48), input_size=(64, 96), progress=watcher
    )
    document = report.to_dict()
    assert 0 < report.scores.mean_iou == document["mean_iou"] < 1
    assert report.class_iou["Road"] == document["classes"][3]["iou"]
    assert [image.name for image in report.worst] == [image["name"] for image in document["worst"]]
    assert report.protocol["crop_hw"] == [32, 48]
    assert report.warnings == ()
    assert watcher.updates == [("evaluating camvid val", done, 3) for done in (1, 2, 3)]
    assert "model.onnx on camvid val: mIoU 0." in repr(report)
    assert "crop=(32, 48), input_size=(64, 96)" in document["command"]
    assert eval(document["command"], {"rapidseg": rapidseg}).scores.mean_iou == report.scores.mean_iou
    report.save(tmp_path / "run.json")
    assert json.loads((tmp_path / "run.json").read_text()) == document
    report.to_html(tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text("utf-8").count("<img src=") == 3 * 3


def test_a_file_and_a_segmenter_get_the_same_scores(camvid, model):
    by_name = evaluate(model, data="camvid", root=camvid)
    loaded = evaluate(load(model), data="camvid", root=camvid)
    assert by_name.evaluation.matrix.counts.tolist() == loaded.evaluation.matrix.counts.tolist()
    assert by_name.run.model == loaded.run.model == str(model)


def test_the_report_has_the_license_of_the_weights(camvid, tmp_path):
    write_tiny_onnx(tmp_path / "model.onnx", spec_trained_on(license="CC0-1.0"))
    report = evaluate(tmp_path / "model.onnx", data="camvid", root=camvid)
    assert report.to_dict()["license"] == "CC0-1.0"


@pytest.mark.parametrize(
    "said",
    [
        {"trained_on": ("camvid/train", "camvid/val", "streets/train")},
        {"dataset": "camvid train+val"},
        {"dataset": "camvid+streets train+val+train"},
    ],
)
def test_a_score_on_a_split_that_the_model_was_trained_on_is_marked(camvid, tmp_path, said):
    write_tiny_onnx(tmp_path / "model.onnx", spec_trained_on(**said))
    report = evaluate(tmp_path / "model.onnx", data="camvid", root=camvid, split="train+val")
    (warning,) = report.warnings
    assert warning.startswith(f"{tmp_path / 'model.onnx'} was trained on camvid train+val, so these scores do")
    assert report.to_dict()["warnings"] == [warning]
    report.to_html(tmp_path / "r.html")
    assert "was trained on camvid train+val" in (tmp_path / "r.html").read_text("utf-8")
    assert "1 warning" in repr(report)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"dataset": "cityscapes"},
        {"dataset": "camvid train"},
        {"dataset": "camvid+streets train+val"[:-4] + "+train"},
        {"trained_on": ("camvid/train", "roads/val"), "dataset": "camvid val"},
    ],
)
def test_a_score_on_other_images_is_not_marked(camvid, tmp_path, said):
    write_tiny_onnx(tmp_path / "model.onnx", spec_trained_on(**said))
    assert evaluate(tmp_path / "model.onnx", data="camvid", root=camvid, split="val").warnings == ()


def test_the_splits_of_older_specifications_are_understood():
    def splits(dataset):
        return spec_trained_on(dataset=dataset).training_splits

    assert splits("camvid train") == ("camvid/train",)
    assert splits("camvid+streets train+val+train") == ("camvid/train", "camvid/val", "streets/train")
    assert splits("a+b train") == ("a/train", "b/train")
    # The text does not tell which of the two was learned from which split.
    assert splits("a+b train+val") == ("a/train", "a/val", "b/train", "b/val")
    assert splits(None) == splits("cityscapes") == splits("some images of mine") == ()


def test_the_training_data_are_readable():
    splits = ("camvid/train", "camvid/val", "synth-as-camvid/train")
    text = "camvid train+val, synth-as-camvid train"
    assert spec_trained_on(trained_on=splits, dataset=text).training_data == text
    assert spec_trained_on(dataset="camvid+synth-as-camvid train+val+train").training_data == text  # older files
    assert spec_trained_on(dataset="CamVid, as published").training_data == "CamVid, as published"
    assert spec_trained_on().training_data is None


def test_the_built_in_models_know_what_they_were_trained_on():
    from rapidseg.runtime.model_file import BUILT_IN_MODELS, find_model, read_spec

    for name in BUILT_IN_MODELS:
        spec: ModelSpec = read_spec(find_model(name))
        assert spec.training_splits == ("camvid/train", "camvid/val", "synth-as-camvid/train")


def test_a_crop_that_is_larger_than_the_images_sees_them_whole_and_says_so(camvid, model):
    size = {"input_size": (64, 96)}
    sliding = evaluate(model, data="camvid", root=camvid, protocol="sliding", crop=(769, 769), **size)
    fitting = evaluate(model, data="camvid", root=camvid, protocol="sliding", crop=(64, 96), **size)
    assert sliding.evaluation.matrix.counts.tolist() == fitting.evaluation.matrix.counts.tolist()
    (warning,) = sliding.warnings
    assert warning.startswith("the crop 769x769 is as large as every image at the network's input size")
    assert evaluate(model, data="camvid", root=camvid, protocol="sliding", crop=(32, 769), input_size=64).warnings == ()


def test_an_own_class_mapping(camvid, tmp_path):
    write_tiny_onnx(tmp_path / "model.onnx", tiny_spec(LabelSet.generic(2)))
    report = evaluate(tmp_path / "model.onnx", data="camvid", root=camvid, class_mapping=(3, 8))
    assert report.run.class_mapping == "custom"
    counts = report.evaluation.matrix.counts
    assert np.flatnonzero(counts.sum(axis=0)).tolist() in ([3], [8], [3, 8])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"protocol": "slide"}, r"unknown protocol 'slide'; allowed are whole, sliding, multi-scale \(did you mean"),
        ({"crop": (64, 64)}, "crop belongs to protocol sliding, but the protocol is whole; remove it, or choose"),
        ({"protocol": "sliding"}, "protocol sliding needs crop, the size of its windows, such as 769x769"),
        ({"subsample": 3}, "subsample is 3; allowed are 1, 2, 4"),
        (
            {"device": "cpu"},
            "engine, precision and device are chosen when a model is loaded; pass them to rapidseg.load",
        ),
        ({"class_mapping": "cityscapes-to-camvit"}, r"unknown class mapping 'cityscapes-to-camvit' \(did you mean"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(camvid, model, settings, message):
    with pytest.raises(InputError, match=message):
        evaluate(load(model), data="camvid", root=camvid, **settings)


def test_two_runs_are_compared(camvid, tmp_path):
    write_tiny_onnx(tmp_path / "model.onnx", spec_trained_on(trained_on=("camvid/val",)))
    first = evaluate(tmp_path / "model.onnx", data="camvid", root=camvid, output=tmp_path / "a.json")
    second = evaluate(tmp_path / "model.onnx", data="camvid", root=camvid, input_size=64, output=tmp_path / "b.json")
    report = compare_runs([tmp_path / "a.json", tmp_path / "b.json"], images=1)
    mean = report.means[0]
    assert (mean.name, mean.first, mean.second) == ("mIoU", first.scores.mean_iou, second.scores.mean_iou)
    assert [warning[:14] for warning in report.warnings] == [f"A: {tmp_path}"[:14], f"B: {tmp_path}"[:14]]
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["runs"][0]["warnings"]
    report.to_html(tmp_path / "ab.html")
    content = (tmp_path / "ab.html").read_text("utf-8")
    assert "Warning (A):" in content
    assert "Warning (B):" in content
    assert "ComparisonReport" in repr(report)
    single = open_run(tmp_path / "a.json")
    assert single.to_dict()["mean_iou"] == pytest.approx(first.scores.mean_iou)
    with pytest.raises(InputError, match="a comparison needs two documents, not 1; pass those of run A and run B"):
        compare_runs([tmp_path / "a.json"])


def test_documents_from_before_warnings_are_read(camvid, model, tmp_path):
    document = evaluate(model, data="camvid", root=camvid).to_dict()
    del document["warnings"]
    (tmp_path / "old.json").write_text(json.dumps(document))
    assert open_run(tmp_path / "old.json").run.warnings == ()


def test_an_image_that_cannot_be_read_is_skipped_and_named(camvid, model, tmp_path):
    image = sorted((camvid / "val").iterdir())[0]
    image.write_bytes(image.read_bytes()[:-30])
    watcher = Watcher()
    report = evaluate(load(model), data="camvid", root=camvid, progress=watcher, output=tmp_path / "run.json")
    assert not report.complete
    assert "damaged or cut off" in report.failed[0].error
    assert any(message.startswith("skipped: ") and image.name in message for message in watcher.messages)
    assert any("could not be read or segmented, so the scores are those" in warning for warning in report.warnings)
    assert open_run(tmp_path / "run.json").run.failed[0].name == report.failed[0].name
    assert json.loads((tmp_path / "run.json").read_text())["failed"][0]["error"] == report.failed[0].error


def test_the_command_exits_with_1_where_an_image_was_skipped(camvid, model, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from rapidseg.cli.commands import app

    image = sorted((camvid / "val").iterdir())[0]
    image.write_bytes(image.read_bytes()[:-30])
    monkeypatch.chdir(tmp_path)
    words = ["eval", str(model), "--data", "camvid", "--root", str(camvid)]
    assert CliRunner().invoke(app, words).exit_code == 1
