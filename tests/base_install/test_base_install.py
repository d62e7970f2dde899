"""What the package does without any extra: predict, check data, draw scenes, and say what else is missing.

`scripts/check_base_install.sh` runs these tests where only the base install is present, on another Python.
"""

from __future__ import annotations

import json
import pydoc
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import rapidseg
from rapidseg.core.labels import CAMVID
from rapidseg.core.spec import SPEC_KEY, ModelSpec
from rapidseg.importing.template import find_template, variant_options
from rapidseg.runtime.model_file import SAMPLE_IMAGE


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line in a process of its own, in a folder."""
    command = [sys.executable, "-m", "rapidseg", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few drawn street scenes in the layout of Cityscapes."""
    root = tmp_path_factory.mktemp("scenes")
    rapidseg.draw_scenes(root, 2, val_images=2, image_size=(128, 256))
    return root


def test_the_sample_is_segmented_from_the_command_line(tmp_path: Path) -> None:
    ended = run(tmp_path, "predict", "--json")
    assert ended.returncode == 0, ended.stderr
    (entry,) = json.loads(ended.stdout)["files"]
    assert Path(tmp_path / entry["class_map"]).is_file()
    assert entry["class_shares"]["Road"] > 0.05


def test_an_image_is_taken_in_every_form() -> None:
    segmenter = rapidseg.load(precision="float32")
    expected = segmenter(SAMPLE_IMAGE).class_map
    array = np.asarray(Image.open(SAMPLE_IMAGE).convert("RGB"))
    for image in (str(SAMPLE_IMAGE), SAMPLE_IMAGE.read_bytes(), Image.open(SAMPLE_IMAGE), array):
        np.testing.assert_array_equal(segmenter(image).class_map, expected)
    np.testing.assert_array_equal(segmenter(cv2.imread(str(SAMPLE_IMAGE)), bgr=True).class_map, expected)
    for result in segmenter.batch([array, array]):
        np.testing.assert_array_equal(result.class_map, expected)


def test_a_result_offers_masks_polygons_probabilities_and_files(tmp_path: Path) -> None:
    result = rapidseg.load(precision="float32")(SAMPLE_IMAGE)
    assert result.mask("Road").sum() == np.count_nonzero(result.class_map == 3)
    assert result.polygons("Road")
    probabilities = result.probabilities()
    assert probabilities.shape == (11, *result.class_map.shape)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)  # eleven float32 numbers, each rounded
    result.save(tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as saved:
        assert saved.size[0] == result.class_map.shape[1]
    json.dumps(result.to_dict())


def test_data_are_checked(scenes: Path) -> None:
    report = rapidseg.check_data("cityscapes", root=scenes)
    assert report.ok, report.to_dict()
    dataset = rapidseg.open_dataset("cityscapes", scenes, split="val")
    assert dataset.labels.names[0] == "road"
    assert dataset[0].image.shape == (128, 256, 3)


def test_a_model_is_scored(scenes: Path) -> None:
    report = rapidseg.evaluate(data="synth-as-camvid", root=scenes, split="train")
    assert report.scores.pixel_accuracy > 0.5  # of drawn scenes, most of which are road, building and sky
    assert not np.isnan(report.scores.mean_iou)


def test_the_installation_is_sound() -> None:
    diagnosis = rapidseg.doctor()
    assert diagnosis.ok, diagnosis.to_dict()


def write_weights(path: Path, variant: str, **options: Any) -> ModelSpec:
    """Writes a Fast-SCNN with random weights as a safetensors file of ours; returns its specification."""
    chosen = {**variant_options()["fast-scnn"][variant], **options}
    template = find_template("fast-scnn", {**chosen, "width": 1.0})
    assert template is not None
    spec = ModelSpec(
        architecture="fast-scnn", options=chosen, labels=CAMVID, stride=8, align_corners=chosen["align_corners"]
    )
    header: dict[str, Any] = {"__metadata__": {SPEC_KEY: spec.to_json()}}
    random, body = np.random.default_rng(0), b""
    for name, tensor in template.tensors(CAMVID.num_classes, chosen).items():
        kind = "<i8" if tensor.dtype == "int64" else "<f4"
        values = (random.random(tensor.shape) * 0.1 + 0.01).astype(kind)
        header[name] = {
            "dtype": "I64" if kind == "<i8" else "F32",
            "shape": list(tensor.shape),
            "data_offsets": [len(body), len(body) + values.nbytes],
        }
        body += values.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return spec


@pytest.mark.parametrize("variant", ["paper", "openmmlab", "tramac", "leftthomas"])
def test_a_checkpoint_runs_without_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str) -> None:
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    spec = write_weights(tmp_path / "best.safetensors", variant)
    segmenter = rapidseg.load(tmp_path / "best.safetensors", precision="float32")
    assert segmenter.spec.options == spec.options
    assert segmenter.engine.name == "openvino"
    logits = segmenter.logits(np.asarray(Image.open(SAMPLE_IMAGE).convert("RGB")))
    assert np.isfinite(logits).all()
    assert np.ptp(logits) > 0
    ended = run(tmp_path, "predict", str(SAMPLE_IMAGE), "-m", "best.safetensors", "--json")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed here")
def test_unusual_networks_need_pytorch(tmp_path: Path) -> None:
    write_weights(tmp_path / "best.safetensors", "paper", width=0.5)
    ended = run(tmp_path, "predict", "--model", "best.safetensors")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "options of its network that need PyTorch" in ended.stderr
    assert "pip install -c constraints.txt '.[export]'" in " ".join(ended.stderr.split())


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed here")
@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["train", "tiny", "-o", "run"], "train"),
        (["export", "best.safetensors", "-o", "best.onnx"], "export"),
        (["import", "best.pth", "-o", "best.safetensors"], "export"),
    ],
)
def test_a_missing_extra_is_named_with_the_command(tmp_path: Path, arguments: list[str], extra: str) -> None:
    (tmp_path / "best.safetensors").write_bytes(b"\0" * 64)
    (tmp_path / "best.pth").write_bytes(b"\0" * 64)
    ended = run(tmp_path, *arguments)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert f"pip install -c constraints.txt '.[{extra}]'" in " ".join(ended.stderr.split())


def test_every_public_name_can_be_read_and_helped_with() -> None:
    for name in dir(rapidseg):
        assert getattr(rapidseg, name) is not None
    text = pydoc.plain(pydoc.render_doc(rapidseg))
    for name in ("load", "train", "pretrain", "draw_scenes"):
        assert f"{name}(" in text


def test_a_script_without_a_guard_draws_with_several_processes(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import rapidseg\n"
        "print('started')\n"
        f"print(rapidseg.draw_scenes({str(tmp_path / 'scenes')!r}, 3, image_size='64x64', workers=2))\n"
        "print(__file__)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "started"
    assert lines[1].startswith("<ScenesReport 3 train")
    assert lines[2:] == [str(script)]  # the script ran once
