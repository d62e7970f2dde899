"""Fixtures that every kind of test shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# The networks of tests are small, so PyTorch's threads mostly wait for each other: on two cores that other programs use
# as well, a training with two threads takes 15 times as long as with one. Programs that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def gpu_only_where_asked_for():
    """Keeps `auto` on the CPU, so that tests mean the same on every machine; those of GPUs name the device."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rapidseg.runtime.engines.selection.find_gpu", lambda: None)
        yield


@pytest.fixture(scope="module")
def traced_once():
    """Traces each network once in a session, for modules that export the same network several times."""
    from tests.support.traces import traced_once as kept_traces  # the base install has no PyTorch

    with kept_traces():
        yield


def _needed(path: Path, what: str) -> Path:
    if not path.exists():
        pytest.skip(f"{what} is not at {path}")
    return path


@pytest.fixture(scope="session")
def parity_dir() -> Path:
    """The reference outputs of the published implementations, with `check.py`."""
    return _needed(SHARED / "parity", "the folder of reference outputs")


@pytest.fixture(scope="session")
def camvid_root() -> Path:
    """CamVid: `train`, `trainannot` and so on."""
    return _needed(SHARED / "data" / "camvid", "the CamVid data set")


@pytest.fixture(scope="session")
def cityscapes_weights() -> Path:
    """A published Fast-SCNN checkpoint, trained on Cityscapes."""
    return _needed(SHARED / "data" / "weights" / "fast_scnn_cityscapes_19.pth", "the published Cityscapes checkpoint")
