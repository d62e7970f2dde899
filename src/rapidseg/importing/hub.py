"""Weights from the Hugging Face Hub, over plain HTTPS; the package huggingface_hub is not needed.

The server's list of files names the SHA-256 of each large one:
https://huggingface.co/docs/hub/api (`/api/models/OWNER/NAME/tree/REVISION`), and files are at
`/OWNER/NAME/resolve/REVISION/FILE`, from where the server redirects to where they are stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import requests

from rapidseg.core.errors import RapidSegError, nearest_hint
from rapidseg.core.files import write_text
from rapidseg.core.progress import Counter
from rapidseg.importing.downloader import Note, log, obtain
from rapidseg.importing.hub_address import HubAddress, hub_endpoint, hub_token, parse_hub_address
from rapidseg.importing.kept_files import (
    RemoteFile,
    address_digits,
    downloads_folder,
    expected_digits,
    find_kept,
    offline_error,
    offline_reason,
)
from rapidseg.importing.web_requests import Bearer, NoAnswer, ask, read_all

PREFERRED = "model.safetensors"
_KINDS = ((".safetensors",), (".pth", ".bin", ".pt", ".ckpt"), (".onnx",))  # of which the first that is there is taken
_MAX_PAGES = 20  # of a list; the Hub sends 1000 files in each
_MAX_LIST_BYTES = 1 << 25
_MAX_NAMED = 12  # files in a message


@dataclass(frozen=True)
class HubFile:
    """A file in a repository.

    Attributes:
        path: in the repository.
        size: in bytes; None if unknown.
        sha256: of files in large-file storage, where weights are; None of others.
    """

    path: str
    size: int | None = None
    sha256: str | None = None


def fetch_from_hub(
    source: str, *, sha256: str | None, progress: Counter | None, note: Note | None, offline: bool
) -> Path:
    """Returns the file of a model on the Hub; it is downloaded when it has changed there.

    Each call asks the server for the list of files, except for a commit, which never changes. If the server cannot be
    reached, the file that was downloaded before is used. Arguments and errors are those of `fetch`.
    """
    note = note or log.info
    address = parse_hub_address(source)
    reason = offline_reason(offline)
    known = _recall(address)
    kept: Path | None = None
    if reason is not None or known is not None:
        file = _remote(address, known or HubFile(address.file or PREFERRED), sha256)
        kept, problems = find_kept(file)
        if kept is not None and (reason is not None or address.is_fixed):
            return kept
        if reason is not None:
            raise offline_error(file, reason, problems)
    try:
        chosen = choose_file(address, list_files(address))
    except NoAnswer as error:
        if kept is None:
            raise
        note(f"{error}. The file that was downloaded before is used")
        return kept
    path = obtain(_remote(address, chosen, sha256), progress=progress, note=note, offline=False)
    _remember(address, chosen)
    return path


def kept_from_hub(source: str) -> Path | None:
    """Returns the file that `fetch_from_hub` would return without a request, or None."""
    address = parse_hub_address(source)
    return find_kept(_remote(address, _recall(address) or HubFile(address.file or PREFERRED), None))[0]


def list_files(address: HubAddress) -> list[HubFile]:
    """Asks the server for the files of a repository.

    Raises:
        NoAnswer: it cannot be reached.
        RapidSegError: there is no such repository or revision, or it needs a token.
    """
    endpoint, files = hub_endpoint(), []
    url: str | None = f"{endpoint}/api/models/{address.repository}/tree/{quote(address.revision, safe='')}"
    url = f"{url}?recursive=true"
    for _ in range(_MAX_PAGES):
        with ask(url, auth=_auth(), explain=lambda response: _explain(address, response)) as response:
            files += _read_list(url, read_all(url, response, _MAX_LIST_BYTES))
            following = response.links.get("next", {}).get("url")
        if following is None:
            break
        url = urljoin(url, following)
        if _host(url) != _host(endpoint):
            raise RapidSegError(f"{url} is not on {endpoint}, which the list of {address} continues at; name the file")
    return files


def choose_file(address: HubAddress, files: Sequence[HubFile]) -> HubFile:
    """Returns the file that an address names, or else the one with the weights.

    Raises:
        RapidSegError: the repository does not have the file, or several files match.
    """
    by_path = {file.path: file for file in files}
    if address.file is not None:
        if address.file not in by_path:
            hint = nearest_hint(address.file, list(by_path))
            raise RapidSegError(f"{address}: no such file{hint}; the repository has: {_list_names(list(by_path))}")
        return by_path[address.file]
    if PREFERRED in by_path:
        return by_path[PREFERRED]
    for suffixes in _KINDS:
        paths = [path for path in by_path if path.lower().endswith(suffixes)]
        if len(paths) > 1:
            raise RapidSegError(
                f"{address} has several files of weights: {_list_names(paths)}; name one, such as {address}/{paths[0]}"
            )
        if paths:
            return by_path[paths[0]]
    raise RapidSegError(
        f"{address} has no file of weights ({', '.join(suffix for kind in _KINDS for suffix in kind)}); it has: "
        f"{_list_names(list(by_path))}"
    )


def _remote(address: HubAddress, file: HubFile, sha256: str | None) -> RemoteFile:
    expected = file.sha256 or expected_digits(file.path, sha256)
    wanted = None if sha256 is None else expected_digits("", sha256)
    if file.sha256 is not None and wanted is not None and not file.sha256.startswith(wanted):
        raise RapidSegError(
            f"{address}: the SHA-256 of {file.path} is {file.sha256}, which does not begin with {wanted}; pass the "
            "right hash or revision"
        )
    revision = quote(address.revision, safe="")
    return RemoteFile(
        url=f"{hub_endpoint()}/{address.repository}/resolve/{revision}/{quote(file.path)}",
        expected=expected,
        address=f"hf://{address.repository}@{revision}/{file.path}",
        size=file.size,
        auth=_auth(),
        explain=lambda response: _explain(address, response),
    )


def _auth() -> Bearer | None:
    token = hub_token()
    return None if token is None else Bearer(token)


def _host(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()


def _explain(address: HubAddress, response: requests.Response) -> str | None:
    """Says what a refusal of the Hub means; a repository that is private looks as if it did not exist."""
    page = f"{hub_endpoint()}/{address.repository}"
    code = response.headers.get("X-Error-Code", "")
    if response.status_code == 403 or code == "GatedRepo":
        return (
            f"{address} is gated: request access on {page}, then set HF_TOKEN to a token of your account (HTTP "
            f"{response.status_code})"
        )
    if response.status_code == 401:
        token = "the token in HF_TOKEN does not give access" if hub_token() else "set HF_TOKEN to a token with access"
        return f"{address} does not exist, is private or is gated; check the name on {page}, or {token} (HTTP 401)"
    if response.status_code != 404:
        return None
    if code == "RevisionNotFound":
        return f"{address}: the repository has no revision {address.revision}; see {page}/tree/main (HTTP 404)"
    return (
        f"{address} does not exist or is private; check the name on {page}, and set HF_TOKEN for a private repository "
        "(HTTP 404)"
    )


def _read_list(url: str, content: bytes) -> list[HubFile]:
    try:
        entries = json.loads(content)
        if not isinstance(entries, list):
            raise TypeError("not a list")
        files = [_read_entry(entry) for entry in entries if entry["type"] == "file"]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise RapidSegError(f"{url}: the answer is not a list of files; check HF_ENDPOINT") from error
    return [file for file in files if file.path.isprintable()]  # messages show the names in a terminal


def _read_entry(entry: dict[str, Any]) -> HubFile:
    digits = str((entry.get("lfs") or {}).get("oid", "")).removeprefix("sha256:").lower()
    size = entry.get("size")
    return HubFile(
        str(entry["path"]),
        size if isinstance(size, int) else None,
        digits if re.fullmatch(r"[0-9a-f]{64}", digits) else None,
    )


def _list_names(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _MAX_NAMED} more" if len(paths) > _MAX_NAMED else ""
    return ", ".join(paths[:_MAX_NAMED]) + more if paths else "nothing"


def _record_path(address: HubAddress) -> Path | None:
    """Returns the file that says which file an address led to, so that it is found again without the server."""
    folder = downloads_folder()
    return None if folder is None else folder / f"{address_digits(str(address))}-hub.json"


def _recall(address: HubAddress) -> HubFile | None:
    path = _record_path(address)
    try:
        record = None if path is None else HubFile(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return record if record is None or isinstance(record.path, str) else None


def _remember(address: HubAddress, file: HubFile) -> None:
    path = _record_path(address)
    if path is not None and _recall(address) != file:
        write_text(path, json.dumps(asdict(file)))
