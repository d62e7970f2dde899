"""Outputs stay below the folder that was passed, and replace only what RapidSeg wrote."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rapidseg.core.labels import CAMVID
from rapidseg.imaging import read_image, read_mask
from rapidseg.runtime.output_folder import OutputFolder
from rapidseg.runtime.result import Result
from tests.support.data_folders import write_image, write_mask
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx

CLASSES = "classes: [{}]\nignore_index: 255\n".format(", ".join(CAMVID.names))
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="links and long names")


@pytest.fixture
def model(tmp_path):
    return write_tiny_onnx(tmp_path / "tiny.onnx", tiny_spec())


def write_listed(root: Path, lines: list[str]) -> None:
    """Writes `data/data.yaml` with a list of image and mask paths below its root, `data/lists`, and these files."""
    lists = root / "data" / "lists"
    lists.mkdir(parents=True)
    for line in lines:
        image, mask = line.split()
        write_image(lists / image)
        write_mask(lists / mask, np.zeros((12, 20), np.uint8))
    (lists / "val.txt").write_text("".join(f"{line}\n" for line in lines))
    (root / "data" / "data.yaml").write_text(f"root: lists\n{CLASSES}splits:\n  val: {{list: val.txt}}\n")


class TestListedNames:
    """Samples of `eval --save` are named by lines of lists."""

    def evaluate(self, rapidseg, *words):
        return rapidseg("eval", "tiny.onnx", "--data", "data/data.yaml", "--save", "out/pred", *words)

    def test_they_never_lead_out_of_the_folder(self, rapidseg, model, tmp_path):
        write_listed(tmp_path, ["../raw/a.png ../raw/gt/a.png", "../../b.png ../../gt/b.png", "c/../c.png gt/c.png"])
        for path in ("out/raw/a.png", "out/b.png", "raw/a.png"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text("precious")
        before = {path for path in tmp_path.rglob("*") if path.is_file()}
        status, _, error = self.evaluate(rapidseg, "--output", "scores.json")
        assert (status, error) == (0, "")
        new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
        saved = {path.relative_to(tmp_path).as_posix() for path in new}
        assert saved == {"out/pred/raw/a.png", "out/pred/b.png", "out/pred/c.png", "scores.json"}
        for path in ("out/raw/a.png", "out/b.png", "raw/a.png"):
            assert (tmp_path / path).read_text() == "precious"
        status, _, _ = rapidseg("report", "scores.json")
        assert status == 0
        assert (tmp_path / "report.html").read_text("utf-8").count("<img") >= 6  # it finds the predictions

    def test_two_that_meet_in_one_file_are_refused(self, rapidseg, model, tmp_path):
        write_listed(tmp_path, ["../raw/a.png ../gt/a.png", "raw/a.png gt/a.png"])
        status, _, error = self.evaluate(rapidseg)
        assert status == 2
        assert "contains two images, ../raw/a and raw/a, whose predictions would overwrite each other" in error
        assert not (tmp_path / "out").exists()

    def test_the_mask_of_another_sample_is_not_overwritten(self, rapidseg, model, tmp_path):
        write_listed(tmp_path, ["b.bmp gt/b.png", "c.png b.png"])
        status, _, error = rapidseg("eval", "tiny.onnx", "--data", "data/data.yaml", "--save", "data/lists")
        assert status == 2
        assert "data/lists/b.png belongs to the data set and would be overwritten; save to another folder" in error

    def test_a_second_evaluation_replaces_the_first_and_nothing_else(self, rapidseg, model, tmp_path):
        write_listed(tmp_path, ["a.png gt/a.png"])
        for _ in range(2):
            assert self.evaluate(rapidseg)[0] == 0
        Image.new("L", (20, 12)).save(tmp_path / "out/pred/a.png")
        status, _, error = self.evaluate(rapidseg)
        assert status == 2
        assert "out/pred/a.png was not written by RapidSeg and would be overwritten; choose another folder" in error

    @linux_only
    def test_a_link_in_the_folder_is_not_followed(self, rapidseg, model, tmp_path):
        write_listed(tmp_path, ["city/a.png gt/a.png"])
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "out/pred").mkdir(parents=True)
        (tmp_path / "out/pred/city").symlink_to("../../elsewhere")
        status, _, error = self.evaluate(rapidseg)
        assert status == 2
        assert "out/pred/city leads to " in error
        assert not list((tmp_path / "elsewhere").iterdir())


class TestPredict:
    def predict(self, rapidseg, *words):
        return rapidseg("predict", *words, "--model", "tiny.onnx", "-o", "out")

    def test_names_of_255_bytes_and_twins_of_them(self, rapidseg, model, tmp_path):
        longest = "x" * 251 + ".png"
        for path in (longest, f"a/{longest}", f"b/{longest}", "c/" + "é" * 125 + ".jpg", "d/" + "é" * 125 + ".png"):
            write_image(tmp_path / "photos" / path)
        status, output, error = self.predict(rapidseg, "photos/**/*.*", "--json")
        assert (status, error) == (0, "")
        files = json.loads(output)["files"]
        class_maps = {entry["class_map"] for entry in files}
        assert len(class_maps) == len({entry["overlay"] for entry in files}) == 5
        assert all(Path(path).is_file() and len(os.fsencode(Path(path).name)) <= 255 for path in class_maps)

    def test_files_of_other_programs_are_kept(self, rapidseg, model, tmp_path):
        write_image(tmp_path / "a.png")
        write_mask(tmp_path / "out/class_maps/a.png", np.ones((12, 20), np.uint8))
        before = (tmp_path / "out/class_maps/a.png").read_bytes()
        status, _, error = self.predict(rapidseg, "a.png")
        assert status == 2
        assert "out/class_maps/a.png was not written by RapidSeg and would be overwritten" in error
        assert (tmp_path / "out/class_maps/a.png").read_bytes() == before
        assert not (tmp_path / "out/overlays").exists()

    def test_pictures_of_versions_without_a_mark_are_known_from_the_record(self, rapidseg, model, tmp_path):
        write_image(tmp_path / "a.png")
        assert self.predict(rapidseg, "a.png")[0] == 0
        for path in ("out/class_maps/a.png", "out/overlays/a.jpg"):
            Image.new("L", (20, 12)).save(tmp_path / path)
        assert self.predict(rapidseg, "a.png")[0] == 0
        assert read_mask(tmp_path / "out/class_maps/a.png").shape == (12, 20)

    @pytest.mark.parametrize("content", ['[{"image_id": 1}]', '{"images": []}'])
    @pytest.mark.parametrize("name", ["predictions.json", "predictions.incomplete.json"])
    def test_predictions_of_other_programs_are_kept(self, name, content, rapidseg, model, tmp_path):
        write_image(tmp_path / "a.png")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / name).write_text(content)
        status, _, error = self.predict(rapidseg, "a.png")
        assert status == 2
        assert f"out/{name} was not written by RapidSeg and would be overwritten" in error
        assert (tmp_path / "out" / name).read_text() == content

    def test_an_image_named_like_the_record_is_kept(self, rapidseg, model, tmp_path):
        write_image(tmp_path / "out/a.png")
        os.rename(tmp_path / "out/a.png", tmp_path / "out/predictions.json")
        status, _, error = self.predict(rapidseg, "out/predictions.json")
        assert status == 2
        assert "out/predictions.json is an image to segment and would be overwritten; choose another folder" in error
        assert read_image(tmp_path / "out/predictions.json").shape == (12, 20, 3)

    @linux_only
    def test_a_link_in_the_folder_is_not_followed(self, rapidseg, model, tmp_path):
        write_image(tmp_path / "a.png")
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "out").mkdir()
        (tmp_path / "out/overlays").symlink_to("../elsewhere")
        status, _, error = self.predict(rapidseg, "a.png")
        assert status == 2
        assert "out/overlays leads to " in error
        assert not list((tmp_path / "elsewhere").iterdir())

    def test_an_overlay_that_no_jpeg_can_hold_is_a_png(self, tmp_path):
        image = np.zeros((32, 65_501, 3), np.uint8)
        result = Result(image[..., 0], CAMVID, image, (32, 32), {}, source=tmp_path / "wide.png")
        folder = OutputFolder(tmp_path / "out", [tmp_path / "wide.png"], ["overlay"])
        for _ in range(2):
            entry = folder.save(result)
        assert entry["overlay"] == str(tmp_path / "out/overlays/wide.png")
        assert read_image(entry["overlay"]).shape[1] == 65_501

    def test_many_images_of_one_name_are_planned_quickly(self):
        images = [Path(f"{number}/image.png") for number in range(5000)]
        folder = OutputFolder(Path("out"), images, ["class-map"])
        assert folder.paths(images[-1])["class-map"].name == "image_5000.png"


class TestDefaultNames:
    """Names that nobody passed."""

    def test_a_page_of_another_program_is_kept(self, rapidseg, model, tmp_path):
        write_listed(tmp_path, ["a.png gt/a.png"])
        assert rapidseg("eval", "tiny.onnx", "--data", "data/data.yaml", "-o", "a.json")[0] == 0
        for _ in range(2):
            assert rapidseg("report", "a.json")[0] == 0
        (tmp_path / "report.html").write_text("<html>coverage</html>")
        status, _, error = rapidseg("report", "a.json")
        assert status == 2
        assert "report.html exists and was not written by RapidSeg; choose the name of the page: --output FILE" in error
        assert rapidseg("report", "a.json", "-o", "report.html")[0] == 0

    @pytest.mark.parametrize(("command", "suffix"), [("export", ".onnx"), ("import", ".safetensors")])
    def test_a_model_of_another_program_is_kept(self, command, suffix, rapidseg, tmp_path):
        (tmp_path / "best.pth").touch()
        (tmp_path / f"best{suffix}").write_text("weights")
        status, _, error = rapidseg(command, "best.pth")
        assert status == 2
        assert (
            f"best{suffix} exists and was not written by RapidSeg; choose the name of the new file: --output" in error
        )
        assert (tmp_path / f"best{suffix}").read_text() == "weights"

    def test_a_tuned_file_of_another_program_is_kept(self, rapidseg, model, tmp_path):
        (tmp_path / "tiny.tuned.yaml").write_text("a: 1\n")
        status, _, error = rapidseg("tune", "tiny.onnx", "--min-fps", "1")
        assert status == 2
        assert "tiny.tuned.yaml exists and was not written by `rapidseg tune`; choose the name of the new" in error


@pytest.mark.parametrize(
    "words",
    [
        ("eval", "tiny.onnx", "--data", "data.json", "-o", "data.json"),
        ("tune", "tiny.onnx", "--min-fps", "1", "--data", "data.yaml", "-o", "./data.yaml"),
        ("export", "tiny.onnx", "--precision", "int8", "--data", "data.yaml", "-o", "tiny.onnx"),
        ("import", "w.safetensors", "-o", "w.safetensors"),
        ("import", "w.safetensors"),
    ],
)
def test_no_command_replaces_its_input(words, rapidseg, model, tmp_path):
    for name in ("data.json", "data.yaml", "w.safetensors"):
        (tmp_path / name).write_text("precious")
    status, _, error = rapidseg(*words)
    assert status == 2
    assert "would be replaced; pass another name that ends in ." in error
    assert [(tmp_path / name).read_text() for name in ("data.json", "data.yaml", "w.safetensors")] == ["precious"] * 3
