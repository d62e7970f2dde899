"""Fixtures that several test files share."""

import functools

import pytest

from tests.support.checkpoint_files import refusal_of


@pytest.fixture
def refusal(tmp_path):
    """Reads a file, or bytes as a file, that must be refused as a checkpoint, and returns the reason."""
    return functools.partial(refusal_of, tmp_path)


@pytest.fixture
def downloads(tmp_path, monkeypatch):
    """An empty folder of downloads, and no wait between attempts."""
    from rapidseg.importing import transfer

    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(transfer, "WAIT_S", 0.0)
    return tmp_path / "cache" / "downloads"
