"""What is compiled and cached: wrong bytes, other users' files and deadly entries are never loaded twice."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rapidseg
from rapidseg.runtime.kernels import class_map
from rapidseg.system import cache, compiled_cache
from tests.support.tiny_onnx import write_tiny_onnx

ROOT = Path(__file__).resolve().parents[2]
CONTENT = bytes(range(256)) * 20
posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners and modes here")


def load(folder: Path, name: str = "a"):
    return compiled_cache.load_entry(folder, name, bytes)


def entry(folder: Path) -> Path:
    (path,) = folder.glob("*.entry")
    return path


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """Returns an entry with zeroed bytes, a changed bit, an end cut off, or bytes added."""
    content, where = bytearray(whole), int(rng.integers(len(whole)))
    kind = rng.integers(4)
    if kind == 0:
        content[where : where + 16] = bytes(len(content[where : where + 16]))
    elif kind == 1:
        content[where] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        del content[where:]
    else:
        content += b"\0"
    return bytes(content)


def test_every_damage_is_noticed_and_the_entry_deleted(tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(300):
        compiled_cache.store_entry(tmp_path, "a", CONTENT)
        assert load(tmp_path) == CONTENT
        whole = entry(tmp_path).read_bytes()
        changed = damaged(whole, rng)
        entry(tmp_path).write_bytes(changed)
        if changed == whole:  # zeros were zeroed
            continue
        assert load(tmp_path) is None
        assert list(tmp_path.iterdir()) == []


def test_an_entry_under_another_name_is_wrong(tmp_path):
    compiled_cache.store_entry(tmp_path, "a", CONTENT)
    entry(tmp_path).rename(tmp_path / "b.entry")
    assert load(tmp_path, "b") is None


def test_an_entry_that_the_library_refuses_is_deleted(tmp_path):
    def refuse(content: bytes) -> None:
        raise RuntimeError("made by another version")

    compiled_cache.store_entry(tmp_path, "a", CONTENT)
    assert compiled_cache.load_entry(tmp_path, "a", refuse) is None
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_an_entry_is_loaded_keeps_it(tmp_path):
    def interrupt(content: bytes) -> None:
        raise KeyboardInterrupt

    compiled_cache.store_entry(tmp_path, "a", CONTENT)
    with pytest.raises(KeyboardInterrupt):
        compiled_cache.load_entry(tmp_path, "a", interrupt)
    assert load(tmp_path) == CONTENT


@posix
def test_files_of_others_links_and_pipes_are_not_read(tmp_path, monkeypatch):
    compiled_cache.store_entry(tmp_path, "a", CONTENT)
    assert entry(tmp_path).stat().st_mode & 0o077 == 0
    entry(tmp_path).chmod(0o664)
    assert load(tmp_path) is None
    compiled_cache.store_entry(tmp_path, "a", CONTENT)
    moved = entry(tmp_path).rename(tmp_path / "elsewhere")
    (tmp_path / "a.entry").symlink_to(moved)
    assert load(tmp_path) is None
    os.mkfifo(tmp_path / "a.entry")
    assert load(tmp_path) is None
    compiled_cache.store_entry(tmp_path, "a", CONTENT)
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    assert load(tmp_path) is None


@posix
def test_a_process_that_died_while_it_loaded_an_entry_leaves_word(tmp_path):
    compiled_cache.store_entry(tmp_path, "a", CONTENT)
    code = (
        "import os, signal, sys; from pathlib import Path; from rapidseg.system.compiled_cache import load_entry\n"
        "def die(content): os.kill(os.getpid(), signal.SIGSEGV)\n"
        "print(load_entry(Path(sys.argv[1]), 'a', die))"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    first = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert first.returncode == -signal.SIGSEGV
    second = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert (second.returncode, second.stdout) == (0, "None\n")  # not tried again, and deleted
    assert list(tmp_path.iterdir()) == []


@posix
def test_a_marker_of_a_process_that_is_loading_does_not_delete_the_entry(tmp_path):
    compiled_cache.store_entry(tmp_path, "a", CONTENT)
    inner = []

    def load_meanwhile(content: bytes) -> bytes:
        inner.append(load(tmp_path))
        return content

    assert compiled_cache.load_entry(tmp_path, "a", load_meanwhile) == CONTENT
    assert inner == [CONTENT]
    assert load(tmp_path) == CONTENT


def test_a_full_disk_and_an_old_part_do_no_harm(tmp_path, monkeypatch):
    old = tmp_path / "x.part"
    old.write_bytes(b"1")
    os.utime(old, (1e9, 1e9))
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    compiled_cache.store_entry(tmp_path, "a", CONTENT)
    assert list(tmp_path.iterdir()) == []


def test_files_that_a_library_keeps_by_itself_are_checked(tmp_path):
    with compiled_cache.verified_files(tmp_path):
        (tmp_path / "engine").write_bytes(CONTENT)
        (tmp_path / "other").write_bytes(CONTENT)
    (tmp_path / "engine").write_bytes(bytes(len(CONTENT)))
    (tmp_path / "planted").write_bytes(CONTENT)
    with compiled_cache.verified_files(tmp_path):
        assert {path.name for path in tmp_path.iterdir() if path.suffix != ".entry"} == {"other"}


@posix
def test_a_folder_that_others_may_write_to_is_made_private(tmp_path, monkeypatch):
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    folder = cache.cache_folder("numba")
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    assert cache.cache_folder("numba") == folder
    assert folder.stat().st_mode & 0o022 == 0


@posix
def test_users_who_share_a_cache_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    first = cache.cache_folder("openvino")
    user = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: user + 1)
    assert cache.cache_folder("openvino") is None  # `openvino-UID` belongs to the real user here, and so is refused
    assert cache.cache_folder("downloads") is not None
    monkeypatch.undo()
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / f"openvino-{user + 1}" / "a.entry").write_bytes(b"123")
    assert cache.cache_folder("openvino") == first
    assert cache.clear_compiled() == 3


class _RunsCode:
    def __reduce__(self):
        return os.mkdir, (os.environ["TRAP"],)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_damaged_cache_changes_no_class_map(tmp_path, monkeypatch, engine):
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    model = write_tiny_onnx(tmp_path / "tiny.onnx")
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    expected = rapidseg.load(model, engine=engine)(image).class_map
    folder, rng = tmp_path / "cache" / engine, np.random.default_rng(1)
    whole = entry(folder).read_bytes()
    for _ in range(8):
        entry(folder).write_bytes(damaged(whole, rng))
        np.testing.assert_array_equal(rapidseg.load(model, engine=engine)(image).class_map, expected)
        assert compiled_cache.load_entry(folder, entry(folder).stem, len) is not None  # it was written again


def test_machine_code_is_rebuilt_and_pickles_of_others_never_run(tmp_path, monkeypatch):
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache" / "numba"))
    monkeypatch.setenv("TRAP", str(tmp_path / "trap"))
    logits = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)

    def class_map_of_new_process() -> np.ndarray:
        class_map.compiled_fill.cache_clear()
        return class_map.class_map_from_logits(logits, (24, 28), align_corners=False)

    expected = class_map_of_new_process()
    folder = tmp_path / "cache" / "numba"
    whole = entry(folder).read_bytes()
    assert list(folder.rglob("*.nb?")) == []  # nothing of Numba's own cache
    modified = entry(folder).stat().st_mtime_ns
    np.testing.assert_array_equal(class_map_of_new_process(), expected)
    assert entry(folder).stat().st_mtime_ns == modified  # it was loaded
    for content in (whole[: len(whole) // 2], whole[:60] + pickle.dumps(_RunsCode())):
        entry(folder).write_bytes(content)
        np.testing.assert_array_equal(class_map_of_new_process(), expected)
    name = entry(folder).stem
    compiled_cache.store_entry(folder, name, pickle.dumps(_RunsCode()))
    entry(folder).chmod(0o666)  # whoever can write to the file could have written this
    np.testing.assert_array_equal(class_map_of_new_process(), expected)
    assert not (tmp_path / "trap").exists()


def test_a_file_with_weights_elsewhere_is_not_cached(tmp_path):
    from rapidseg.runtime.engines.engine import file_digest

    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x09 any other content")
    assert file_digest(path) is not None
    path.write_bytes(b"\x08\x09\x0a\x08location\x12\x07weights")
    assert file_digest(path) is None
