"""`rapidseg.load`: every form that a model can have."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest

import rapidseg
from rapidseg.core.errors import ConfigError, EngineError, InputError, ModelFileError, RapidSegError
from rapidseg.core.labels import CAMVID
from rapidseg.core.model_card import model_card
from rapidseg.importing import load_checkpoint, recognition, transfer
from rapidseg.runtime.engines import selection
from rapidseg.runtime.model_file import SAMPLE_IMAGE, read_spec
from rapidseg.system.gpu import Gpu
from rapidseg.workflows import model_cache
from rapidseg.zoo import published_models
from tests.support.published import published_state
from tests.support.tiny_onnx import write_tiny_onnx
from tests.support.web_server import Site, serve

torch = pytest.importorskip("torch")

from rapidseg.models import SegmentationModel, create_model, load_model, save_model  # noqa: E402


class Watcher:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.updates: list[tuple[str, int, int | None, str]] = []
        self.messages: list[str] = []

    def update(self, task: str, done: int, total: int | None, *, unit: str = "items") -> None:
        self.updates.append((task, done, total, unit))

    def metrics(self, step: int, values: object) -> None: ...

    def message(self, text: str) -> None:
        self.messages.append(text)


@pytest.fixture(scope="module")
def model() -> SegmentationModel:
    torch.manual_seed(0)
    return create_model("fast-scnn", labels=CAMVID, width=0.25).eval()


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


def test_names_and_model_files(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    for source in (None, "fast-scnn-camvid", "fast-scnn-camvid-int8", path, str(path)):
        assert rapidseg.load(source).spec.labels == CAMVID
    with pytest.raises(
        ModelFileError, match=r"neither a file nor the name of a model \(did you mean 'fast-scnn-cityscapes'"
    ):
        rapidseg.load("fastscnn-cityscapes")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of models."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("RAPIDSEG_CACHE", str(folder))
    return folder / "models"


@pytest.mark.parametrize("name", ["best.safetensors", "state.pth", "state.pt", "state.ckpt", "old.pth", "folder"])
def test_checkpoints_become_model_files(image: np.ndarray, tmp_path: Path, cache: Path, name: str) -> None:
    path = tmp_path / name
    model = create_model("fast-scnn", labels=CAMVID, variant="tramac").eval()
    if name == "best.safetensors":
        save_model(model, path)
    elif name == "folder":
        model.save_pretrained(path)
    else:
        state = published_state("tramac", num_classes=3)
        torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=name != "old.pth")
        model = load_checkpoint(path)
    watcher = Watcher()
    segmenter = rapidseg.load(path, precision="float32", device="cpu", progress=watcher)
    assert segmenter.engine.name == "openvino"
    assert segmenter.path == (path / "model.safetensors" if name == "folder" else path)
    if name.startswith(("state", "old")):
        assert segmenter.spec.labels.num_classes == 3
        assert "note: the file does not name its 3 classes" in watcher.messages[0]
    else:
        assert segmenter.spec.labels == CAMVID
    expected = rapidseg.runtime.Segmenter.from_model(model).logits(image)
    np.testing.assert_allclose(segmenter.logits(image), expected, atol=1e-4)  # sums in another order
    (made,) = cache.iterdir()
    before = made.stat().st_ino
    assert rapidseg.load(path, engine="onnxruntime").engine.name == "onnxruntime"
    assert [file.stat().st_ino for file in cache.iterdir()] == [before]  # it was not made again


def test_a_changed_checkpoint_becomes_another_model_file(image: np.ndarray, tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "best.safetensors"
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = create_model("fast-scnn", labels=CAMVID)
        model.eval()
        save_model(model, path)
        expected = rapidseg.runtime.Segmenter.from_model(model).logits(image)
        np.testing.assert_allclose(rapidseg.load(path, precision="float32").logits(image), expected, atol=1e-4)
    assert len(list(cache.iterdir())) == 2


def test_unusual_networks_run_in_pytorch(model: SegmentationModel, image: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    save_model(model, path)
    segmenter = rapidseg.load(path, engine="torch", precision="float32", device="cpu")
    assert segmenter.engine.name == "torch"
    expected = rapidseg.runtime.Segmenter.from_model(model).logits(image)
    np.testing.assert_allclose(segmenter.logits(image), expected, atol=1e-5)  # sums in another order
    for options in ({"engine": "openvino"}, {"precision": "fp16"}):
        with pytest.raises(
            EngineError, match=r"best\.safetensors has options of its network that run only in PyTorch and float32"
        ):
            rapidseg.load(path, **options)
    with pytest.raises(EngineError, match="PyTorch: device 'gpu' not found; available: cpu"):
        rapidseg.load(path, device="gpu")
    with pytest.raises(ModelFileError, match=r"absent\.pth: no such file; pass a checkpoint, a model file"):
        rapidseg.load(tmp_path / "absent.pth")
    with pytest.raises(ModelFileError, match=r"is a folder; pass a file in it, such as .*best\.safetensors"):
        rapidseg.load(tmp_path)


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path: Path, cache: Path) -> None:
    state = published_state("tramac")
    state["classifier.conv.1.weight"] = state["classifier.conv.1.weight"][:, :7]
    torch.save(state, tmp_path / "state.pth")
    with pytest.raises(
        ModelFileError, match=r"do not fit fast-scnn; 1 misshapen: classifier\.3\.weight \(19, 7, 1, 1\)"
    ):
        rapidseg.load(tmp_path / "state.pth")
    assert not list(cache.iterdir())


@pytest.mark.parametrize("package", ["torch", "safetensors"])
def test_a_missing_package_is_one_message(
    model: SegmentationModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    save_model(model, tmp_path / "best.safetensors")
    for name in list(sys.modules):
        if name == package or name.startswith(("safetensors.", "rapidseg.importing", "rapidseg.models")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        EngineError,
        match=rf"that need PyTorch \(width=[\d.]+\)\. {package} is not installed; run in the clone of RapidSeg: pip",
    ):
        rapidseg.load(tmp_path / "best.safetensors")
    assert rapidseg.load().engine.name == "openvino"


def test_a_changed_model_file_in_the_cache_is_made_again(
    tmp_path: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    torch.save({"state_dict": published_state("openmmlab")}, tmp_path / "weights.pth")
    expected = rapidseg.load(tmp_path / "weights.pth", device="cpu")(image).class_map
    (file,) = (tmp_path / "cache" / "models").glob("*.onnx")
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-100_000] + bytes(100_000), b""):
        file.write_bytes(content)
        np.testing.assert_array_equal(rapidseg.load(tmp_path / "weights.pth", device="cpu")(image).class_map, expected)
        assert file.read_bytes() == whole
    (file_with_checksum,) = (tmp_path / "cache" / "checksums").iterdir()
    file_with_checksum.unlink()
    assert rapidseg.load(tmp_path / "weights.pth", device="cpu").spec.labels.num_classes == 19
    assert file_with_checksum.exists()


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A published model whose weights are on a server of our own; gives its name, the server and the hash's start."""
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(transfer, "ATTEMPTS", 1)
    torch.save({"state_dict": published_state("openmmlab")}, tmp_path / "weights.pth")
    content = (tmp_path / "weights.pth").read_bytes()
    prefix = hashlib.sha256(content).hexdigest()[:8]
    path = f"/fast_scnn-{prefix}.pth"
    name = "fast-scnn-cityscapes"
    with serve(Site({path: content})) as site:
        entry = published_models()[name]
        weights = entry.weights[0].model_copy(update={"url": site.url + path, "sha256_prefix": prefix})
        changed = {**published_models(), name: entry.model_copy(update={"weights": (weights,)})}
        for module in (model_cache, recognition):
            monkeypatch.setattr(module, "published_models", lambda: changed)
        yield name, site, path


def test_a_published_model_is_downloaded_once(published, image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    name, site, path = published
    message = (
        f"{site.url}{path} is not downloaded, and downloads are off .*download it on another machine and put it in"
    )
    with pytest.raises(ModelFileError, match=message):
        rapidseg.load(name, download=False)
    assert site.asked == []
    site.breaks.append(100_000)
    with pytest.raises(RapidSegError, match="the connection broke off"):
        rapidseg.load(name)
    watcher = Watcher()
    segmenter = rapidseg.load(name, device="cpu", progress=watcher)
    assert site.asked[-1] == (path, "bytes=100000-")  # resumed
    size = len(site.files[path])
    assert watcher.updates[-1] == (f"downloading {name}", size, size, "bytes")
    assert watcher.updates[0][1] >= 100_000
    assert segmenter.spec.labels.num_classes == 19
    assert segmenter(image).class_map.shape == (64, 96)
    asked = len(site.asked)
    assert rapidseg.load(name, download=False, device="cpu").path == segmenter.path
    assert rapidseg.load(site.url + path, download=False, device="cpu").path == segmenter.path
    stated = [f"note: {name} was trained on Cityscapes, whose license allows non-commercial use only"]
    assert watcher.messages == stated
    for source in (name, site.url + path):  # also where the model file is in the cache
        again = Watcher()
        rapidseg.load(source, device="cpu", progress=again)
        assert again.messages == stated
    spec = SegmentationModel.from_pretrained(name).spec
    assert spec == segmenter.spec.model_copy(update={"checksum": None, "precisions": {}})
    assert spec.training_splits == ("cityscapes/train",)
    assert len(site.asked) == asked
    site.files[path] = bytes(1000)
    segmenter.path.unlink()
    with pytest.raises(RapidSegError, match="which does not begin with"):
        rapidseg.load(name)


def test_files_made_of_a_published_model_state_its_license(published, tmp_path: Path) -> None:
    name, _, _ = published
    watcher = Watcher()
    imported = rapidseg.import_checkpoint(name, tmp_path / "x.safetensors")
    exported = rapidseg.export(name, tmp_path / "x.onnx", check_sizes=(64, 96), progress=watcher)
    stated = f"{name} was trained on Cityscapes, whose license allows non-commercial use only"
    assert [note for note in imported.notes if "license" in note] == [stated]
    assert [note for note in watcher.messages if "license" in note] == [f"note: {stated}"]
    for spec in (read_spec(exported.path), load_model(imported.path).spec):
        assert f"{name} was {spec.license}" == stated
        assert spec.trained_on == ("cityscapes/train",)
        card = model_card(spec, None, for_hub=True).splitlines()
        assert "license: other" in card
        assert f"| License of the weights | {spec.license} |" in card
        assert "| Trained on | cityscapes train |" in card
    reused = Watcher()
    for _ in range(2):
        rapidseg.load(imported.path, device="cpu", progress=reused)
    assert reused.messages == [f"note: {imported.path} was {spec.license}"] * 2


def test_records_of_predictions_and_evaluations_have_the_license(published, tmp_path: Path) -> None:
    name, _, _ = published
    watcher = Watcher()
    report = rapidseg.predict(
        model=name, output=tmp_path / "predictions", input_size=64, device="cpu", progress=watcher
    )
    assert sum("license" in text for text in watcher.messages) == 1
    license = "trained on Cityscapes, whose license allows non-commercial use only"
    assert report.record["model"]["license"] == license
    with_names = Watcher()
    (file,) = model_cache.link_model_files([name], tmp_path, download=False, progress=with_names)
    assert with_names.messages == [f"note: {name} was {license}"]
    assert read_spec(Path(file)).license == license


def test_a_file_comes_before_a_published_name(
    model: SegmentationModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model.save_pretrained("fast-scnn-cityscapes")
    assert rapidseg.load("fast-scnn-cityscapes", device="cpu").spec.labels == CAMVID


def test_a_gpu_that_is_not_used_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "find_gpu", lambda: Gpu(None, False, "PyTorch was built without CUDA"))
    watcher = Watcher()
    rapidseg.load(progress=watcher)
    assert watcher.messages == ["note: the NVIDIA GPU is not used: PyTorch was built without CUDA"]


def test_pretrained_folders(model: SegmentationModel, image: np.ndarray, tmp_path: Path) -> None:
    folder = model.save_pretrained(tmp_path / "new" / "street model")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "model.safetensors", "spec.json"]
    again = SegmentationModel.from_pretrained(folder)
    assert not again.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    assert again.spec == load_model(folder / "model.safetensors").spec
    assert type(again.spec).from_json((folder / "spec.json").read_text(), where="spec.json") == again.spec
    assert SegmentationModel.from_pretrained(folder / "model.safetensors").spec == again.spec
    card = (folder / "README.md").read_text()
    assert "| 8 | Car | 64, 0, 128 |" in card
    assert "| License of the weights | unknown |" in card
    assert 'SegmentationModel.from_pretrained("path/to/this/folder")' in card
    assert "Not measured." in card


def test_a_model_card_has_scores_and_license(tmp_path: Path) -> None:
    from rapidseg.core.model_card import model_card

    spec = rapidseg.load().spec
    card = model_card(spec, 1_140_000)
    score = spec.scores[0]
    assert f"| {score.dataset} | {score.split} | {score.mean_iou:.3f} | {score.protocol} |" in card
    assert f"| License of the weights | {spec.license} |" in card
    assert "| Parameters | 1.14 M |" in card


def test_folders_that_are_not_models(model: SegmentationModel, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"folder is None; pass the folder to write to, as text or pathlib\.Path"):
        model.save_pretrained(None)
    with pytest.raises(InputError, match="source is 5; pass a path or a name"):
        SegmentationModel.from_pretrained(5)
    with pytest.raises(ModelFileError, match=r"this folder has no model\.safetensors; pass one that `save_pretrained`"):
        SegmentationModel.from_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"file is a file; results are written to a folder"):
        model.save_pretrained(tmp_path / "file")
    with pytest.raises(ModelFileError, match=r"absent\.pth"):
        SegmentationModel.from_pretrained(tmp_path / "absent.pth")


@pytest.mark.parametrize("name", ["FAST-SCNN-CITYSCAPES", "Fast-SCNN-CityScapes"])
def test_a_name_in_another_case_gets_the_name_as_it_is_written(name):
    with pytest.raises(ModelFileError, match=r"\(did you mean 'fast-scnn-cityscapes'"):
        rapidseg.load(name)


@pytest.mark.parametrize("name", ["fast-scn-camvid", "pspnet-r50-d8-citiscapes"])
def test_an_unknown_name_gets_the_nearest_names_and_where_all_are_listed(name):
    with pytest.raises(ModelFileError) as caught:
        rapidseg.load(name)
    message = str(caught.value)
    nearest = {"f": "fast-scnn-camvid", "p": "pspnet-r50-d8-cityscapes"}[name[0]]
    assert message.startswith(f"{name} is neither a file nor the name of a model (did you mean '{nearest}' or '")
    assert message.endswith("?); `rapidseg models` lists them")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: tiny\n", "is a recipe, not a model; train it: rapidseg train"),
        ("classes: [a, b]\nsplits: {}\n", "describes a data set, not a model; train on it: rapidseg train"),
    ],
)
def test_other_yaml_files_are_recognized(tmp_path, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"mine\.yaml {message} .*mine\.yaml -o runs/first"):
        rapidseg.load(tmp_path / "mine.yaml")


def test_a_run_folder_names_its_best_weights(tmp_path):
    for name in ("best.safetensors", "last.safetensors", "last.ckpt", "recipe.yaml"):
        (tmp_path / name).touch()
    with pytest.raises(ModelFileError) as caught:
        rapidseg.load(tmp_path)
    assert str(caught.value) == f"{tmp_path} is a folder; pass a file in it, such as {tmp_path / 'best.safetensors'}"


def test_the_built_in_model_as_a_pytorch_module() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from rapidseg.models import SegmentationModel

    model = SegmentationModel.from_pretrained("fast-scnn-camvid")
    assert model.spec.labels == CAMVID
    ours, theirs = rapidseg.load("fast-scnn-camvid", precision="float32"), rapidseg.Segmenter.from_model(model)
    assert (
        theirs(SAMPLE_IMAGE).class_map == ours(SAMPLE_IMAGE).class_map
    ).mean() > 0.999  # folded weights round differently
    with pytest.raises(ModelFileError, match="is an INT8 file, whose weights are rounded; pass fast-scnn-camvid"):
        SegmentationModel.from_pretrained("fast-scnn-camvid-int8")


def test_an_image_is_not_a_model() -> None:
    with pytest.raises(ModelFileError, match="is an image, not a model; load a model, then call it with the image"):
        rapidseg.load(SAMPLE_IMAGE)
