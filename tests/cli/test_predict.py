"""`rapidseg predict`, as a person types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rapidseg.core.labels import CAMVID
from rapidseg.imaging import read_image, read_mask
from rapidseg.runtime import model_file
from tests.support.interruptible import interruptible_command
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx

STAGES = ["decode", "compile", "prepare", "network", "class_map", "draw", "write"]


@pytest.fixture
def model(tmp_path):
    return write_tiny_onnx(tmp_path / "tiny.onnx", tiny_spec(dataset="noise"))


@pytest.fixture
def photos(tmp_path):
    """a/x.png, b/x.jpg and b/y.png, of different sizes."""
    rng = np.random.default_rng(0)
    for name, size_hw in {"a/x.png": (60, 80), "b/x.jpg": (50, 40), "b/y.png": (20, 90)}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size_hw, 3), dtype=np.uint8)).save(path)
    return tmp_path


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if ".part" in path.name]


def test_images_folders_and_globs(rapidseg, model, photos):
    status, output, error = rapidseg("predict", "a", "b/*.jpg", "b/y.png", "--model", model)
    assert (status, error) == (0, "")
    assert "3 images segmented (tiny, openvino, float32, cpu)" in output
    assert f"class maps: {Path('predictions') / 'class_maps'}" in output
    assert f"record: {Path('predictions') / 'predictions.json'}" in output
    record = json.loads(Path("predictions/predictions.json").read_text())
    assert record["complete"] is True
    assert record["failed"] == []
    about = {"architecture": "tiny", "dataset": "noise", "license": None, "checksum": None}
    assert record["model"] == {"file": str(model), **about}
    assert record["choice"].startswith("OpenVINO")
    assert record["classes"] == list(CAMVID.names)
    assert list(record["median_ms"]) == STAGES
    assert [entry["file"] for entry in record["files"]] == [str(Path(p)) for p in ("a/x.png", "b/x.jpg", "b/y.png")]
    names = [Path(entry["class_map"]).name for entry in record["files"]]
    assert names == ["x.png", "x_2.png", "y.png"]  # two are called x
    for entry in record["files"]:
        image, class_map = read_image(entry["file"]), read_mask(entry["class_map"])
        assert entry["size_hw"] == list(image.shape[:2]) == list(class_map.shape)
        assert list(entry["timings_ms"]) == STAGES
        assert sum(entry["class_shares"].values()) == pytest.approx(1, abs=1e-4)
        assert entry["class_shares"]["Road"] == pytest.approx(np.mean(class_map == 3), abs=1e-6)
        np.testing.assert_array_equal(read_image(entry["class_map"]), CAMVID.palette_array()[class_map])
        drawn = read_image(entry["overlay"])
        assert drawn.shape[0] > image.shape[0]  # the legend
        assert drawn.shape[1] >= image.shape[1]
    assert not leftovers(photos)


def test_without_a_path_the_sample_is_segmented_and_that_is_said(rapidseg, model, photos, monkeypatch):
    monkeypatch.setattr(model_file, "SAMPLE_IMAGE", photos / "a" / "x.png")
    status, output, error = rapidseg("predict", "-m", model)
    assert status == 0
    assert "no image given: segmenting the built-in sample" in error
    assert "1 image segmented" in output
    assert "shares: " in output
    assert Path("predictions/overlays/x.jpg").exists()


def test_json_is_one_document_on_standard_output(rapidseg, model, photos):
    status, output, error = rapidseg("predict", "a/x.png", "-m", model, "-o", "out", "--json")
    assert (status, error) == (0, "")
    assert json.loads(output) == json.loads(Path("out/predictions.json").read_text())


def test_what_to_save(rapidseg, model, photos):
    rapidseg("predict", "a", "-m", model, "--save", "class-map", "-o", "maps")
    assert sorted(path.name for path in Path("maps").iterdir()) == ["class_maps", "predictions.json"]
    rapidseg("predict", "a", "-m", model, "--save", "overlay", "-o", "pictures")
    assert sorted(path.name for path in Path("pictures").iterdir()) == ["overlays", "predictions.json"]
    rapidseg("predict", "a", "-m", model, "--save", "confidence", "-o", "sure")
    with Image.open(next(Path("sure/confidences").iterdir())) as gray:
        assert gray.mode == "L"
        assert np.asarray(gray).min() >= 255 // 11


@pytest.mark.parametrize(
    ("option", "value", "choices"),
    [
        ("--save", "overlays", "'class-map', 'overlay', 'confidence'"),
        ("--engine", "fast", "'auto', 'openvino', 'onnxruntime', 'torch'"),
        ("--precision", "fp32", "'auto', 'float32', 'bf16', 'fp16', 'int8'"),
    ],
)
def test_choices_are_checked(rapidseg, model, photos, option, value, choices):
    status, _, error = rapidseg("predict", "a", "-m", model, option, value)
    assert status == 2
    assert f"{value!r} is not one of {choices}" in " ".join(error.replace("│", " ").split())


@pytest.mark.parametrize(("size", "input_size_hw"), [("96", [96, 128]), ("64x100", [64, 100])])
def test_size(rapidseg, model, photos, size, input_size_hw):
    status, output, _ = rapidseg("predict", "a/x.png", "-m", model, "--input-size", size, "--json")
    assert status == 0
    assert json.loads(output)["files"][0]["input_size_hw"] == input_size_hw
    assert json.loads(output)["files"][0]["size_hw"] == [60, 80]


def test_onnxruntime(rapidseg, model, photos):
    status, output, _ = rapidseg("predict", "a/x.png", "-m", model, "--engine", "onnxruntime", "--json")
    assert status == 0
    assert json.loads(output)["engine"] == "onnxruntime"


def test_a_bad_file_is_skipped_and_named(rapidseg, model, photos):
    Path("a/broken.png").write_bytes(Path("a/x.png").read_bytes()[:900])
    Path("a/notes.jpg").write_text("no picture")
    status, output, error = rapidseg("predict", "a", "b", "-m", model)
    assert status == 1
    assert "skipped: a/broken.png: the file is damaged or cut off" in error
    assert "skipped: a/notes.jpg: not a readable" in error
    assert "3 images segmented, 2 skipped" in output
    record = json.loads(Path("predictions/predictions.json").read_text())
    assert [entry["file"] for entry in record["failed"]] == ["a/broken.png", "a/notes.jpg"]
    assert len(record["files"]) == 3
    assert record["complete"] is False


def test_only_bad_files(rapidseg, model, photos):
    Path("bad.png").touch()
    status, output, _ = rapidseg("predict", "bad.png", "-m", model, "--json")
    assert status == 1
    assert json.loads(output)["files"] == []
    assert json.loads(output)["failed"] == [
        {"file": "bad.png", "error": "bad.png: the file is empty", "earlier_files": []}
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent.png"], "absent.png: no such file or folder"),
        (["a/*.webp"], "a/*.webp: this pattern matches no image file"),
        (["a", "--model", "absent.onnx"], "absent.onnx is neither a file nor the name of a model"),
        (["a", "--model", "a/x.png"], "a/x.png is an image, not a model"),
        (["a", "--input-size", "big"], "'big' is not an input size; write pixels of the shorter side"),
        (["a", "--input-size", "12"], "input size 12 is not allowed"),
        (["a", "--device", "moon"], "OpenVINO: device 'moon' not found; available:"),
        (["a", "--output", "b/y.png"], "b/y.png is a file; results are written to a folder"),
    ],
)
def test_mistakes(rapidseg, model, photos, words, message):
    status, output, error = rapidseg("predict", *(words if "--model" in words else [*words, "--model", model]))
    assert (status, output) == (2, "")
    assert error.startswith("error: ")
    assert message in error
    assert "Traceback" not in error
    assert not Path("predictions").exists()


def test_a_checkpoint_is_run_as_a_model_file(rapidseg, photos, monkeypatch, tmp_path):
    pytest.importorskip("torch")
    from rapidseg.models import create_model, save_model

    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    save_model(create_model("fast-scnn", labels=CAMVID), "best.safetensors")
    status, output, error = rapidseg(
        "predict", "a/x.png", "-m", "best.safetensors", "--engine", "onnxruntime", "--json"
    )
    assert (status, error) == (0, "")
    record = json.loads(output)
    assert (record["engine"], record["model"]["file"]) == ("onnxruntime", "best.safetensors")
    status, output, _ = rapidseg("models", "cache")
    assert status == 0
    assert "best-" in output
    assert "model file" in output
    status, output, _ = rapidseg("models", "cache", "--clear", "--json")
    assert json.loads(output)["freed_bytes"] > 4_000_000
    assert "no files" in rapidseg("models", "cache")[1]


def test_an_unusual_network_runs_in_pytorch(rapidseg, photos):
    pytest.importorskip("torch")
    from rapidseg.models import create_model, save_model

    save_model(create_model("fast-scnn", labels=CAMVID, width=0.25), "best.safetensors")
    status, output, error = rapidseg("predict", "a/x.png", "-m", "best.safetensors", "--device", "cpu", "--json")
    assert (status, error) == (0, "")
    record = json.loads(output)
    assert (record["engine"], record["precision"], record["device"]) == ("torch", "float32", "cpu")
    assert record["model"]["file"] == "best.safetensors"
    status, _, error = rapidseg("predict", "a", "-m", "best.safetensors", "--engine", "openvino")
    assert status == 2
    assert error.startswith("error: best.safetensors has options of its network that run only in PyTorch and float32")


def test_a_failed_run_says_where_its_record_is(rapidseg, model, photos):
    rapidseg("predict", "a", "-m", model)
    before = Path("predictions/predictions.json").read_bytes()
    Path("a/broken.png").touch()
    status, output, _ = rapidseg("predict", "a", "-m", model)
    assert status == 1
    assert f"record: {Path('predictions') / 'predictions.incomplete.json'}" in output
    assert Path("predictions/predictions.json").read_bytes() == before


def test_help(rapidseg):
    status, output, _ = rapidseg("predict", "--help")
    assert status == 0
    assert output.count("rapidseg predict ") >= 3  # usage and two examples
    for group in ("Model and engine", "Output"):
        assert f"─ {group} ─" in output


def test_results_never_overwrite_an_image(rapidseg, model, photos):
    rapidseg("predict", "a/x.png", "-m", model)
    status, _, error = rapidseg("predict", "predictions/class_maps/x.png", "-m", model)
    assert status == 2
    assert "is an image to segment and would be overwritten; choose another folder" in error


def test_a_second_run_replaces_the_first(rapidseg, model, photos):
    for _ in range(2):
        status, _, _ = rapidseg("predict", "a", "-m", model)
        assert status == 0
    assert len(list(Path("predictions/class_maps").iterdir())) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent as a POSIX signal")
def test_an_interrupted_run_leaves_nothing_half_written(model, photos):
    (photos / "many").mkdir()
    for number in range(400):
        os.link(photos / "a" / "x.png", photos / "many" / f"{number:03}.png")
    command = interruptible_command("predict", "many", "-m", model)
    process = subprocess.Popen(command, cwd=photos, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    maps = photos / "predictions" / "class_maps"
    while process.poll() is None and not (maps.exists() and len(list(maps.iterdir())) > 5):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert not leftovers(photos)
    record = json.loads((photos / "predictions" / "predictions.json").read_text())
    assert record["complete"] is False
    assert 0 < len(record["files"]) < 400
    for entry in record["files"]:
        assert read_mask(photos / entry["class_map"]).shape == tuple(entry["size_hw"])
    for path in maps.iterdir():
        read_mask(path)
