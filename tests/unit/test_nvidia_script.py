"""The script that measures on an NVIDIA GPU, tried on the CPU."""

import json
import subprocess
import sys
from pathlib import Path

from rapidseg.core.labels import CAMVID
from rapidseg.models import create_model
from rapidseg.models.weights import save_model
from rapidseg.runtime.model_file import find_model

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "nvidia.py"


def test_it_runs_from_end_to_end(tmp_path):
    # Of other weights than the file, since exporting takes long; only that they agree cannot be seen so.
    save_model(create_model("fast-scnn", labels=CAMVID, width=0.25).eval(), tmp_path / "model.safetensors")
    where = ["--device", "cpu", "--size", "64x128", "--batches", "1,2", "--seconds", "0.01", "--precision", "float32"]
    command = [sys.executable, "-W", "error", SCRIPT, find_model(None), "model.safetensors", *where]
    subprocess.run(command, cwd=tmp_path, check=True)
    report = json.loads((tmp_path / "nvidia" / "nvidia.json").read_text())
    assert report["agreement"]["torch float32, openvino float32"] > 0.99
    for batch in (1, 2):
        found = report[f"batch_{batch}"]
        assert found["algorithms"] == {"selected": {"plain": 45}, "rejected": {}}
        assert found["floor"]["share_reached"] > 0
        assert 0 <= found["same_class_as_eager"] <= 1
        assert (tmp_path / "nvidia" / f"profile-{batch}.txt").read_text().startswith("---")
    # Pixels in and out, and the logits of a stride of 8, are the least that is read and written.
    least = 64 * 128 * (3 + 1) + 2 * 4 * 11 * 8 * 16
    assert report["batch_2"]["floor"]["bytes"] > 2 * least
