"""What libraries compiled, kept for the next process, and never trusted without a look.

A wrong byte in a compiled model changes class maps without a word, or ends the process. So every entry begins with a
checksum over its name and its content, must be a file of this user that nobody else can write, and is deleted where
anything is wrong with it; the library then compiles again. A library can still die while it loads a sound entry, for
example one of a machine that shares the folder. Therefore a marker lies beside an entry while it is loaded. Whoever
finds a marker that no process holds deletes the entry: it is tried once, not at every start for ever.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from rapidseg.system.cache import is_private, keep_newest

Loaded = TypeVar("Loaded")

_HEADER = b"rapidseg cache 1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size
_ENTRY, _MARKER, _PART = ".entry", ".loading", ".part"
_PART_MAX_AGE_S = 3600  # a file that is written for longer was abandoned
_READ_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # neither links nor pipes
) | getattr(os, "O_BINARY", 0)


def entry_name(*parts: object) -> str:
    """Returns the name of the entry that depends on `parts`, whose `repr` must tell different ones apart."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def load_entry(folder: Path, name: str, load: Callable[[bytes], Loaded]) -> Loaded | None:
    """Loads an entry.

    Args:
        folder: of `cache_folder`.
        name: of `entry_name`.
        load: returns what was compiled, of the bytes that were stored.

    Returns:
        What `load` returned; None where there is no such entry, or where it was wrong and is deleted.
    """
    path = folder / f"{name}{_ENTRY}"
    content = _read_sound(path, name)
    if content is None:
        return None
    with _marked_while_loading(folder / f".{name}{_MARKER}") as killed_before:
        if not killed_before:
            with contextlib.suppress(Exception):  # libraries raise errors of any type about what they cannot load
                return load(content)
    _delete(path)
    return None


def store_entry(folder: Path, name: str, content: bytes) -> None:
    """Stores an entry; does nothing where that fails, since the next process can compile again."""
    with contextlib.suppress(OSError):
        _delete_abandoned_parts(folder)
        handle, part = tempfile.mkstemp(suffix=_PART, dir=folder)  # with the rights of this user only
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_HEADER + _digest(name, content))
                file.write(content)
            os.replace(part, folder / f"{name}{_ENTRY}")
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)
    keep_newest(folder)


@contextlib.contextmanager
def temporary_folder(folder: Path) -> Iterator[Path]:
    """Yields a new folder in a folder of the cache for what a library can only write to a path; deletes it at the end.

    Raises:
        OSError: it cannot be created.
    """
    with tempfile.TemporaryDirectory(suffix=_PART, dir=folder, ignore_cleanup_errors=True) as path:
        yield Path(path)


@contextlib.contextmanager
def verified_files(folder: Path) -> Iterator[None]:
    """Lets a library that keeps files of its own in a folder use only those that are as it left them.

    Files that changed since the last block are deleted before this one, as are those that nobody has recorded.
    """
    name = entry_name("the files of a library")
    recorded = load_entry(folder, name, json.loads) or {}
    for file, digest in _digests(folder).items():
        if recorded.get(file) != digest:
            _delete(folder / file)
    yield
    store_entry(folder, name, json.dumps(_digests(folder)).encode())


def _digests(folder: Path) -> dict[str, str | None]:
    """Returns the digest of each file that a library keeps; None for what is not a private file."""
    digests: dict[str, str | None] = {}
    for file in folder.iterdir():
        if file.suffix in (_ENTRY, _MARKER, _PART):
            continue
        status = file.lstat()
        is_file = stat.S_ISREG(status.st_mode) and is_private(status)
        digests[file.name] = hashlib.sha256(file.read_bytes()).hexdigest() if is_file else None
    return digests


def _digest(name: str, content: bytes) -> bytes:
    digest = hashlib.sha256(name.encode())  # an entry under the name of another one is wrong, too
    digest.update(content)
    return digest.digest()


def _read_sound(path: Path, name: str) -> bytes | None:
    """Returns the content of an entry; None where it is missing, or wrong and deleted."""
    try:
        handle = os.open(path, _READ_FLAGS)
    except FileNotFoundError:
        return None
    except OSError:
        _delete(path)
        return None
    with os.fdopen(handle, "rb") as file, contextlib.suppress(OSError):
        status = os.fstat(handle)
        if stat.S_ISREG(status.st_mode) and is_private(status):
            start = len(_HEADER) + _DIGEST_BYTES
            content = file.read()
            if content[:start] == _HEADER + _digest(name, content[start:]):
                return content[start:]
    _delete(path)
    return None


@contextlib.contextmanager
def _marked_while_loading(marker: Path) -> Iterator[bool]:
    """Keeps a marker in the block; yields whether one was left by a process that died in such a block."""
    killed_before = marker.exists() and _is_abandoned(marker)
    handle = None
    try:
        with contextlib.suppress(OSError):
            handle = os.open(marker, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
            _lock(handle, exclusive=False)
        yield killed_before
    finally:
        if handle is not None:
            os.close(handle)
        with contextlib.suppress(OSError):
            marker.unlink()


def _is_abandoned(marker: Path) -> bool:
    """Returns whether no process holds a marker."""
    try:
        handle = os.open(marker, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        return _lock(handle, exclusive=True)
    finally:
        os.close(handle)


def _lock(handle: int, *, exclusive: bool) -> bool:
    """Locks an open file until it is closed or the process ends; returns False where another process holds it."""
    try:
        import fcntl
    except ImportError:  # not on Windows, where a marker says nothing
        return False
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _delete(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _delete_abandoned_parts(folder: Path) -> None:
    for part in folder.glob(f"*{_PART}"):
        with contextlib.suppress(OSError):
            if part.lstat().st_mtime < time.time() - _PART_MAX_AGE_S:
                shutil.rmtree(part) if part.is_dir() and not part.is_symlink() else part.unlink()
