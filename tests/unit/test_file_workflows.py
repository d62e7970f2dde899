"""`export`, `quantize` and `import_checkpoint` as Python functions: what they accept, write and report."""

import dataclasses
import json

import pytest
import torch

from rapidseg.core.errors import InputError
from rapidseg.core.files import check_output_file
from rapidseg.core.labels import CITYSCAPES
from rapidseg.exporting import ExportReport, QuantizationReport
from rapidseg.models import create_model, load_model, save_model
from rapidseg.runtime.model_file import read_spec
from rapidseg.workflows.export import export
from rapidseg.workflows.import_checkpoint import import_checkpoint
from rapidseg.workflows.quantize import quantize
from rapidseg.workflows.sources import is_exported, output_path
from tests.support.block_scenes import write_block_scenes
from tests.support.published import published_state

SIZES = [(64, 96)]

pytestmark = pytest.mark.usefixtures("traced_once")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model("fast-scnn", labels=CITYSCAPES, width=0.25).eval()


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_block_scenes(tmp_path_factory.mktemp("scenes"), train=3, val=1)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    """A checkpoint and the report of its export, measured on no images."""
    checkpoint = tmp_path_factory.mktemp("checkpoint") / "best.safetensors"
    save_model(model, checkpoint)
    return checkpoint, export(str(checkpoint), check_sizes=SIZES)


def test_export_writes_beside_the_checkpoint_and_returns_a_frozen_report(exported):
    checkpoint, report = exported
    assert isinstance(report, ExportReport)
    assert report.path == checkpoint.with_suffix(".onnx")
    assert read_spec(report.path) == report.spec
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["file"] == str(report.path)
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.size_bytes = 0


def test_a_model_in_memory_is_exported_and_its_precisions_are_measured_on_data(model, scenes, tmp_path):
    report = export(model, tmp_path / "m.onnx", data="cityscapes", root=scenes, input_size=64, check_sizes=SIZES)
    assert 0 < report.spec.precisions["fp16"] <= 1
    with pytest.raises(InputError, match="a model in memory has no name; pass output"):
        export(model)


def test_a_checkpoint_becomes_int8_in_a_single_call(exported, scenes, tmp_path):
    checkpoint, report = exported
    int8 = export(
        checkpoint,
        tmp_path / "int8.onnx",
        precision="int8",
        data="cityscapes",
        root=scenes,
        max_drop=100,
        calibration_images=2,
        input_size=64,
        check_sizes=SIZES,
    )
    assert isinstance(int8, QuantizationReport)
    assert int8.spec.checksum == report.spec.checksum
    assert int8.quantization.calibration_images == 2
    assert [path.name for path in tmp_path.iterdir()] == ["int8.onnx"]
    with pytest.raises(InputError, match=r"int8\.onnx is already an INT8 file; pass the float32 file"):
        quantize(int8.path, data="cityscapes", root=scenes)


def test_an_exported_file_is_quantized_beside_it(exported, scenes):
    _, report = exported
    int8 = quantize(report.path, data="cityscapes", root=scenes, max_drop=100, input_size=64, check_sizes=SIZES)
    assert int8.path == report.path.with_name("best-int8.onnx")


def test_wrong_arguments_are_rejected_before_any_work(exported, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    checkpoint, report = exported
    with pytest.raises(
        InputError, match=r"precision 'int4' is unknown; allowed are float32, int8 \(did you mean 'int8'"
    ):
        export(checkpoint, precision="int4")
    with pytest.raises(InputError, match="is already an exported file; pass the checkpoint"):
        export(report.path)
    with pytest.raises(InputError, match="is already an exported file"):
        export("fast-scnn-camvid")
    with pytest.raises(InputError, match=r"INT8 is calibrated on images, .*: pass --data \(data= in Python\)"):
        export(checkpoint, precision="int8")
    assert list(tmp_path.iterdir()) == []


def test_import_writes_safetensors_and_returns_its_notes(tmp_path):
    torch.save({"state_dict": published_state("tramac", num_classes=3)}, tmp_path / "model.pth")
    report = import_checkpoint(tmp_path / "model.pth")
    assert report.path == tmp_path / "model.safetensors"
    assert load_model(report.path).spec == report.spec
    assert report.notes[0].startswith("the file does not name its 3 classes")
    assert set(json.loads(json.dumps(report.to_dict()))) == {"file", "parameters", "notes", "spec"}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("runs/a/best.safetensors", "runs/a/best-int8.onnx"),
        ("fast-scnn-camvid", "fast-scnn-camvid-int8.onnx"),
        ("https://host/files/fast_scnn-12345678.pth?download=1", "fast_scnn-12345678-int8.onnx"),
    ],
)
def test_without_an_output_the_file_is_named_after_the_model(model, expected):
    assert output_path(model, None, ".onnx", tag="-int8").as_posix() == expected


def test_built_in_models_are_exported_files():
    assert is_exported("fast-scnn-camvid")
    assert is_exported("some/model.ONNX")
    assert not is_exported("fast-scnn-cityscapes")
    assert not is_exported(object())


@pytest.mark.parametrize("name", [".", "./", "..", "/", "folder", "folder/", "new/", ""])
def test_a_folder_is_not_an_output_file(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"is a folder; pass a file name that ends in \.yaml or \.yml$"):
        check_output_file(name, (".yaml", ".yml"))


def test_an_output_file_has_one_of_the_suffixes(tmp_path):
    assert check_output_file(str(tmp_path / "a.YML"), (".yaml", ".yml")) == tmp_path / "a.YML"
    with pytest.raises(InputError, match=r"a\.txt: pass a file name that ends in \.yaml or \.yml, such as a\.yaml$"):
        check_output_file(tmp_path / "a.txt", (".yaml", ".yml"))
