"""Writing files atomically: an interruption or a full disk never leaves half a file under its final name."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rapidseg.core.errors import InputError, RapidSegError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path beside `path`, with the same suffix, and renames it to `path` when the block succeeds.

    After an exception the temporary file is removed and an existing file at `path` is unchanged.

    Raises:
        RapidSegError: the file cannot be written (no permission, full disk, a folder in its place).
    """
    final = Path(path)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{final.stem}.", suffix=f".part{final.suffix}", dir=final.parent)
        os.close(handle)
    except OSError as error:
        raise _cannot_write(final, error) from error
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, final)
    except OSError as error:
        raise _cannot_write(final, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def check_output_file(path: str | os.PathLike[str], suffixes: Sequence[str]) -> Path:
    """Checks the name of a file that is about to be made, before the work that makes it begins.

    Args:
        path: what the user passed; a trailing slash means a folder, whether or not that exists.
        suffixes: the allowed endings, such as `(".onnx",)`, in small letters.

    Returns:
        The path.

    Raises:
        InputError: it is a folder, or ends in something else.
    """
    text = os.fspath(path)
    file = Path(text)
    endings = " or ".join(suffixes)
    separators = tuple(filter(None, (os.sep, os.altsep)))
    if text.endswith(separators) or file.name in ("", "..") or file.is_dir():
        raise InputError(f"{text or '.'} is a folder; pass a file name that ends in {endings}")
    if file.suffix.lower() not in suffixes:
        raise InputError(
            f"{text}: pass a file name that ends in {endings}, such as {file.with_suffix(suffixes[0]).name}"
        )
    return file


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Writes a UTF-8 text file atomically."""
    write_bytes(path, content.encode())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _cannot_write(path: Path, error: OSError) -> RapidSegError:
    reason = error.strerror or str(error)
    return RapidSegError(f"cannot write {path}: {reason}; free disk space or choose another path")
