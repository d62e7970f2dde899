"""`rapidseg benchmark`, as a person types it. No test asserts a time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rapidseg.core.labels import CAMVID
from rapidseg.core.spec import Score
from rapidseg.imaging import read_image
from tests.support.data_folders import write_camvid
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx

SHORT = ["--rounds", "2", "--seconds", "0"]
STAGES = ["decode", "prepare", "network", "class_map", "draw", "write"]


@pytest.fixture
def model(tmp_path):
    return write_tiny_onnx(tmp_path / "tiny.onnx")


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)).save(path)
    return path


def test_two_engines_at_two_sizes_with_miou_file_and_plot(rapidseg, model, photo, tmp_path):
    write_camvid(tmp_path / "camvid")
    options = ["--engines", "openvino,onnxruntime", "--precisions", "float32", "--image-size", "64x96,48x80", *SHORT]
    labeled = ["--data", "camvid", "--root", "camvid"]
    status, output, error = rapidseg("benchmark", model, "--image", photo, *options, *labeled, "-o", "out", "--json")
    assert status == 0, error
    document = json.loads(output)
    assert document == json.loads(Path("out/benchmark.json").read_text())
    measured = [(each["engine"], tuple(each["input_size_hw"])) for each in document["measurements"]]
    assert measured == [(engine, size) for engine in ("openvino", "onnxruntime") for size in ((64, 96), (48, 80))]
    for measurement in document["measurements"]:
        assert measurement["image_size_hw"] == measurement["input_size_hw"]
        assert list(measurement["stages_ms"]) == STAGES
        assert all(summary["count"] >= 2 and summary["median"] > 0 for summary in measurement["stages_ms"].values())
        in_path = [measurement["stages_ms"][stage]["median"] for stage in ("prepare", "network", "class_map")]
        assert measurement["path_ms"]["p95"] >= max(in_path)
        assert all(measurement["frames_per_s"][path]["median"] > 0 for path in ("path", "with_io", "stream"))
        assert measurement["parameters"] == 11 * 3 * 81
        assert measurement["peak_matmul_share"] > 0
        assert 0 <= measurement["mean_iou"] <= 1
        assert measurement["mean_iou_source"] == "measured: camvid val, 3 images"
        assert measurement["choice"]
        assert measurement["speed_up"] is None
    assert set(document["peak_matmul_rates"]) == {"float32"}
    assert document["peak_matmul_rates"]["float32"]["numpy_operations_per_s"]["median"] > 0
    assert [image["file"] for image in document["images"]] == [str(photo), "photo-48x80.jpg"]
    assert document["machine"]["cpus"] >= 1
    assert document["skipped"] == document["unmeasured"] == document["warnings"] == []
    assert document["complete"]
    assert document["files"] == ["out/benchmark.json", "out/speed_accuracy.png", "out/speed_accuracy.svg"]
    assert read_image("out/speed_accuracy.png").shape[1] > 500
    assert "<svg" in Path("out/speed_accuracy.svg").read_text()
    assert "wrote out/speed_accuracy.png" in error


def test_tables_say_what_could_not_be_measured_and_the_status_is_1(rapidseg, model, photo):
    options = ["--engines", "openvino", "--precisions", "float32,int8", "--image-size", "64x96", *SHORT]
    status, output, error = rapidseg("benchmark", model, "--image", photo, *options, "-o", "out")
    assert status == 1  # int8 was asked for by name
    for text in (
        "milliseconds by stage",
        "class",
        "openvino",
        "float32 64x96",
        "peak matmul rate in float32",
        "2 rounds on",
    ):
        assert text in output
    assert "run-to-run noise is" in output
    assert "; ignore smaller differences" in output
    assert "…" not in output  # no number is cut off
    assert "skipped: tiny openvino int8 (" in output
    assert "plot skipped: the mIoU of every configuration is unknown; measure it with --data (data= in Python)" in error
    assert [path.name for path in Path("out").iterdir()] == ["benchmark.json"]


def test_a_batch_has_no_stream(rapidseg, model, photo):
    options = ["--engines", "openvino", "--precisions", "float32", "--image-size", "64x96", "--batch", "3", *SHORT]
    status, output, _ = rapidseg("benchmark", model, "--image", photo, *options, "--json")
    assert status == 0
    (measurement,) = json.loads(output)["measurements"]
    assert (measurement["batch"], measurement["frames_per_s"]["stream"]) == (3, None)
    assert measurement["frames_per_s"]["path"]["median"] == pytest.approx(
        3e3 / measurement["path_ms"]["median"], rel=1e-3
    )


def test_a_stated_score_is_drawn_only_where_it_holds(rapidseg, tmp_path, photo):
    spec = tiny_spec(CAMVID, scores=(Score(dataset="camvid", split="val", mean_iou=0.5),))
    write_tiny_onnx(tmp_path / "scored.onnx", spec)
    options = ["--engines", "openvino", "--precisions", "float32", "--image-size", "360x480,64x96", *SHORT]
    status, output, error = rapidseg("benchmark", "scored.onnx", "--image", photo, *options, "-o", "out", "--json")
    assert status == 0
    stated, unknown = json.loads(output)["measurements"]
    assert (stated["mean_iou"], stated["mean_iou_source"]) == (0.5, "stated in the model file: camvid val")
    assert (unknown["mean_iou"], unknown["mean_iou_source"]) == (None, None)
    assert (
        "plot: skipped 1 of 2 configurations, whose mIoU is unknown; measure it with --data (data= in Python)" in error
    )
    assert Path("out/speed_accuracy.svg").exists()


@pytest.mark.usefixtures("traced_once")
def test_eager_pytorch_with_the_same_weights_as_the_baseline(rapidseg, tmp_path, photo):
    import torch

    from rapidseg.exporting import export_onnx
    from rapidseg.models import create_model, save_model

    torch.manual_seed(0)
    network = create_model("fast-scnn", labels=CAMVID, width=0.25).eval()
    save_model(network, tmp_path / "best.safetensors")
    options = [
        "--engines",
        "openvino",
        "--precisions",
        "float32",
        "--image-size",
        "64x96",
        *SHORT,
        "--image",
        photo,
        "--json",
    ]
    status, output, error = rapidseg("benchmark", "best.safetensors", "--baseline", "eager", *options)
    assert status == 0, error
    assert "exporting best.safetensors for this run" in error
    document = json.loads(output)
    (measurement,), (eager,) = document["measurements"], document["eager_ms"]
    assert measurement["speed_up"]["count"] == 2  # one pair per round
    assert measurement["speed_up"]["median"] > 0
    assert eager["size_hw"] == [64, 96]
    export_onnx(network, network.spec, tmp_path / "best.onnx", check_sizes=[(64, 96)], images=())
    save_model(create_model("fast-scnn", labels=CAMVID, width=0.25), tmp_path / "retrained.safetensors")
    beside = ["benchmark", "best.onnx", "--baseline", "eager", *options, "--rounds", "1", "--checkpoint"]
    assert rapidseg(*beside, "best.safetensors")[0] == 0
    status, _, error = rapidseg(*beside, "retrained.safetensors")
    assert status == 2
    assert "best.onnx and retrained.safetensors hold different weights" in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["absent.onnx"], "absent.onnx is neither a file nor the name of a model"),
        (
            ["tiny.onnx", "--engines", "openvno"],
            "unknown engine 'openvno' (did you mean 'openvino'?); allowed: openvino",
        ),
        (["tiny.onnx", "--precisions", "fp32"], "unknown precision 'fp32' (did you mean 'float32'?); allowed: float32"),
        (["tiny.onnx", "--image-size", "1024"], "'1024' is not a size; write HEIGHTxWIDTH in pixels"),
        (
            ["tiny.onnx", "--engines", "onnxruntime", "--precisions", "bf16"],
            "none of the requested configurations can run here",
        ),
        (["tiny.onnx", "--image", "absent.png"], "absent.png"),
        (["tiny.onnx", "--baseline", "lightning"], "--baseline"),
        (["tiny.onnx", "--baseline", "eager"], "--baseline eager needs the checkpoint with the same weights"),
    ],
)
def test_mistakes_are_one_message_and_exit_status_2(rapidseg, model, options, message):
    status, output, error = rapidseg("benchmark", *options)
    assert (status, output) == (2, "")
    assert message in error
    assert "Traceback" not in error


def test_after_one_round_the_noise_is_unknown(rapidseg, model, photo):
    options = ["--engines", "openvino", "--precisions", "float32", "--image-size", "64x96", "--seconds", "0.01"]
    status, output, _ = rapidseg("benchmark", model, "--image", photo, *options, "--rounds", "1")
    assert status == 0
    assert "1 round on " in output
    assert "run-to-run noise is unknown; measure it with --rounds 3 or more" in output
