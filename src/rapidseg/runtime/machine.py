"""What the machine offers to this process."""

from __future__ import annotations

import os


def cpu_count() -> int:
    """Returns how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
