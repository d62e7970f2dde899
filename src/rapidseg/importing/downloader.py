"""Downloads a file into the folder of downloads, once, from a mirror or its own address."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import quote, urlsplit

import pooch
from filelock import FileLock

from rapidseg.core.errors import InputError, RapidSegError
from rapidseg.core.os_errors import write_error
from rapidseg.core.progress import DOWNLOADS, Counter, TaskCounter, counter
from rapidseg.core.quiet import quiet_libraries
from rapidseg.importing.kept_files import FOLDER, RemoteFile, find_kept, offline_error, offline_reason
from rapidseg.importing.transfer import Transfer
from rapidseg.system.cache import cache_folder
from rapidseg.zoo import published_models

Note = Callable[[str], None]
"""Is called with each decision, in a sentence."""

log = logging.getLogger("rapidseg.importing")


def obtain(file: RemoteFile, *, progress: Counter | None, note: Note | None, offline: bool) -> Path:
    """Returns a file that is kept, or downloads it. Arguments and errors are those of `rapidseg.importing.fetch`."""
    told, note = note is not None, note or log.info
    reason = offline_reason(offline)
    kept, problems = find_kept(file)
    if kept is not None:
        return kept
    if reason is not None:
        raise offline_error(file, reason, problems)
    folder = cache_folder(FOLDER)
    if folder is None:
        raise RapidSegError(
            "the cache folder for downloads is not writable; set RAPIDSEG_CACHE to a folder that is, or download the "
            "file and pass its path"
        )
    for problem in problems:
        note(f"{problem}; it is downloaded again")
    progress = progress or counter(DOWNLOADS, f"downloading {file.plain_name}", unit="bytes")
    transfer = Transfer(folder / f"{file.kept_name}.partial", file, progress, note)
    try:
        with FileLock(folder / f"{file.kept_name}.lock"), _quiet_pooch():
            kept, _ = find_kept(file)  # another process may just have downloaded it
            if kept is not None:
                return kept
            (folder / file.kept_name).unlink(missing_ok=True)  # the file was replaced, or this copy is damaged
            return _download(file, folder, transfer, note, told=told)
    except OSError as error:
        raise RapidSegError(
            f"{write_error(folder, error)}. RAPIDSEG_CACHE names the folder; the bytes received so far are kept"
        ) from error
    finally:
        if isinstance(progress, TaskCounter):
            progress.end()


def _download(file: RemoteFile, folder: Path, transfer: Transfer, note: Note, *, told: bool) -> Path:
    """Downloads a file from the mirror, else from its own address.

    Args:
        file, folder, transfer: what to download, where to, and how.
        note: called with the reason if the mirror fails.
        told: whether the user sees the note; the error need not repeat it then.
    """

    def retrieve(url: str) -> Path:
        return Path(pooch.retrieve(url, known_hash=None, fname=file.kept_name, path=folder, downloader=transfer))

    mirror = _mirror_url(file)
    if mirror is None:
        return retrieve(file.url)
    try:
        return retrieve(mirror)
    except RapidSegError as error:
        failure = f"the mirror that RAPIDSEG_MIRROR names failed: {error}"
    note(f"{failure}. The file is downloaded from {file.url}")
    try:
        return retrieve(file.url)
    except RapidSegError as error:
        before = "the mirror failed" if told else failure
        raise RapidSegError(f"{error}. Before that, {before}") from error


def _mirror_url(file: RemoteFile) -> str | None:
    """Returns the URL of a published model's file on the user's mirror, if there is one.

    Raises:
        InputError: `RAPIDSEG_MIRROR` is not an `http` or `https` URL.
    """
    mirror = os.environ.get("RAPIDSEG_MIRROR", "").strip()
    if not mirror:
        return None
    try:
        parts = urlsplit(mirror)
        valid = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid:
        raise InputError(f"RAPIDSEG_MIRROR is {mirror!r}; set it to a URL such as https://mirror.example.org/weights")
    published = {weights.url for model in published_models().values() for weights in model.weights}
    return f"{mirror.rstrip('/')}/{quote(file.name)}" if file.url in published else None


def _quiet_pooch() -> AbstractContextManager[None]:
    """Drops pooch's log of every download, such as hashes of files that were never checked."""
    # Not its name: pooch creates its logger outside of the registry of `logging`.
    return quiet_libraries(loggers=[pooch.get_logger()], level=logging.WARNING, ignored_warnings=())
