"""`rapidseg.predict`, and the record that runs leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import rapidseg
from rapidseg.core.errors import InputError, ModelFileError, RapidSegError
from rapidseg.core.progress import NullProgress
from rapidseg.imaging import read_mask
from rapidseg.runtime import output_folder
from tests.support.tiny_onnx import write_tiny_onnx

RECORD, INCOMPLETE = Path("predictions/predictions.json"), Path("predictions/predictions.incomplete.json")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model beside 3 photos, in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(f"photos/{number}.png")
    return write_tiny_onnx(tmp_path / "tiny.onnx")


class Watcher(NullProgress):
    def __init__(self) -> None:
        self.updates: list[tuple[str, int, int | None]] = []
        self.messages: list[str] = []

    def update(self, task: str, done: int, total: int | None, *, unit: str = "items") -> None:
        self.updates.append((task, done, total))

    def message(self, text: str) -> None:
        self.messages.append(text)


class Interruption(Watcher):
    """Is Ctrl-C after so many images."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def update(self, task: str, done: int, total: int | None, *, unit: str = "items") -> None:
        if done >= self.after:
            raise KeyboardInterrupt


def test_report(model: Path) -> None:
    Path("photos/broken.png").touch()
    watcher = Watcher()
    report = rapidseg.predict("photos", model=model, save=["class-map"], input_size=64, progress=watcher)
    assert [entry["file"] for entry in report.files] == [str(Path(f"photos/{number}.png")) for number in range(3)]
    assert report.failed == [
        {"file": "photos/broken.png", "error": "photos/broken.png: the file is empty", "earlier_files": []}
    ]
    assert (report.complete, report.record["num_images"]) == (False, 4)
    assert report.record_path == RECORD
    assert report.folders == {"class-map": Path("predictions/class_maps")}
    assert json.loads(RECORD.read_text()) == json.loads(json.dumps(report.to_dict()))
    assert report.files[0]["input_size_hw"] == [64, 80]
    assert watcher.messages == ["skipped: photos/broken.png: the file is empty"]
    assert watcher.updates[-1] == ("segmenting", 4, 4)
    segmenter = rapidseg.load(model)
    again = rapidseg.predict(["photos/1.png", Path("photos/2.png")], model=segmenter, output="again", save=("overlay",))
    assert [Path(entry["overlay"]).name for entry in again.files] == ["1.jpg", "2.jpg"]


def test_without_images_the_sample_is_segmented(model: Path) -> None:
    watcher = Watcher()
    assert len(rapidseg.predict(model=model, output="out", progress=watcher).files) == 1
    assert watcher.messages == ["no image given: segmenting the built-in sample"]


def test_a_run_that_does_not_start_leaves_the_record(model: Path) -> None:
    rapidseg.predict("photos", model=model)
    before = RECORD.read_bytes()
    for options, error in [
        ({"model": "absent.onnx"}, ModelFileError),
        ({"images": "absent"}, InputError),
        ({"input_size": 3}, InputError),
        ({"save": ["overlays"]}, InputError),
    ]:
        with pytest.raises(error):
            rapidseg.predict(**{"images": "photos", "model": model, **options})
        assert RECORD.read_bytes() == before
        assert not INCOMPLETE.exists()


def test_a_worse_run_never_replaces_the_record_of_a_better_one(model: Path) -> None:
    Path("empty.png").touch()
    nothing = rapidseg.predict("empty.png", model=model)  # there is no better record
    assert nothing.record_path == RECORD
    partial = rapidseg.predict(["photos", "empty.png"], model=model)
    assert partial.record_path == RECORD  # better than nothing
    assert rapidseg.predict("empty.png", model=model).record_path == INCOMPLETE
    assert json.loads(RECORD.read_text()) == partial.to_dict()
    complete = rapidseg.predict("photos", model=model)
    assert complete.record_path == RECORD
    assert not INCOMPLETE.exists()  # nothing older than the record stays beside it
    for images in ("empty.png", ["photos", "empty.png"]):
        worse = rapidseg.predict(images, model=model)
        assert worse.record_path == INCOMPLETE
        assert json.loads(INCOMPLETE.read_text()) == worse.to_dict()
        assert json.loads(RECORD.read_text()) == complete.to_dict()
    again = rapidseg.predict("photos/1.png", model=model)
    assert (again.record_path, INCOMPLETE.exists()) == (RECORD, False)


def test_a_run_is_complete_only_if_every_image_was_segmented_and_saved(model: Path) -> None:
    Path("empty.png").touch()
    for images, complete in [("photos", True), (["photos", "empty.png"], False), ("empty.png", False)]:
        report = rapidseg.predict(images, model=model, output="out")
        assert report.complete is complete
        record = json.loads(report.record_path.read_text())
        assert record["complete"] is complete
        assert record["num_images"] == len(record["files"]) + len(record["failed"])
    with pytest.raises(KeyboardInterrupt):
        rapidseg.predict("photos", model=model, output="interrupted", progress=Interruption(after=2))
    record = json.loads(Path("interrupted/predictions.json").read_text())
    assert (record["complete"], record["num_images"], len(record["files"])) == (False, 3, 2)


def test_a_skipped_image_keeps_its_earlier_pictures_and_the_record_says_so(model: Path) -> None:
    complete = rapidseg.predict("photos", model=model)
    before = {path: path.read_bytes() for path in Path("predictions").rglob("*.*g")}
    assert len(before) == 6
    Path("photos/1.png").write_bytes(b"damaged")
    Image.fromarray(np.full((30, 20, 3), 200, np.uint8)).save("photos/2.png")
    watcher = Watcher()
    partial = rapidseg.predict("photos", model=model, progress=watcher)
    assert json.loads(RECORD.read_text()) == complete.to_dict()
    (failed,) = json.loads(INCOMPLETE.read_text())["failed"]
    kept = [str(Path("predictions") / name) for name in ("class_maps/1.png", "overlays/1.jpg")]
    assert failed["earlier_files"] == kept
    assert watcher.messages[0].endswith(f"; from an earlier run: {kept[0]}, {kept[1]}")
    for path, content in before.items():
        assert (path.read_bytes() == content) == (path.stem != "2")  # image 2 changed, and its pictures with it
    # The rule of docs/prediction.md: a picture is of the incomplete run if that one lists it, else of the complete one.
    assert [entry["file"] for entry in partial.files] == ["photos/0.png", "photos/2.png"]
    assert read_mask(partial.files[1]["class_map"]).shape == (30, 20)
    assert read_mask(complete.files[1]["class_map"]).shape == (40, 50)


def test_a_skipped_image_has_no_picture_in_a_new_folder(model: Path) -> None:
    Path("photos/1.png").write_bytes(b"damaged")
    report = rapidseg.predict("photos", model=model)
    assert sorted(path.name for path in Path("predictions/class_maps").iterdir()) == ["0.png", "2.png"]
    assert report.failed[0]["earlier_files"] == []


def test_an_interrupted_run_is_recorded_beside_a_complete_one(model: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        rapidseg.predict("photos", model=model, progress=Interruption(after=2))
    assert json.loads(RECORD.read_text())["complete"] is False
    complete = rapidseg.predict("photos", model=model)
    with pytest.raises(KeyboardInterrupt):
        rapidseg.predict("photos", model=model, progress=Interruption(after=1))
    assert json.loads(RECORD.read_text()) == complete.to_dict()
    assert len(json.loads(INCOMPLETE.read_text())["files"]) == 1


def test_an_output_that_cannot_be_written_leaves_the_record(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complete = rapidseg.predict("photos", model=model)

    def full(*_: object) -> None:
        raise RapidSegError("the disk is full")

    monkeypatch.setattr(output_folder, "write_class_map", full)
    with pytest.raises(RapidSegError, match="the disk is full"):
        rapidseg.predict("photos", model=model)
    assert json.loads(RECORD.read_text()) == complete.to_dict()


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"{", b"\xff"])
def test_a_file_that_is_not_a_record_is_replaced(model: Path, content: bytes) -> None:
    RECORD.parent.mkdir()
    RECORD.write_bytes(content)
    assert rapidseg.predict("photos", model=model).record_path == RECORD
    assert len(json.loads(RECORD.read_text())["files"]) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names of any bytes")
def test_names_that_are_not_utf_8(model: Path) -> None:
    name = os.fsdecode(b"photos/stra\xdfe.png")
    os.rename("photos/0.png", name)
    Path(os.fsdecode(b"photos/leer\xe9.png")).touch()
    report = rapidseg.predict("photos", model=model)
    record = json.loads(RECORD.read_bytes().decode("utf-8"))
    assert record["files"][-1]["file"] == name
    assert read_mask(record["files"][-1]["class_map"]).shape == (40, 50)
    assert len(report.failed) == 1
    absent = [sys.executable, "-m", "rapidseg", "predict", os.fsdecode(b"absent\xff.png")]
    run = subprocess.run(absent, capture_output=True, check=False)
    assert (run.returncode, run.stderr.startswith(b"error: absent")) == (2, True)
    for extra in ([], ["--json"]):
        words = ["predict", name, "photos", "-m", str(model), "-o", os.fsdecode(b"out\xff"), *extra]
        run = subprocess.run([sys.executable, "-m", "rapidseg", *words], capture_output=True, check=False)
        assert run.returncode == 1
        assert b"Traceback" not in run.stderr
        assert b"skipped: " in run.stderr
        assert b"out\\udcff" in run.stdout  # Python's name for the byte 0xff


def test_an_empty_list_of_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images given; pass image files, folders of images or globs"):
        rapidseg.predict([], output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_report_with_skipped_images_was_not_interrupted(tmp_path: Path, model: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    report = rapidseg.predict(tmp_path / "bad.jpg", model=model, output=tmp_path / "out")
    assert "1 skipped" in repr(report)
    assert "interrupted" not in repr(report)
