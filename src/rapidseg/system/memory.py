"""The most memory that this process has held."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_memory_bytes() -> int | None:
    """Returns the largest resident set size of this process so far; None where the system does not tell.

    Linux's `getrusage` is of no use here: it counts what the parent held when it started this process.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return None
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


def peak_gpu_memory_bytes() -> int | None:
    """Returns the most memory that this process has held on an NVIDIA GPU; None where it holds none.

    PyTorch counts itself. Other engines keep what they once took, so what the driver sees at the end is the peak.
    """
    torch = sys.modules.get("torch")  # never imported for this: an engine has, or has not
    if torch is not None and torch.cuda.is_initialized():
        # What its allocator took, CUDA graphs included; not what libraries and the context take beside it.
        return sum(int(torch.cuda.max_memory_reserved(index)) for index in range(torch.cuda.device_count()))
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    held = [line.split(",") for line in listed.splitlines() if line.count(",") == 1]
    own = [int(mebibytes) << 20 for pid, mebibytes in held if pid.strip() == str(os.getpid())]
    return sum(own) or None
