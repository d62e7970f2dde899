"""Writing files atomically: an interruption or a full disk never leaves half a file under its final name."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rapidseg.core.errors import InputError, RapidSegError

# What to do about a file that cannot be written, by the number of the operating system's error.
_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free disk space, or choose a path on another disk"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "change the permissions, or choose a folder that you can write to"),
    errno.EROFS: "choose a path on a disk that can be written to",
    errno.EISDIR: "choose a file name that is not taken by a folder",
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), "a part of the path is a file, not a folder: choose another path"),
    errno.ENAMETOOLONG: "choose a shorter name",
}


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
        raise write_error(final, error) from error
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, final)
    except OSError as error:
        raise write_error(final, error) from error
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
    endings = " or ".join(filter(None, (", ".join(suffixes[:-1]), suffixes[-1])))
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


def write_error(path: str | os.PathLike[str], error: OSError) -> RapidSegError:
    """Returns the error for users about a file or folder that cannot be written; its advice depends on the cause."""
    advice = _ADVICE.get(error.errno or 0, "choose another path")
    return RapidSegError(f"cannot write {os.fspath(path)}: {error.strerror or error}; {advice}")


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


def check_output_folder(path: str | os.PathLike[str]) -> Path:
    """Checks that a folder to write to is not a file, before the work that fills it begins; creates nothing.

    Raises:
        InputError: it is a file.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; results are written to a folder, choose another name")
    return folder
