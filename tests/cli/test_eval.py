"""`rapidseg eval`, as a person types it: exported files and checkpoints through one scorer."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from rapidseg.core.labels import CAMVID, CITYSCAPES, LabelSet
from rapidseg.metrics import ConfusionMatrix
from rapidseg.models import create_model, save_model
from tests.support.data_folders import write_camvid, write_mask
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx


def unboxed(error):
    """Returns what a usage error says, without the frame around it and its line breaks."""
    return " ".join(error.replace("│", " ").split())


@pytest.fixture
def camvid(tmp_path):
    return write_camvid(tmp_path / "camvid")


def test_an_exported_file_is_scored_in_a_table(rapidseg, tmp_path, camvid):
    write_tiny_onnx(tmp_path / "model.onnx")
    status, output, error = rapidseg("eval", "model.onnx", "--data", "camvid", "--root", "camvid")
    assert (status, error) == (0, "")
    assert "model.onnx (openvino, float32) on camvid val, 3 images" in output
    assert "SignSymbol" in output
    assert "pixel accuracy" in output


def test_json_has_every_figure_and_the_same_document_is_in_the_file(rapidseg, tmp_path, camvid):
    write_tiny_onnx(tmp_path / "model.onnx")
    words = ["--data", "camvid", "--root", "camvid", "--input-size", "48x64", "--json", "--output", "scores/val.json"]
    status, output, error = rapidseg("eval", "model.onnx", *words)
    assert (status, error) == (0, "")
    document = json.loads(output)
    assert document == json.loads((tmp_path / "scores" / "val.json").read_text())
    assert (document["engine"], document["input_size"], document["class_mapping"]) == ("openvino", [48, 64], None)
    counts = np.array(document["confusion_matrix"])
    assert document["pixel_accuracy"] == pytest.approx(np.trace(counts) / counts.sum())
    assert [entry["name"] for entry in document["classes"]] == list(CAMVID.names)
    assert [image["name"] for image in document["images"]] == ["000", "001", "002"]


def test_figures_that_are_not_defined_are_dashes_and_null(rapidseg, tmp_path, camvid):
    for index in range(3):
        write_mask(camvid / "valannot" / f"{index:03}.png", np.full((12, 20), 11, np.uint8))
    write_tiny_onnx(tmp_path / "model.onnx")
    words = ["eval", "model.onnx", "--data", "camvid", "--root", "camvid"]
    assert "│   - │        - │" in rapidseg(*words)[1]
    assert json.loads(rapidseg(*words, "--json")[1])["mean_iou"] is None


def test_a_checkpoint_and_its_exported_file_get_the_same_scores_in_every_engine(rapidseg, tmp_path, camvid):
    from rapidseg.exporting import export_onnx

    torch.manual_seed(0)
    model = create_model("fast-scnn", labels=CAMVID, width=0.25)
    with torch.no_grad():  # fills the running averages, so that classes differ between pixels
        model(torch.randn(4, 3, 128, 192))
    model.eval()
    save_model(model, tmp_path / "best.safetensors")
    export_onnx(model, model.spec, tmp_path / "best.onnx", check_sizes=[(64, 96)], images=())
    common = ["--data", "camvid", "--root", "camvid", "--input-size", "64x96", "--precision", "float32", "--json"]
    documents = [
        json.loads(rapidseg("eval", *words, *common)[1])
        for words in (["best.safetensors"], ["best.onnx"], ["best.onnx", "--engine", "onnxruntime"])
    ]
    assert [document["engine"] for document in documents] == ["torch", "openvino", "onnxruntime"]
    counts = [np.array(document["confusion_matrix"]) for document in documents]
    for other in counts[1:]:  # one pixel of 720 may lie on a border between two classes
        assert np.abs(other - counts[0]).sum() <= 2


def test_a_cityscapes_model_is_scored_on_camvid_by_the_known_mapping(rapidseg, tmp_path, camvid):
    write_tiny_onnx(tmp_path / "model.onnx", tiny_spec(CITYSCAPES))
    words = ["eval", "model.onnx", "--data", "camvid", "--root", "camvid"]
    assert "; class mapping cityscapes-to-camvid" in rapidseg(*words)[1]
    write_tiny_onnx(tmp_path / "model.onnx", tiny_spec(LabelSet.generic(19)))
    document = json.loads(rapidseg(*words, "--class-mapping", "cityscapes-to-camvid", "--json")[1])
    assert document["class_mapping"] == "cityscapes-to-camvid"
    assert len(document["classes"]) == 11


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["missing.onnx", "--data", "camvid", "--root", "camvid"],
            "missing.onnx is neither a file nor the name of a model",
        ),
        (["missing.pth", "--data", "camvid", "--root", "camvid"], "missing.pth: no such file"),
        (["model.onnx", "--data", "camvid"], "camvid needs the folder of the data"),
        (["model.onnx", "--data", "camvid", "--root", "camvid", "--split", "tset"], "has no split 'tset'"),
        (
            ["model.onnx", "--data", "camvid", "--root", "camvid", "--input-size", "64,96"],
            "'64,96' is not an input size; write",
        ),
        (
            ["model.onnx", "--data", "camvid", "--root", "camvid", "--engine", "fast"],
            "'fast' is not one of 'auto', 'openvino', 'onnxruntime', 'torch'",
        ),
        (
            ["best.pth", "--data", "camvid", "--root", "camvid", "--engine", "openvino"],
            "best.pth: no such file; pass a checkpoint, a model file (.onnx) or the name of a model",
        ),
        (
            ["other.onnx", "--data", "camvid", "--root", "camvid"],
            "The model has 3 classes (class_0, class_1, class_2).",
        ),
    ],
)
def test_mistakes_are_one_message_and_exit_status_2(words, message, rapidseg, tmp_path, camvid):
    write_tiny_onnx(tmp_path / "model.onnx")
    write_tiny_onnx(tmp_path / "other.onnx", tiny_spec(LabelSet.generic(3)))
    status, output, error = rapidseg("eval", *words)
    assert (status, output) == (2, "")
    assert message in unboxed(error)
    assert "Traceback" not in error


def test_a_mask_with_a_value_that_is_no_class_is_named(rapidseg, tmp_path, camvid):
    write_mask(camvid / "valannot" / "001.png", np.full((12, 20), 77, np.uint8))
    write_tiny_onnx(tmp_path / "model.onnx")
    status, _, error = rapidseg("eval", "model.onnx", "--data", "camvid", "--root", "camvid")
    assert status == 2
    assert "001.png" in error
    assert "77" in error


def test_protocols_are_named_in_the_title_and_in_the_document(rapidseg, tmp_path, camvid):
    write_tiny_onnx(tmp_path / "model.onnx")
    common = ["eval", "model.onnx", "--data", "camvid", "--root", "camvid", "--input-size", "64x96"]
    sliding = [*common, "--protocol", "sliding", "--crop", "32x48"]
    description = "sliding window, crop 32x48, stride 21x32, single scale, resized to 64x96"
    assert description in rapidseg(*sliding)[1]
    assert json.loads(rapidseg(*sliding, "--json")[1])["protocol"] == {
        "name": "sliding",
        "crop_hw": [32, 48],
        "stride_hw": [21, 32],
        "subsample": 1,
        "description": description,
    }
    scaled = [*common, "--protocol", "multi-scale", "--scales", "1,1.25", "--no-flip", "--subsample", "2", "--json"]
    assert json.loads(rapidseg(*scaled)[1])["protocol"] == {
        "name": "multi-scale",
        "scales": [1, 1.25],
        "flip": False,
        "subsample": 2,
        "description": "multi-scale 1, 1.25 without flip, resized to 64x96, input subsampled by 2",
    }
    whole = json.loads(rapidseg(*common, "--json")[1])
    assert whole["protocol"]["description"] == "whole image, single scale, resized to 64x96"


def test_a_checkpoint_goes_through_every_protocol(rapidseg, tmp_path, camvid):
    save_model(create_model("fast-scnn", labels=CAMVID, width=0.25), tmp_path / "best.safetensors")
    common = ["eval", "best.safetensors", "--data", "camvid", "--root", "camvid", "--input-size", "48x64", "--json"]
    for words in (["sliding", "--crop", "32x32", "--stride", "32x32"], ["multi-scale", "--scales", "1"]):
        status, output, _ = rapidseg(*common, "--protocol", *words)
        assert (status, json.loads(output)["engine"], json.loads(output)["device"]) == (0, "torch", "cpu")


def test_predictions_are_saved_and_the_worst_images_listed(rapidseg, tmp_path, camvid):
    write_tiny_onnx(tmp_path / "model.onnx")
    words = ["eval", "model.onnx", "--data", "camvid", "--root", "camvid", "--worst", "2", "--save", "kept"]
    document = json.loads(rapidseg(*words, "--json")[1])
    ranked = sorted(document["images"], key=lambda image: image["mean_iou"])
    assert document["worst"] == ranked[:2]
    assert document["saved"] == str(tmp_path / "kept")
    matrix = ConfusionMatrix(CAMVID.num_classes, CAMVID.ignore_index)
    for name in ("000", "001", "002"):
        label = np.array(Image.open(camvid / "valannot" / f"{name}.png"))
        matrix.update(np.array(Image.open(tmp_path / "kept" / f"{name}.png")), label)
    assert matrix.counts.tolist() == document["confusion_matrix"]
    saved = Image.open(tmp_path / "kept" / "000.png")
    assert saved.getpalette()[:6] == [*CAMVID.palette[0], *CAMVID.palette[1]]
    table = rapidseg(*words)[1]
    assert "worst images" in table
    assert [line.split()[1] for line in table.splitlines() if line.startswith("│ 00")] == [
        image["name"] for image in ranked[:2]
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--protocol", "slide"], "'slide' is not one of 'whole', 'sliding', 'multi-scale'"),
        (["--crop", "64x64"], "crop belongs to protocol sliding, but the protocol is whole; remove it, or"),
        (["--protocol", "sliding"], "protocol sliding needs crop, the size of its windows, such as 769x769"),
        (["--protocol", "sliding", "--crop", "16x64"], "the crop is 16x64; each side must be 32 pixels or more"),
        (
            ["--protocol", "sliding", "--crop", "64x64", "--stride", "65x64"],
            "the stride is 65x64 but the crop 64x64; each side of the stride must be 1 to",
        ),
        (["--protocol", "sliding", "--crop", "64x64", "--flip"], "flip belongs to protocol multi-scale"),
        (["--protocol", "multi-scale", "--stride", "9x9"], "stride belongs to protocol sliding"),
        (["--protocol", "multi-scale", "--scales", "1;2"], "scales are comma-separated numbers"),
        (["--protocol", "multi-scale", "--scales", "1,0"], "scales are (1.0, 0.0); give numbers above 0"),
        (["--scales", "1"], "scales belongs to protocol multi-scale, but the protocol is whole"),
        (["--subsample", "3"], "'3' is not one of '1', '2', '4'"),
        (["--device", "tpu"], "OpenVINO: device 'tpu' not found; available: "),
        (["--output", "camvid"], "camvid is a folder; pass a file name that ends in"),
        (["--html", "camvid"], "camvid is a folder; pass a file name that ends in"),
        (["--save", "camvid/val"], "camvid/val/000.png belongs to the data set and would be overwritten; save to"),
        (["--save", "camvid/valannot"], "camvid/valannot/000.png belongs to the data set"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words, message, rapidseg, tmp_path, camvid):
    write_tiny_onnx(tmp_path / "model.onnx")
    before = sorted(tmp_path.rglob("*"))
    status, output, error = rapidseg("eval", "model.onnx", "--data", "camvid", "--root", "camvid", *words)
    assert (status, output) == (2, "")
    assert message in unboxed(error)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_device_that_pytorch_does_not_have_is_refused(rapidseg, tmp_path, camvid, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    save_model(create_model("fast-scnn", labels=CAMVID, width=0.25), tmp_path / "best.safetensors")
    words = ["eval", "best.safetensors", "--data", "camvid", "--root", "camvid", "--device"]
    assert "PyTorch: device 'cuda' not found; available: cpu" in rapidseg(*words, "cuda")[2]
    assert "PyTorch: device 'gpu' not found; available: cpu" in rapidseg(*words, "gpu")[2]
