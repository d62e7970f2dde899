"""`rapidseg eval`, as a person types it: exported files and checkpoints through one scorer."""

import json

import numpy as np
import pytest
import torch

from rapidseg.core.labels import CAMVID, CITYSCAPES, LabelSet
from rapidseg.models import create_model, save_model
from tests.data_folders import write_camvid, write_mask
from tests.tiny_onnx import tiny_spec, write_tiny_onnx


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
    words = ["--data", "camvid", "--root", "camvid", "--size", "48x64", "--json", "--output", "scores/val.json"]
    status, output, error = rapidseg("eval", "model.onnx", *words)
    assert (status, error) == (0, "")
    document = json.loads(output)
    assert document == json.loads((tmp_path / "scores" / "val.json").read_text())
    assert (document["engine"], document["working_size"], document["class_mapping"]) == ("openvino", [48, 64], None)
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
    export_onnx(model, model.spec, tmp_path / "best.onnx", check_sizes=[(64, 96)])
    common = ["--data", "camvid", "--root", "camvid", "--size", "64x96", "--json"]
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
    assert "the model's classes are counted as those of the data by cityscapes-to-camvid" in rapidseg(*words)[1]
    write_tiny_onnx(tmp_path / "model.onnx", tiny_spec(LabelSet.generic(19)))
    document = json.loads(rapidseg(*words, "--map", "cityscapes-to-camvid", "--json")[1])
    assert document["class_mapping"] == "cityscapes-to-camvid"
    assert len(document["classes"]) == 11


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.onnx", "--data", "camvid", "--root", "camvid"], "missing.onnx: no such model file"),
        (["missing.pth", "--data", "camvid", "--root", "camvid"], "missing.pth: no such file"),
        (["model.onnx", "--data", "camvid"], "camvid needs the folder that holds the data"),
        (["model.onnx", "--data", "camvid", "--root", "camvid", "--split", "tset"], "has no split 'tset'"),
        (["model.onnx", "--data", "camvid", "--root", "camvid", "--size", "64,96"], "a size is HEIGHTxWIDTH in pixels"),
        (["model.onnx", "--data", "camvid", "--root", "camvid", "--engine", "torch"], "engine 'torch' is unknown"),
        (
            ["best.pth", "--data", "camvid", "--root", "camvid", "--engine", "openvino"],
            "best.pth is a checkpoint, which runs in PyTorch in float32; leave --engine",
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
    assert message in error
    assert "Traceback" not in error


def test_a_mask_with_a_value_that_is_no_class_is_named(rapidseg, tmp_path, camvid):
    write_mask(camvid / "valannot" / "001.png", np.full((12, 20), 77, np.uint8))
    write_tiny_onnx(tmp_path / "model.onnx")
    status, _, error = rapidseg("eval", "model.onnx", "--data", "camvid", "--root", "camvid")
    assert status == 2
    assert "001.png" in error
    assert "77" in error
