"""Downloads files once, keeps them, resumes interrupted downloads, and checks files before they are used."""

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
from rapidseg.core.files import write_error
from rapidseg.core.progress import DOWNLOADS, Counter, TaskCounter, counter
from rapidseg.core.quiet import quiet_libraries
from rapidseg.importing.transfer import Transfer
from rapidseg.system.cache import cache_folder

Note = Callable[[str], None]
"""Is called with each decision, in a sentence."""

log = logging.getLogger("rapidseg.importing")

# OpenMMLab and PyTorch end the names of published files with the first 8 digits of their SHA-256.
_NAMED_DIGITS = re.compile(r"-([0-9a-f]{8})\.(?:pth|pt|ckpt|safetensors)$")


def is_url(source: str) -> bool:
    """Tells whether a text is a URL rather than a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source) is not None


def fetch(url: str, *, sha256: str | None = None, progress: Counter | None = None, note: Note | None = None) -> Path:
    """Returns the file at a URL, which is downloaded only once.

    Files are kept in `downloads` in the cache folder (`RAPIDSEG_CACHE`, else `rapidseg` in the user's own). An
    interrupted download is resumed by the next call. Several processes may ask for the same URL.

    Args:
        url: an `http` or `https` URL.
        sha256: the first 8 to 64 hex digits of the file's SHA-256. None: the 8 digits at the end of a name such as
            `resnet50-0676ba61.pth`; a file without either is not checked.
        progress: called with the bytes so far and the bytes in all (None if the server does not say). None: a line on
            standard error shows them, if that is a terminal.
        note: called with the reason if a download restarts.

    Raises:
        InputError: the URL is not `http` or `https`, or `sha256` is not a hash.
        RapidSegError: no such file, no connection, no space, or the file is not the expected one.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(f"{url} is not a valid URL ({error}); correct it") from error
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise InputError(
            f"{url}: only http:// and https:// URLs can be downloaded; get the file by other means and pass its path"
        )
    expected = _expected_digits(unquote(parts.path), sha256)
    folder = cache_folder("downloads")
    if folder is None:
        raise RapidSegError(
            "the cache folder for downloads is not writable; set RAPIDSEG_CACHE to a folder that is, or download the "
            "file and pass its path"
        )
    name = _kept_name(url)
    progress = progress or counter(DOWNLOADS, f"downloading {name.partition('-')[2]}", unit="bytes")
    transfer = Transfer(folder / f"{name}.partial", expected, progress, note or log.info)
    try:
        with FileLock(folder / f"{name}.lock"), _quiet_pooch():
            kept = folder / name
            if kept.exists() and expected and not pooch.file_hash(str(kept)).startswith(expected):
                kept.unlink()  # the file at the URL was replaced, or this copy is damaged
            return Path(pooch.retrieve(url, known_hash=None, fname=name, path=folder, downloader=transfer))
    except OSError as error:
        raise RapidSegError(
            f"{write_error(folder, error)}. RAPIDSEG_CACHE names the folder; the bytes received so far are kept"
        ) from error
    finally:
        if isinstance(progress, TaskCounter):
            progress.end()


def kept_download(url: str) -> Path | None:
    """Returns the file that `fetch` downloaded from a URL before, or None."""
    folder = cache_folder("downloads")
    path = None if folder is None else folder / _kept_name(url)
    return path if path is not None and path.is_file() else None


def _kept_name(url: str) -> str:
    # The name includes a hash of the URL: two sites may use the same name for different files.
    url_hash = hashlib.sha256(url.encode()).hexdigest()[:12]
    return f"{url_hash}-{re.sub(r'[^A-Za-z0-9._-]', '_', Path(unquote(urlsplit(url).path)).name) or 'file'}"


def locate(source: str, *, sha256: str | None, progress: Counter | None, note: Note | None) -> Path:
    """Returns the local file for a path or a URL.

    Raises:
        InputError, RapidSegError: as `fetch`; or a local file does not have the SHA-256 that was passed.
    """
    if is_url(source):
        return fetch(source, sha256=sha256, progress=progress, note=note)
    path = Path(source)
    if sha256 is not None and path.is_file():
        expected, actual = _expected_digits("", sha256), pooch.file_hash(str(path))
        if not actual.startswith(expected or ""):
            raise RapidSegError(f"{path}: its SHA-256 is {actual}, not {expected}; it is another file, or damaged")
    return path


def _expected_digits(path: str, sha256: str | None) -> str | None:
    """Returns the first digits of the expected SHA-256, if any are known."""
    if sha256 is None:
        named = _NAMED_DIGITS.search(path)
        return named[1] if named else None
    digits = sha256.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{8,64}", digits):
        raise InputError(f"{sha256!r} is not a SHA-256; pass its 64 hex digits, or the first 8 or more of them")
    return digits


def _quiet_pooch() -> AbstractContextManager[None]:
    """Drops pooch's log of every download, such as hashes of files that were never checked."""
    # Not its name: pooch creates its logger outside of the registry of `logging`.
    return quiet_libraries(loggers=[pooch.get_logger()], level=logging.WARNING, ignored_warnings=())
