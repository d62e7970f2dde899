"""Files from the web: fetched once, kept, gone on with after a break, and checked before they are used."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pooch
from filelock import FileLock

from rapidseg.core.errors import InputError, RapidSegError
from rapidseg.core.quiet import quiet_libraries
from rapidseg.importing.transfer import Transfer
from rapidseg.system.cache import cache_folder

Progress = Callable[[int, "int | None"], None]  # bytes so far, and bytes in all where the server says how many
Note = Callable[[str], None]  # is told, a sentence at a time, what was decided

log = logging.getLogger("rapidseg.importing")

# OpenMMLab and PyTorch end the names of published files with the first 8 digits of their SHA-256.
_NAMED_DIGITS = re.compile(r"-([0-9a-f]{8})\.(?:pth|pt|ckpt|safetensors)$")


def is_url(place: str) -> bool:
    """Returns whether a text is meant as an address rather than a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", place) is not None


def fetch(url: str, *, sha256: str | None = None, progress: Progress | None = None, note: Note | None = None) -> Path:
    """Returns the file at an address, downloaded unless it was before.

    Files are kept in `downloads` below the cache folder (`RAPIDSEG_CACHE`, else `rapidseg` in the user's own). What a
    break leaves behind stays there, and the next call goes on from it. Several processes may ask for one address.

    Args:
        url: an `http` or `https` address.
        sha256: what the file's SHA-256 begins with, 8 to 64 hex digits. Without it, the 8 digits at the end of a name
            such as `resnet50-0676ba61.pth` are taken; a file without either is not checked.
        progress: is called with the bytes so far and the bytes in all (None if the server does not say).
        note: is told why a download begins again.

    Raises:
        InputError: the address is not `http` or `https`, or `sha256` is no hash.
        RapidSegError: there is no such file, no connection or no space, or the file is not the one expected.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(f"{url}: is no address ({error}); correct it") from error
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise InputError(f"{url}: only http:// and https:// addresses are fetched; download it, and give its path")
    expected = _expected_digits(unquote(parts.path), sha256)
    folder = cache_folder("downloads")
    if folder is None:
        raise RapidSegError(
            "no folder for downloads can be written; set RAPIDSEG_CACHE to one, or download the file and give its path"
        )
    name = _kept_name(url)
    transfer = Transfer(folder / f"{name}.partial", expected, progress or _ignore, note or log.info)
    try:
        with FileLock(folder / f"{name}.lock"), _quiet_pooch():
            kept = folder / name
            if kept.exists() and expected and not pooch.file_hash(str(kept)).startswith(expected):
                kept.unlink()  # the file at the address was replaced, or this one is damaged
            return Path(pooch.retrieve(url, known_hash=None, fname=name, path=folder, downloader=transfer))
    except OSError as error:
        raise RapidSegError(
            f"cannot write below {folder}: {error.strerror or error}; free some space, or set RAPIDSEG_CACHE to a "
            "folder on another disk. What was received so far is kept"
        ) from error


def kept_download(url: str) -> Path | None:
    """Returns the file that `fetch` downloaded from an address before, or None."""
    folder = cache_folder("downloads")
    path = None if folder is None else folder / _kept_name(url)
    return path if path is not None and path.is_file() else None


def _kept_name(url: str) -> str:
    # The hash of the address is part of the name: two sites may use one name for different files.
    address = hashlib.sha256(url.encode()).hexdigest()[:12]
    return f"{address}-{re.sub(r'[^A-Za-z0-9._-]', '_', Path(unquote(urlsplit(url).path)).name) or 'file'}"


def locate(place: str, *, sha256: str | None, progress: Progress | None, note: Note | None) -> Path:
    """Returns the local file for a path or an address.

    Raises:
        InputError, RapidSegError: as `fetch`, or a local file has another SHA-256 than the one given.
    """
    if is_url(place):
        return fetch(place, sha256=sha256, progress=progress, note=note)
    path = Path(place)
    if sha256 is not None and path.is_file():
        expected, found = _expected_digits("", sha256), pooch.file_hash(str(path))
        if not found.startswith(expected or ""):
            raise RapidSegError(f"{path}: its SHA-256 is {found}, not {expected}; it is another file, or damaged")
    return path


def _expected_digits(path: str, sha256: str | None) -> str | None:
    """Returns the digits that a file's SHA-256 must begin with, if any are known."""
    if sha256 is None:
        named = _NAMED_DIGITS.search(path)
        return named[1] if named else None
    digits = sha256.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{8,64}", digits):
        raise InputError(f"a SHA-256 is 64 hex digits, or the first 8 or more of them, not {sha256!r}")
    return digits


def _quiet_pooch() -> AbstractContextManager[None]:
    """Drops what pooch logs about every download, such as hashes of files that were never checked."""
    return quiet_libraries(loggers=[pooch.get_logger().name], level=logging.WARNING, ignored_warnings=())


def _ignore(done: int, total: int | None) -> None: ...
