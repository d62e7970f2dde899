"""The GPUs: what the driver sees, and what PyTorch, where it is installed, can use of it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from typing import Any

from rapidseg.system.gpu import find_gpu


def find_gpus() -> dict[str, Any]:
    """Lists NVIDIA GPUs.

    Returns:
        `driver`: name, memory and driver version of each GPU that `nvidia-smi` lists; empty without it.
        `torch`: what PyTorch finds: `version`, `cuda` (the version that it was built for, or None) and `devices`; None
        where PyTorch is not installed.
        `obstacle`: why a GPU that is there is not used; None where it is, or where there is none.
    """
    gpu = find_gpu()
    obstacle = None if gpu is None else gpu.obstacle
    return {"driver": _listed_by_driver(), "torch": found_by_torch(), "obstacle": obstacle}


def _listed_by_driver() -> list[dict[str, str]]:
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[part.strip() for part in line.split(",")] for line in listed.splitlines()]
    return [dict(zip(("name", "memory", "driver"), row, strict=True)) for row in rows if len(row) == 3]


def found_by_torch() -> dict[str, Any] | None:
    """Returns what PyTorch finds, as `find_gpus` does."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"version": torch.__version__, "cuda": torch.version.cuda, "devices": devices}
