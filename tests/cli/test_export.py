"""`rapidseg export`, as a person types it."""

import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from rapidseg.core.labels import CAMVID, CITYSCAPES
from rapidseg.models import create_model, save_model
from rapidseg.runtime.engines.openvino import openvino_computes_in_bf16
from tests.support.block_scenes import write_block_scenes
from tests.support.brightness_onnx import CLASSES, write_brightness_onnx

pytestmark = pytest.mark.usefixtures("traced_once")


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    model = create_model("fast-scnn", labels=CAMVID, width=0.25).eval()
    save_model(model, tmp_path / "best.safetensors")
    return tmp_path / "best.safetensors"


@pytest.fixture
def small_checks(monkeypatch):
    """Compares at two small sizes, for tests that are not about the sizes."""
    monkeypatch.setattr("rapidseg.exporting.verification.CHECK_SIZES", ((97, 161), (64, 96)))


def test_a_checkpoint_becomes_a_file_beside_it(rapidseg, checkpoint):
    status, output, error = rapidseg("export", checkpoint)
    assert (status, error) == (0, "")
    assert checkpoint.with_suffix(".onnx").stat().st_size > 100_000
    assert "3 of 1024x2048" in output
    assert "100.000%" in output
    assert "fast-scnn, 11 classes" in output
    assert "max logit error (relative to the largest logit); pixels with the same class" in output
    expected = "bf16 agrees with float32 on " if openvino_computes_in_bf16("cpu") else "bf16 was not measured"
    assert expected in output
    assert "fp16 agrees with float32 on " in output
    assert "of pixels (threshold 99.5%); it is " in output


def test_json_is_one_document_and_the_file_is_where_it_was_asked_for(rapidseg, checkpoint, tmp_path, small_checks):
    status, output, error = rapidseg("export", checkpoint, "-o", tmp_path / "new" / "m.onnx", "--json")
    assert (status, error) == (0, "")
    document = json.loads(output)
    assert document["file"] == str(tmp_path / "new" / "m.onnx")
    assert document["size_bytes"] == (tmp_path / "new" / "m.onnx").stat().st_size
    assert {check["engine"] for check in document["checks"]} == {"openvino", "onnxruntime", "torch"}
    assert all(check["relative_error"] < 1e-4 for check in document["checks"])
    assert document["spec"]["labels"]["names"] == list(CAMVID.names)
    assert set(document["spec"]["precisions"]) == {"fp16", *(["bf16"] if openvino_computes_in_bf16("cpu") else [])}


def test_an_exported_file_becomes_int8_with_a_fallback_layer(rapidseg, tmp_path):
    write_brightness_onnx(tmp_path / "model.onnx", loud=1)
    write_block_scenes(tmp_path / "scenes", classes=CLASSES)
    words = ["--precision", "int8", "--data", "cityscapes", "--root", "scenes", "--max-drop", 2]
    status, output, error = rapidseg("export", "model.onnx", *words)
    assert (status, error) == (0, "")
    assert "mIoU on cityscapes val: 0.8" in output
    assert "fallback layers, in floating point: 1 of 4; with all layers in INT8, mIoU drops by " in output
    assert "  classifier: " in output
    assert "3 of 1024x2048" in output
    assert "wrote model-int8.onnx: brightness, 19 classes, 0.0 MB" in output


def test_a_checkpoint_becomes_int8(rapidseg, tmp_path, small_checks):
    torch.manual_seed(0)
    save_model(create_model("fast-scnn", labels=CITYSCAPES, width=0.25).eval(), tmp_path / "best.safetensors")
    write_block_scenes(tmp_path / "scenes", train=4, val=1)
    words = ["--precision", "int8", "--data", "cityscapes", "--root", "scenes", "--input-size", 64]
    # An untrained network guesses, and INT8 guesses otherwise: 100 points may be lost.
    words += ["--calibration-images", 3, "--max-drop", 100, "-o", "small.onnx", "--json"]
    status, output, error = rapidseg("export", "best.safetensors", *words)
    assert (status, error) == (0, "")
    document = json.loads(output)
    assert document["size_bytes"] == (tmp_path / "small.onnx").stat().st_size < 0.6 * document["float32_size_bytes"]
    quantization = document["spec"]["quantization"]
    assert (quantization["fallback_layers"], quantization["calibration_images"], quantization["input_size"]) == (
        [],
        3,
        64,
    )
    assert not (tmp_path / "best.onnx").exists()


def test_without_nncf_the_extra_is_named(rapidseg, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    write_brightness_onnx(tmp_path / "model.onnx")
    write_block_scenes(tmp_path / "scenes", classes=CLASSES)
    words = ["--precision", "int8", "--data", "cityscapes", "--root", "scenes"]
    status, _, error = rapidseg("export", "model.onnx", *words)
    assert status == 2
    assert "nncf is not installed; run in the clone of RapidSeg: " in error
    assert "pip install -c constraints.txt '.[quantize]'" in error


def test_int8_that_costs_too_much_is_one_message_and_exit_status_2(rapidseg, tmp_path):
    write_brightness_onnx(tmp_path / "model.onnx", quiet=0, loud=3)
    write_block_scenes(tmp_path / "scenes", classes=CLASSES)
    words = ["--precision", "int8", "--data", "cityscapes", "--root", "scenes"]
    status, output, error = rapidseg("export", "model.onnx", *words)
    assert (status, output) == (2, "")
    assert "INT8 loses more than 0.5 points of the mean IoU of 0.8" in error
    assert not (tmp_path / "model-int8.onnx").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.pth"], "no such file"),
        (["model.onnx"], "model.onnx is already an exported file; pass the checkpoint that it was made from"),
        (["best.safetensors", "-o", "model.bin"], "model.bin: pass a file name that ends in .onnx, such as model.onnx"),
        (["best.safetensors", "-o", "."], ". is a folder; pass a file name that ends in .onnx"),
        (["best.safetensors", "-o", "./"], "./ is a folder; pass a file name that ends in .onnx"),
        (["best.safetensors", "-o", "/"], "/ is a folder; pass a file name that ends in .onnx"),
        (["best.safetensors", "-o", "new/"], "new/ is a folder; pass a file name that ends in .onnx"),
        (
            ["best.safetensors", "--precision", "int8"],
            "pass --data (data= in Python), such as --data camvid --root FOLDER",
        ),
    ],
)
def test_mistakes_are_one_message_and_exit_status_2(words, message, rapidseg, checkpoint, monkeypatch):
    monkeypatch.chdir(checkpoint.parent)
    status, output, error = rapidseg("export", *words)
    assert (status, output) == (2, "")
    assert message in error
    assert "Traceback" not in error
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_a_wrong_precision_is_answered_with_the_choices(rapidseg, checkpoint):
    status, output, error = rapidseg("export", "best.safetensors", "--precision", "fp8")
    assert (status, output) == (2, "")
    assert "'fp8' is not one of 'float32', 'int8'" in " ".join(error.replace("\u2502", " ").split())


def test_a_checkpoint_becomes_a_static_file_that_returns_class_maps(rapidseg, checkpoint):
    words = ["--static", "64x96", "--output", "class-map", "-o", "m.onnx"]
    status, output, error = rapidseg("export", checkpoint, *words)
    assert (status, error) == (0, "")
    assert "compared with PyTorch: " in output
    assert "compared with what RapidSeg predicts: pixels with the same class" in output
    assert " opencv " in output
    assert "wrote m.onnx: fast-scnn, 11 classes, 64x96 only, class maps (uint8), " in output
    assert not checkpoint.with_suffix(".onnx").exists()
    status, output, error = rapidseg("predict", "m.onnx", "-m", "m.onnx")
    assert (status, output) == (2, "")
    assert "m.onnx returns class maps, for other programs; RapidSeg needs logits: use the model that it was" in error
    assert "Traceback" not in error


def test_a_checkpoint_becomes_a_static_file(rapidseg, checkpoint):
    status, output, error = rapidseg("export", checkpoint, "--static", "64x96", "--json")
    assert (status, error) == (0, "")
    document = json.loads(output)
    assert document["file"] == str(checkpoint.with_name("best-64x96.onnx"))
    assert [(check["engine"], check["size_hw"]) for check in document["checks"]] == [
        (engine, [64, 96]) for engine in ("openvino", "onnxruntime", "torch", "opencv")
    ]
    assert {tuple(check["size_hw"]) for check in document["source"]["checks"]} == {(64, 96)}
    assert "file" not in document["source"]
    Image.new("RGB", (200, 100), "gray").save("photo.png")
    assert rapidseg("predict", "photo.png", "-m", checkpoint.with_name("best-64x96.onnx"))[0] == 0
    record = json.loads(Path("predictions/predictions.json").read_text())
    assert record["files"][0]["input_size_hw"] == [64, 96]
    status, _, error = rapidseg("predict", "photo.png", "-m", "best-64x96.onnx", "--input-size", 128)
    assert status == 2
    assert "best-64x96.onnx is a static file, whose network sees every image at 64x96, and not at 128" in error


def test_a_built_in_model_becomes_int8_and_static_files(rapidseg, tmp_path):
    write_brightness_onnx(tmp_path / "model.onnx")
    write_block_scenes(tmp_path / "scenes", classes=CLASSES)
    words = ["--precision", "int8", "--data", "cityscapes", "--root", "scenes", "--static", "64x128"]
    status, output, error = rapidseg("export", "model.onnx", *words)
    assert (status, error) == (0, "")
    assert "mIoU on cityscapes val: " in output
    assert "wrote model-int8-64x128.onnx: brightness, 19 classes, 64x128 only, logits, 0.0 MB" in output
    assert {path.name for path in tmp_path.glob("*.onnx")} == {"model.onnx", "model-int8-64x128.onnx"}
    status, output, error = rapidseg("export", "fast-scnn-camvid", "--static", "64x96")
    assert (status, error) == (0, "")
    assert "wrote fast-scnn-camvid-64x96.onnx: " in output


def test_what_opencv_computes_wrong_is_a_note(rapidseg, monkeypatch):
    def fails(path, images):
        raise RuntimeError("no such layer")

    monkeypatch.setattr("rapidseg.exporting.specialized_verification.programs_for", lambda spec: {"opencv": fails})
    status, output, error = rapidseg("export", "fast-scnn-camvid", "--static", "64x96")
    assert status == 0
    assert "wrote fast-scnn-camvid-64x96.onnx" in output
    assert "cannot run this file (no such layer); use another program" in " ".join((output + error).split())
