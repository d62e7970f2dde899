"""`rapidseg tune`, and the file that it writes in the hands of other commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.support.data_folders import write_camvid
from tests.support.tiny_onnx import write_tiny_onnx

SHORT = ["--engines", "openvino", "--precisions", "float32", "--rounds", "1", "--seconds", "0"]


@pytest.fixture
def model(tmp_path):
    return write_tiny_onnx(tmp_path / "tiny.onnx")


def test_the_selection_is_written_and_used(rapidseg, model, tmp_path):
    camvid = write_camvid(tmp_path / "camvid")
    labeled = ["--data", "camvid", "--root", camvid, "--input-sizes", "48,32"]
    status, output, error = rapidseg("tune", model, "--min-fps", "0.001", *labeled, *SHORT)
    assert status == 0, error
    assert "trials, from image in memory to class map in memory" in output
    assert "48x80" in output
    assert "32x56" in output  # 12x20 at a shorter side of 32: the longer one is a multiple of the stride
    assert "the most accurate configuration that reaches 0.001 FPS" in error
    assert "wrote tiny.tuned.yaml" in error
    tuned = yaml.safe_load(Path("tiny.tuned.yaml").read_text())
    assert (tuned["model"], tuned["engine"], tuned["precision"]) == ("tiny.onnx", "openvino", "float32")
    assert tuned["input_short_side"] in (32, 48)
    assert tuned["measured"]["image_size_hw"] == [12, 20]
    assert tuned["measured"]["data"] == "camvid val"
    status, output, _ = rapidseg("predict", camvid / "val" / "000.png", "-m", "tiny.tuned.yaml", "--json")
    assert status == 0
    assert min(json.loads(output)["files"][0]["input_size_hw"]) == tuned["input_short_side"]
    status, output, _ = rapidseg("eval", "tiny.tuned.yaml", "--data", "camvid", "--root", camvid, "--json")
    assert status == 0
    assert json.loads(output)["mean_iou"] == pytest.approx(tuned["measured"]["mean_iou"])


def test_a_checkpoint_is_tuned_as_a_model_file(rapidseg, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from rapidseg.models import create_model, save_model

    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    save_model(create_model("fast-scnn", 3), "best.safetensors")
    Path("best.onnx").write_bytes(b"another model")
    options = ["--image-size", "64x96", "--input-sizes", "64", *SHORT]
    assert rapidseg("tune", "best.safetensors", "--min-fps", "1e9", *options)[0] == 1
    assert sorted(path.name for path in Path().glob("best*")) == ["best.onnx", "best.safetensors"]
    status, _, error = rapidseg("tune", "best.safetensors", "--min-fps", "0.001", *options)
    assert status == 0, error
    tuned = yaml.safe_load(Path("best.tuned.yaml").read_text())
    assert re.fullmatch(r"best-[0-9a-f]{16}\.onnx", tuned["model"])
    assert Path("best.onnx").read_bytes() == b"another model"
    status, output, error = rapidseg("benchmark", "best.safetensors", *options[:2], *SHORT)
    assert status == 0, error
    assert "best" in output
    status, output, error = rapidseg("predict", "-m", "best.tuned.yaml", "--json")
    assert status == 0, error
    assert json.loads(output)["engine"] == "openvino"


def test_where_the_target_is_not_met_no_file_is_written_and_the_best_trial_is_shown(rapidseg, model):
    options = ["tune", model, "--min-fps", "1e9", "--image-size", "64x96", "--input-sizes", "64", *SHORT]
    status, output, error = rapidseg(*options)
    assert status == 1
    assert "tiny openvino float32" in output
    assert "target 1e+09 FPS not met; this is the fastest configuration" in error
    assert "no file written" in error
    assert not list(Path().glob("*.yaml"))
    status, output, _ = rapidseg(*options, "--json")
    assert status == 1
    document = json.loads(output)
    assert (document["met"], document["path"]) == (False, None)
    assert document["best"] == document["trials"][0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "set a target: --min-fps, or --min-miou with --data"),
        (["--min-miou", "0.5"], "--min-miou needs --data to measure it on"),
        (["--min-fps", "10", "--input-sizes", "31"], "input sizes have 32 pixels or more on the shorter side, not 31"),
        (
            ["--min-fps", "10", "--input-sizes", "64x64", "--image-size", "64x96"],
            "64x64 does not keep the aspect ratio",
        ),
        (["--min-fps", "10", "-o", "tuned.json"], "the name of a tuned file must end in .yaml; use tuned.yaml"),
        (["--min-fps", "10", "--data", "camvid", "--root", "absent"], "no CamVid data set at absent"),
    ],
)
def test_mistakes_are_one_message_and_exit_status_2(rapidseg, model, options, message):
    status, output, error = rapidseg("tune", model, *options)
    assert (status, output) == (2, "")
    assert message in error
    assert "Traceback" not in error
