"""Returns the local files of URLs, of models on the Hugging Face Hub and of paths."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pooch

from rapidseg.core.errors import InputError, RapidSegError
from rapidseg.core.progress import Counter
from rapidseg.importing.downloader import Note, log, obtain
from rapidseg.importing.hub import fetch_from_hub, kept_from_hub
from rapidseg.importing.hub_address import is_hub_address
from rapidseg.importing.kept_files import RemoteFile, expected_digits, find_kept

__all__ = ["Note", "fetch", "is_url", "kept_download", "locate", "log"]


def is_url(source: str) -> bool:
    """Tells whether a text is a URL or an address on the Hugging Face Hub rather than a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source) is not None


def fetch(
    url: str,
    *,
    sha256: str | None = None,
    progress: Counter | None = None,
    note: Note | None = None,
    offline: bool = False,
) -> Path:
    """Returns the file at a URL, which is downloaded only once.

    Files are kept in `downloads` in the cache folder (`RAPIDSEG_CACHE`, else `rapidseg` in the user's own). An
    interrupted download is resumed by the next call. Several processes may ask for the same URL.

    A file that the user put there under its published name is used if its SHA-256 is known and correct. Files of
    published models are requested from `RAPIDSEG_MIRROR` first, if that is set.

    Args:
        url: an `http` or `https` URL, or `hf://OWNER/NAME[@REVISION][/FILE]` for a model on the Hugging Face Hub. A
            file on the Hub is downloaded again when it has changed there. Without FILE it is `model.safetensors`, else
            the only file of weights.
        sha256: the first 8 to 64 hex digits of the file's SHA-256. None: the one that the Hub names, or the 8 digits at
            the end of a name such as `resnet50-0676ba61.pth`. Without either, only web pages and incomplete files are
            recognized.
        progress: called with the bytes so far and the bytes in all (None if the server does not say). None: a line on
            standard error shows them, if that is a terminal.
        note: called with the reason if a download restarts, or if a mirror or a kept file is not used.
        offline: whether downloads are off; `RAPIDSEG_OFFLINE=1` in the environment turns them off, too.

    Raises:
        InputError: the URL is not a valid one, or `sha256` is not a hash.
        ModelFileError: the file is not kept, and downloads are off.
        RapidSegError: no such file, no connection, no space, or the file is not the expected one.
    """
    if is_hub_address(url):
        return fetch_from_hub(url, sha256=sha256, progress=progress, note=note, offline=offline)
    return obtain(_remote(url, sha256), progress=progress, note=note, offline=offline)


def kept_download(url: str) -> Path | None:
    """Returns the file that `fetch` returns for a URL where downloads are off, or None."""
    return kept_from_hub(url) if is_hub_address(url) else find_kept(_remote(url, None))[0]


def _remote(url: str, sha256: str | None) -> RemoteFile:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(f"{url} is not a valid URL ({error}); correct it") from error
    known = parts.scheme.lower() in ("http", "https")
    if known and not parts.hostname:
        raise InputError(f"{url} names no host; pass a whole URL, such as https://host/path/weights.pth")
    if not known:
        raise InputError(
            f"{url}: only http://, https:// and hf:// URLs can be downloaded; get the file by other means and pass its "
            "path"
        )
    return RemoteFile(url, expected_digits(unquote(parts.path), sha256))


def locate(
    source: str, *, sha256: str | None, progress: Counter | None, note: Note | None, offline: bool = False
) -> Path:
    """Returns the local file for a path or a URL.

    Raises:
        InputError, RapidSegError: as `fetch`; or a local file does not have the SHA-256 that was passed.
    """
    if is_url(source):
        return fetch(source, sha256=sha256, progress=progress, note=note, offline=offline)
    path = Path(source)
    if sha256 is not None and path.is_file():
        expected, actual = expected_digits("", sha256), pooch.file_hash(str(path))
        if not actual.startswith(expected or ""):
            raise RapidSegError(f"{path}: its SHA-256 is {actual}, not {expected}; it is another file, or damaged")
    return path
