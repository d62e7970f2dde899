"""Writing files atomically: an interruption or a full disk never leaves half a file under its final name."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rapidseg.core.errors import RapidSegError
from rapidseg.core.os_errors import write_error
from rapidseg.core.output_paths import check_output_file, check_output_folder, special_file

__all__ = [
    "atomic_path",
    "check_output_file",
    "check_output_folder",
    "create_folder",
    "file_in_folder",
    "write_bytes",
    "write_text",
]

_MAX_TEMPORARY_STEM = 40  # characters, so that the temporary name of a name of 255 bytes is not too long
_MAX_SUFFIX = 20
_PROBE = bytes(1 << 17)  # more than what is left in the last block of a file on a full disk


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path beside `path`, with the same suffix, and renames it to `path` when the block succeeds.

    After an exception the temporary file is removed and an existing file at `path` is unchanged. If the process is
    killed, the temporary file stays; the next write to `path` replaces it.

    Raises:
        RapidSegError: the file cannot be written (no permission, full disk, a folder or a device in its place),
            whatever type of exception the library that writes it has for that.
    """
    final = Path(path)
    try:
        _check_replaceable(final)
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary, handle = _reserve(final)
    except OSError as error:
        raise write_error(final, error) from error
    is_done = False
    try:
        mode = os.fstat(handle).st_mode
        if sys.platform == "win32":  # which neither renames nor removes open files, and where there is no lock
            os.close(handle)
            handle = -1
        try:
            yield temporary
            if temporary.stat().st_mode != mode:  # a library that replaces the file makes it private
                os.chmod(temporary, mode)
            os.replace(temporary, final)
            is_done = True
        except OSError as error:
            raise write_error(final, error if error.errno else _why_full(temporary) or error) from error
        except RapidSegError:
            raise
        except Exception as error:
            reason = _why_full(temporary)
            if reason is None:
                raise
            raise write_error(final, reason) from error
    finally:
        if not is_done:  # else the name may be that of another thread's file by now
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        if handle >= 0:  # the lock ends last
            os.close(handle)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Writes a UTF-8 text file atomically.

    Names of files need not be UTF-8. Python's stand-ins for their other bytes become escapes, which JSON and quoted
    YAML read back.
    """
    write_bytes(path, content.encode("utf-8", "backslashreplace"))


def create_folder(path: str | os.PathLike[str]) -> Path:
    """Creates a folder, and those above it, unless it exists.

    Raises:
        RapidSegError: it cannot be created.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error
    return folder


def file_in_folder(folder: Path, suffixes: Sequence[str]) -> str:
    """Returns advice on a folder that was passed instead of a file: which of its files to pass.

    Args:
        folder: what was passed.
        suffixes: of the files that are possible, the best first.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if path.suffix in suffixes)
    except OSError:
        names = []
    if not names:
        return f"it contains no file that ends in {', '.join(suffixes)}; pass such a file"
    nearest = min(names, key=lambda name: (suffixes.index(Path(name).suffix), name))  # `best` comes before `last`
    return f"pass a file in it, such as {folder / nearest}"


def _check_replaceable(final: Path) -> None:
    """Raises where renaming a file to this path would fail after the work, or replace more than a file."""
    if os.path.isdir(final):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    special = special_file(final)
    if special:
        raise FileExistsError(0, f"it is {special}, not a regular file")


def _reserve(final: Path) -> tuple[Path, int]:
    """Creates the temporary file, and returns it with a descriptor that locks it as long as it is open.

    Its name depends only on the final one, so a file that a killed process left is used again. Where another process
    or thread is writing to the same path at this moment, and where files cannot be locked, the name is a new one.
    """
    suffix = final.suffix if len(os.fsencode(final.suffix)) <= _MAX_SUFFIX else ""
    mark = hashlib.sha256(os.fsencode(final.name)).hexdigest()[:8]
    stem = final.stem[:_MAX_TEMPORARY_STEM] if final.name.isascii() else "file"
    temporary = final.with_name(f".{stem}.{mark}.part{suffix}")
    handle = _lock(temporary)
    if handle is None:
        temporary = final.with_name(f".{stem}.{mark}-{secrets.token_hex(4)}.part{suffix}")
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
    return temporary, handle


def _lock(temporary: Path) -> int | None:
    """Returns a descriptor of an empty file that nobody else writes to; None where that cannot be had."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        handle = os.open(temporary, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.EACCES) and os.path.lexists(temporary):
            return None
        raise
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found, named = os.fstat(handle), os.stat(temporary, follow_symlinks=False)
        is_ours = found.st_ino == named.st_ino and found.st_uid == os.geteuid() and found.st_nlink == 1
        if is_ours:
            os.ftruncate(handle, 0)
            return handle
    except OSError:  # somebody else writes to it, or the file system has no locks
        pass
    os.close(handle)
    return None


def _why_full(temporary: Path) -> OSError | None:
    """Returns why nothing can be added to a file; None if something can be.

    Libraries report a full disk by errors of their own, which do not always say so.
    """
    try:
        with open(temporary, "ab") as file:
            file.write(_PROBE)
    except OSError as error:
        return error
    return None
