"""The script that measures an NVIDIA GPU, run on the CPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rapidseg.core.labels import CAMVID
from rapidseg.exporting import export_onnx
from rapidseg.models import create_model
from rapidseg.models.weights import save_model

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "nvidia.py"


def test_it_runs_from_end_to_end(tmp_path):
    torch.manual_seed(0)
    model = create_model("fast-scnn", labels=CAMVID, width=0.25)
    with torch.no_grad():  # fills the running averages, so that classes differ between pixels
        model(torch.randn(4, 3, 128, 192))
    save_model(model.eval(), tmp_path / "model.safetensors")
    export_onnx(model, model.spec, tmp_path / "model.onnx", check_sizes=[(64, 128)], images=[])
    options = ["--device", "cpu", "--size", "64x128", "--batches", "1,2", "--seconds", "0.01", "--precision", "float32"]
    command = [sys.executable, "-W", "error", SCRIPT, "model.onnx", "model.safetensors", *options]
    subprocess.run(command, cwd=tmp_path, check=True)
    report = json.loads((tmp_path / "nvidia" / "nvidia.json").read_text())
    assert report["agreement"]["torch float32, openvino float32"] > 0.99
    for batch in (1, 2):
        figures = report[f"batch_{batch}"]
        assert figures["algorithms"] == {"selected": {"plain": 45}, "rejected": {}}
        floor_ms = 1e3 * figures["floor"]["bytes"] / report["copy_bytes_per_s"]
        assert figures["floor"]["share_reached"] == pytest.approx(floor_ms / figures["ours"]["queued_ms"])
        assert figures["same_class_as_eager"] > 0.99
        assert (tmp_path / "nvidia" / f"profile-{batch}.txt").read_text().startswith("---")
    # Image, class map, and logits at a stride of 8, which are written and read.
    least = 64 * 128 * (3 + 1) + 2 * 4 * 11 * 8 * 16
    assert report["batch_2"]["floor"]["bytes"] > 2 * least
