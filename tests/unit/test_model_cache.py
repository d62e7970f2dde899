"""What `rapidseg models cache` lists and deletes of downloads, whole, broken off and running."""

from __future__ import annotations

import pytest
from filelock import FileLock

from rapidseg.workflows.model_cache import model_cache


@pytest.fixture
def downloads(tmp_path, monkeypatch):
    """A folder of downloads: `a.pth` is whole, `b.pth` and `c.pth` are partial."""
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path))
    folder = tmp_path / "downloads"
    folder.mkdir()
    for name, size in {"a.pth": 1000, "b.pth.partial": 200, "c.pth.partial": 30}.items():
        (folder / name).write_bytes(bytes(size))
    for name in "bc":
        (folder / f"{name}.pth.partial.json").write_text("{}")
    for name in "abc":
        (folder / f"{name}.pth.lock").touch()
    return folder


def test_downloads_that_broke_off_are_listed(downloads):
    found = {file.path.name: (file.kind, file.size_bytes) for file in model_cache().files}
    assert found == {
        "a.pth": ("download", 1000),
        "b.pth.partial": ("partial download", 200),
        "c.pth.partial": ("partial download", 30),
    }


def test_a_running_download_keeps_its_files(downloads):
    with FileLock(downloads / "b.pth.lock"):
        report = model_cache(clear=True)
        assert {path.name for path in downloads.iterdir()} == {"b.pth.lock", "b.pth.partial", "b.pth.partial.json"}
    assert (report.running_downloads, [file.path.name for file in report.files]) == (1, ["b.pth.partial"])
    assert report.freed_bytes == 1000 + 30 + 2
    assert "; 1 running download not touched. Compiled models and code are not deleted: " in report.headline()
    assert model_cache(clear=True).freed_bytes == 200 + 2
    assert list(downloads.iterdir()) == []
