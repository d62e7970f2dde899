"""Where outputs go: the one way from what a user passed, or a data set names, to the path of a file that is written.

Two kinds of path need different care. A path that the user passed is taken as meant, once it can be a file or a folder
here. A name that comes from a list, a data set or an image never leads out of the folder that the user passed, and its
file never replaces one that RapidSeg did not write.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rapidseg.core.errors import InputError
from rapidseg.core.os_errors import write_error
from rapidseg.core.printable import shortened

MAX_NAME_BYTES = 255  # of a file or a folder, on all common file systems
MAX_PATH_BYTES = 4095  # of Linux, the longest of all systems

_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")  # with a drive letter, or of a network drive
_ADDRESS = re.compile(r"(https?|ftp|sftp|file|s3|gs|az|abfss?|hdfs|hf):/", re.IGNORECASE)
_SPECIAL_FILES = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_output_file(path: str | os.PathLike[str], suffixes: Sequence[str], *, inputs: Iterable[object] = ()) -> Path:
    """Checks the name of a file that is about to be made, before the work that makes it begins; creates nothing.

    Args:
        path: what the user passed; a trailing slash means a folder, whether or not that exists.
        suffixes: the allowed endings, such as `(".onnx",)`, in small letters.
        inputs: what the command reads; those that are files must not be replaced.

    Returns:
        The path, with the home folder in place of `~`.

    Raises:
        InputError: it is a folder, ends in something else, is one of `inputs`, or cannot be a file here.
        RapidSegError: the file cannot be written: no permission, or a disk that is read-only.
    """
    text = _output_text(path)
    file = Path(text)
    endings = " or ".join(filter(None, (", ".join(suffixes[:-1]), suffixes[-1])))
    if os.path.basename(text) in ("", ".", "..") or file.name in ("", "..") or os.path.isdir(file):
        raise InputError(f"{shortened(text or '.')} is a folder; pass a file name that ends in {endings}")
    if file.suffix.lower() not in suffixes:
        example = shortened(f"{file.stem.strip('.') or 'file'}{suffixes[0]}")
        raise InputError(f"{shortened(text)}: pass a file name that ends in {endings}, such as {example}")
    special = special_file(file)
    if special:
        raise InputError(
            f"{shortened(text)} is {special}, not a regular file; pass another name that ends in {endings}"
        )
    for source in inputs:
        if isinstance(source, (str, os.PathLike)) and _is_same_file(file, source):
            raise InputError(
                f"{shortened(text)} would be replaced; pass another name that ends in {endings}: --output FILE "
                "(output= in Python)"
            )
    _check_writable(file)
    return file


def check_output_folder(path: str | os.PathLike[str]) -> Path:
    """Checks that a folder can be written to, before the work that fills it begins; creates nothing.

    Returns:
        The path, with the home folder in place of `~`.

    Raises:
        InputError: it is a file, or cannot be a folder here.
        RapidSegError: it cannot be written to: no permission, or a disk that is read-only.
    """
    text = _output_text(path)
    if not text.strip():
        raise InputError("the folder to write to is empty; pass a path, or . for the current folder")
    folder = Path(text)
    if os.path.lexists(folder) and not folder.is_dir():
        kind = special_file(folder) or ("a link to nothing" if folder.is_symlink() else "a file")
        raise InputError(f"{shortened(folder)} is {kind}; results are written to a folder, choose another name")
    _check_writable(folder)
    return folder


def path_below(folder: Path, name: str, suffix: str) -> Path:
    """Returns the path for a name that may contain folders; it is always below `folder`.

    `..` is resolved inside of `folder`, as in a root folder; the slash or drive at the beginning is dropped.
    A part that is longer than file systems allow is shortened to its beginning and a checksum.

    Args:
        folder: that the user passed.
        name: from a list or a data set, with `/`; on Windows also with its own separator.
        suffix: of the file.

    Raises:
        InputError: nothing is left of the name.
    """
    parts: list[str] = []
    separators = re.escape("/" + ((os.altsep and os.sep) or ""))
    for part in re.split(f"[{separators}]", os.path.splitdrive(name)[1]):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    if not parts or not _is_encodable(name):
        raise InputError(
            f"{shortened(name)!r} cannot be the name of a file; correct the list or the data set that contains it"
        )
    *folders, last = parts
    return folder.joinpath(*map(fitting_name, folders), fitting_name(last, suffix))


def _is_encodable(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # half of a surrogate pair, as JSON may contain it
        return False
    return True


def fitting_name(stem: str, suffix: str = "") -> str:
    """Returns a name of at most 255 bytes: a longer one is cut, and a checksum of the whole name keeps it distinct."""
    if len(os.fsencode(stem + suffix)) <= MAX_NAME_BYTES:
        return stem + suffix
    mark = "-" + hashlib.sha256(os.fsencode(stem)).hexdigest()[:12]
    room = MAX_NAME_BYTES - len(os.fsencode(mark + suffix))
    while len(os.fsencode(stem)) > room:
        stem = stem[: max(1, min(len(stem) - 1, room))]
    return stem + mark + suffix


def check_derived_files(folder: Path, paths: Iterable[Path], *, is_ours: Callable[[Path], bool]) -> None:
    """Checks the files that are about to be written below a folder under names that the user did not pass one by one.

    Args:
        folder: that the user passed; need not exist.
        paths: of the files.
        is_ours: tells of an existing file whether RapidSeg wrote it.

    Raises:
        InputError: a file would be outside of the folder, because a link leads there; or it would replace a file that
            RapidSeg did not write.
    """
    root = os.path.realpath(folder)
    inside: set[Path] = set()
    for path in paths:
        if path.parent not in inside:
            parent = os.path.realpath(path.parent)
            if os.path.commonpath([root, parent]) != root:
                raise InputError(
                    f"{shortened(path.parent)} leads to {parent}, outside of {folder}; remove the link, or choose "
                    "another folder"
                )
            inside.add(path.parent)
        if os.path.lexists(path) and not (path.is_symlink() and not path.exists()) and not is_ours(path):
            raise InputError(
                f"{shortened(path)} was not written by RapidSeg and would be overwritten; choose another folder, "
                "or remove it"
            )


def special_file(path: Path) -> str | None:
    """Returns what a path is that is neither a regular file nor a folder, such as `a device`; None for all others."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return None
    return next((name for is_kind, name in _SPECIAL_FILES if is_kind(mode)), None)


def _output_text(path: str | os.PathLike[str]) -> str:
    """Returns a path as text that the operating system accepts, with the home folder in place of `~`."""
    text = os.fspath(path)
    if "\0" in text:
        raise InputError(f"{shortened(text)} contains a NUL character, which paths cannot; correct the path")
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError as error:
        raise InputError(
            f"{shortened(text)} cannot be the name of a file here ({error.reason}); choose another path"
        ) from error
    if os.name != "nt" and _WINDOWS_PATH.match(text):
        raise InputError(f"{shortened(text)} is a path of Windows; pass a path of this system, such as /mnt/c/results")
    if _ADDRESS.match(text):
        raise InputError(f"{shortened(text)} is an address, not a path; write to a folder here and copy from there")
    if text.startswith("~"):
        text = _expanded(text)
    separator = os.sep.encode()
    longest = max(encoded.split(separator), key=len)
    if len(longest) > MAX_NAME_BYTES:
        raise InputError(
            f"{shortened(text)}: a name of {len(longest)} bytes is too long; "
            f"up to {MAX_NAME_BYTES} are allowed, choose a shorter one"
        )
    if len(encoded) > MAX_PATH_BYTES:
        raise InputError(f"{shortened(text)}: this path is longer than {MAX_PATH_BYTES} bytes; choose a shorter one")
    return text


def _expanded(text: str) -> str:
    expanded = os.path.expanduser(text)
    if expanded == text:
        raise InputError(
            f"{shortened(text)}: the home folder {shortened(text.partition(os.sep)[0])} is not known here; pass the "
            f"whole path, or {shortened('./' + text)} for a path of this name"
        )
    return expanded


def _check_writable(path: Path) -> None:
    """Raises if a path cannot be written; asks the nearest folder above it that exists."""
    if os.path.isfile(path) and not os.access(path, os.W_OK):
        raise write_error(path, OSError(errno.EACCES, "the file is write-protected"))
    existing = path if os.path.isdir(path) else path.parent
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    if not os.path.isdir(existing):
        raise write_error(path, OSError(errno.ENOTDIR, f"{shortened(existing)} is not a folder"))
    if not os.access(existing, os.W_OK | os.X_OK):
        raise write_error(path, _reason(existing))


def _reason(folder: Path) -> OSError:
    try:
        is_read_only = bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except (AttributeError, OSError):
        is_read_only = False
    number = errno.EROFS if is_read_only else errno.EACCES
    return OSError(number, os.strerror(number))


def _is_same_file(file: Path, source: str | os.PathLike[str]) -> bool:
    try:
        return os.path.samefile(file, source)
    except (OSError, ValueError):
        return file == Path(source)
