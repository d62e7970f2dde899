"""Exported files: their graph and specification, and that a file that does not match PyTorch is never left behind."""

import json

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from rapidseg.core.errors import ExportError, InputError
from rapidseg.core.labels import LabelSet
from rapidseg.core.progress import NullProgress
from rapidseg.core.spec import SPEC_KEY, ModelSpec
from rapidseg.exporting import export_onnx
from rapidseg.exporting.verification import CHECK_SIZES, image_like_noise, reference_class_map, verify
from rapidseg.models import SegmentationModel

SIZES = [(40, 64), (33, 47)]
ENGINES = ("openvino", "onnxruntime", "torch")


class OneConvolution(SegmentationModel):
    """The smallest possible network, so that tracing it takes a second."""

    def __init__(self):
        spec = ModelSpec(
            architecture="one-convolution",
            labels=LabelSet.generic(5),
            mean=(120, 110, 100),
            std=(50, 60, 70),
            stride=8,
        )
        super().__init__(spec)
        torch.manual_seed(0)
        self.classifier = nn.Conv2d(3, 5, 9, stride=8, padding=4)

    def forward(self, images):
        return self.classifier(images)

    def forward_all(self, images):
        return {"logits": self(images)}


class OtherWhenTraced(OneConvolution):
    def forward(self, images):
        logits = self.classifier(images)
        return logits * 1.01 if torch.compiler.is_exporting() else logits


class SizeIsBakedIn(OneConvolution):
    def forward(self, images):
        return self.classifier(images) + 0.1 * (images.shape[2] == 97)


class LooksAtValues(OneConvolution):
    def forward(self, images):
        return self.classifier(images if images.sum() > 0 else -images)


class NotANumber(OneConvolution):
    def forward(self, images):
        return self.classifier(images) * float("nan")


class Recorder(NullProgress):
    def __init__(self):
        self.told = {}

    def update(self, task, done, total, *, unit="items"):
        self.told.setdefault(task, []).append((done, total))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model, the report of its export, and the parsed file."""
    model = OneConvolution().eval()
    report = export_onnx(model, model.spec, tmp_path_factory.mktemp("export") / "model.onnx", check_sizes=SIZES)
    return model, report, onnx.load(report.path)


def dims(value):
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_input_and_output_are_those_of_a_model_file(exported):
    _, _, file = exported
    (image,), (logits,) = file.graph.input, file.graph.output
    assert (image.name, dims(image)) == ("image", ["batch", "height", "width", 3])
    assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert (logits.name, dims(logits)) == ("logits", ["batch", 5, "logits_height", "logits_width"])
    assert logits.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_the_tensor_called_normalized_is_what_the_network_sees(exported):
    import openvino

    model, report, _ = exported
    file = openvino.Core().read_model(report.path)
    file.add_outputs("normalized")
    images = image_like_noise(2, (33, 47))
    outputs = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)
    expected = ((images - np.array(model.spec.mean)) / np.array(model.spec.std)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(outputs["normalized"], expected, atol=1e-5)  # float32 against float64
    with torch.inference_mode():
        logits = model(torch.from_numpy(outputs["normalized"]))
    np.testing.assert_allclose(outputs["logits"], logits, atol=1e-5)


def test_the_specification_is_inside_with_the_checksum_of_the_weights(exported):
    model, report, file = exported
    written = {entry.key: entry.value for entry in file.metadata_props}[SPEC_KEY]
    assert ModelSpec.from_json(written, where="file") == report.spec
    assert len(report.spec.checksum) == 64
    measured = {"checksum": report.spec.checksum, "precisions": report.spec.precisions}
    assert report.spec == model.spec.model_copy(update=measured)


def test_the_file_is_whole_and_says_nothing_of_where_it_was_made(exported):
    _, report, file = exported
    assert report.size_bytes == report.path.stat().st_size
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in file.graph.initializer)
    assert np.array_equal(
        numpy_helper.to_array(next(t for t in file.graph.initializer if t.name == "classifier.weight")),
        exported[0].classifier.weight.detach(),
    )
    assert all(not node.metadata_props and not node.doc_string for node in file.graph.node)
    assert b".py" not in report.path.read_bytes()


def test_every_engine_size_and_batch_was_checked(exported):
    _, report, _ = exported
    done = {(check.engine, check.size_hw, check.batch) for check in report.checks}
    assert done == {(e, s, b) for e in ENGINES for s in SIZES for b in (1, 3)}
    assert all(check.passed and check.relative_error < 1e-5 and check.agreement == 1 for check in report.checks)
    assert "openvino, 40x64, batch 1: relative error" in str(report.checks[0])


def test_the_engines_are_those_of_prediction_and_leave_the_disk_cache_alone(exported, tmp_path, monkeypatch):
    model, report, _ = exported
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "rapidseg.runtime.engines.openvino.OpenVinoEngine.run", lambda self, images: np.ones((1, 5, 5, 8))
    )
    with pytest.raises(ExportError, match=r"do not match PyTorch \(openvino, 40x64, batch 1: "):
        verify(report.path, model, report.spec, sizes=SIZES[:1])
    monkeypatch.undo()
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    verify(report.path, model, report.spec, sizes=SIZES[:1])
    for engine in ("openvino", "onnxruntime"):
        assert not list((tmp_path / "cache" / engine).glob("*"))


def test_an_engine_that_fails_is_named(exported, monkeypatch):
    def fail(self, images):
        raise RuntimeError("no such kernel")

    model, report, _ = exported
    monkeypatch.setattr("rapidseg.runtime.engines.onnxruntime.OnnxRuntimeEngine.run", fail)
    with pytest.raises(ExportError, match=r"does not run in onnxruntime at 40x64, batch 1 \(no such kernel\), so no"):
        verify(report.path, model, report.spec, sizes=SIZES[:1])


def test_large_images_are_tiled_by_rows_as_in_prediction(tmp_path, monkeypatch):
    from rapidseg.runtime.engines import openvino

    tiled = []
    tile_rows = openvino.tile_rows
    monkeypatch.setattr(openvino, "tile_rows", lambda model, size: tiled.append(model) or tile_rows(model, size))
    model = OneConvolution().eval()
    sizes = CHECK_SIZES[1:2]
    report = export_onnx(model, model.spec, tmp_path / "model.onnx", check_sizes=sizes, images=())
    assert len(tiled) == 1  # batches of one image only
    assert {check.engine for check in report.checks} == set(ENGINES)


def test_the_report_is_a_json_document(exported):
    document = json.loads(json.dumps(exported[1].to_dict(), allow_nan=False))
    assert document["allowed"] == {"relative_error": 1e-3, "agreement": 0.999}
    assert document["spec"]["architecture"] == "one-convolution"
    assert len(document["checks"]) == 12


def test_exporting_leaves_the_model_as_it_was_and_prints_nothing(tmp_path, capfd):
    model = OneConvolution().half().train()
    progress = Recorder()
    export_onnx(model, model.spec, tmp_path / "m.onnx", check_sizes=SIZES[1:], progress=progress)
    assert model.training
    assert model.classifier.weight.dtype == torch.float16
    assert progress.told["comparing with PyTorch"] == [(done, 6) for done in range(7)]
    assert next(iter(progress.told)) == "tracing"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            OtherWhenTraced,
            r"outputs of the exported file do not match PyTorch \(openvino, 40x64, batch 1: relative error .*e-0",
        ),
        (SizeIsBakedIn, "outputs of the exported file do not match PyTorch"),
        (LooksAtValues, "one-convolution cannot be exported with a dynamic batch, height and width: "),
        (NotANumber, "the model returns NaN or infinite logits; train or import it again"),
    ],
)
def test_a_model_that_is_not_exported_right_leaves_the_older_file(network, message, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"older")
    model = network()
    with pytest.raises(ExportError, match=message):
        export_onnx(model, model.spec, path, check_sizes=[(40, 64), (97, 65)])
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_model_that_is_not_exported_right_leaves_no_file(tmp_path):
    model = OtherWhenTraced()
    with pytest.raises(ExportError, match="so no file was written"):
        export_onnx(model, model.spec, tmp_path / "new" / "model.onnx", check_sizes=SIZES)
    assert not list((tmp_path / "new").iterdir())


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("model.bin", SIZES, r"model\.bin: pass a file name that ends in \.onnx, such as model\.onnx"),
        ("folder.onnx", SIZES, r"folder\.onnx is a folder; pass a file name that ends in \.onnx"),
        ("model.onnx", [(40, 31)], r"check_sizes is \[\(40, 31\)\]; pass at least one size, with sides of 32 pixels"),
        ("model.onnx", [], r"check_sizes is \[\]"),
    ],
)
def test_arguments_that_cannot_work_are_refused_before_anything_is_done(name, sizes, message, tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    model = OneConvolution()
    with pytest.raises(InputError, match=message):
        export_onnx(model, model.spec, tmp_path / name, check_sizes=sizes)


def test_a_specification_of_another_number_of_classes_is_refused(tmp_path):
    model = OneConvolution()
    spec = model.spec.model_copy(update={"labels": LabelSet.generic(7)})
    with pytest.raises(InputError, match="the model has logits for 5 classes, but its specification names 7"):
        export_onnx(model, spec, tmp_path / "model.onnx", check_sizes=SIZES)


@pytest.mark.parametrize("align_corners", [False, True])
def test_class_maps_are_compared_at_the_full_size(align_corners):
    model = OneConvolution()
    model.spec = model.spec.model_copy(update={"align_corners": align_corners})
    logits = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(0))
    expected = model.upsample(logits.unsqueeze(0), (31, 45))[0].argmax(0)
    assert np.array_equal(reference_class_map(model, logits, (31, 45)), expected)


def test_noise_images_are_the_same_at_every_call_and_use_the_whole_range():
    images = image_like_noise(2, (97, 161))
    assert np.array_equal(images, image_like_noise(2, (97, 161)))
    assert images.shape == (2, 97, 161, 3)
    assert images.dtype == np.uint8
    assert images.min() < 20
    assert images.max() > 235
    assert not np.array_equal(images[0], images[1])
