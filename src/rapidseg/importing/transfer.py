"""HTTP downloads that resume where an interrupted download stopped; pooch, which calls this, cannot resume."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pooch
import requests
from urllib3.exceptions import HTTPError

from rapidseg.core.errors import RapidSegError

ATTEMPTS = 4  # after that many broken connections the user decides whether to try again
WAIT_S = 1.0  # between attempts
_TIMEOUT_S = (15, 60)  # to connect; to receive a byte
_CHUNK_BYTES = 1 << 18

_REFUSALS = {
    401: "requires a login",
    403: "is not accessible",
    404: "does not exist",
    410: "no longer exists",
    429: "was requested too often",
}


class _Broken(Exception):
    """The connection ended before the file did."""


class Transfer:
    """A downloader for `pooch.retrieve`.

    Bytes go to a partial file, and the server's description of the file to a JSON file beside it. A later transfer
    requests the rest, on condition that the file has not changed (RFC 9110, sections 13.1.5 and 14).

    Args:
        partial: the partial file; only one process at a time may use it.
        expected: the first digits of the SHA-256; None if unknown.
        progress: called with the bytes so far and the bytes in all, or None.
        note: called with the reason if a download restarts.
    """

    def __init__(
        self,
        partial: Path,
        expected: str | None,
        progress: Callable[[int, int | None], None],
        note: Callable[[str], None],
    ) -> None:
        self._partial = partial
        self._facts = partial.with_name(partial.name + ".json")
        self._expected = expected
        self._progress = progress
        self._note = note

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        """Fetches `url` to `output_file`.

        Raises:
            RapidSegError: the server refuses, cannot be reached or keeps breaking off, or the file is not the expected
                one.
            OSError: the file cannot be written.
        """
        for attempt in range(ATTEMPTS):
            try:
                self._receive(url)
                break
            except _Broken as broken:
                if attempt + 1 == ATTEMPTS:
                    raise RapidSegError(
                        f"{url}: the connection broke off after {self._size() / 1e6:.1f} MB ({broken}); "
                        "run the same command to resume"
                    ) from broken
                time.sleep(WAIT_S)
        self._check(url)
        os.replace(self._partial, output_file)
        self._facts.unlink(missing_ok=True)

    def _receive(self, url: str) -> None:
        """Requests the missing bytes and appends them."""
        done, facts = self._size(), self._read_facts()
        headers = {"Accept-Encoding": "identity"}  # or sizes would count compressed bytes
        if done and facts is not None:
            headers["Range"] = f"bytes={done}-"
            if facts["validator"]:
                headers["If-Range"] = facts["validator"]
        with self._ask(url, headers) as response:
            if response.status_code == 416:  # nothing is left to send, so the partial file belongs to another file
                self._restart("the partial download does not match the file on the server")
                raise _Broken("the server does not have that part")
            if response.status_code == 206:
                start, total = _content_range(response)
                if "Range" not in headers or start != done or facts is None or total != (facts["total"] or total):
                    self._restart("the server sent another part than requested, or part of another file")
                    raise _Broken("the server sent another part")
            else:
                if "Range" in headers:
                    self._restart("the file has changed, or the server cannot send parts of it")
                done, total = 0, _content_length(response)
                self._facts.write_text(json.dumps({"validator": _validator(response), "total": total}))
            self._append(response, done, total)

    def _append(self, response: requests.Response, done: int, total: int | None) -> None:
        self._progress(done, total)
        with self._partial.open("ab" if done else "wb") as file:
            try:
                # Not requests' iter_content, which drops the last chunk if the connection breaks.
                while chunk := response.raw.read(_CHUNK_BYTES, decode_content=False):
                    file.write(chunk)
                    done += len(chunk)
                    self._progress(done, total)
            except HTTPError as error:
                raise _Broken(_reason(error)) from error
        if total is not None and done < total:
            raise _Broken(f"{done} of {total} bytes received")

    def _ask(self, url: str, headers: dict[str, str]) -> requests.Response:
        host = urlsplit(url).hostname
        try:
            response = requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise RapidSegError(
                f"{url}: no connection to {host} ({_reason(error)}); check the network and the URL, or download "
                "the file by other means and pass its path"
            ) from error
        except (requests.RequestException, ValueError) as error:  # ValueError: a URL that cannot be parsed
            raise RapidSegError(f"{url} cannot be downloaded ({_reason(error)}); check the URL") from error
        status = response.status_code
        if status in (200, 206, 416):
            if response.headers.get("Content-Type", "").startswith("text/html"):
                response.close()
                raise RapidSegError(
                    f"{url} is a web page (text/html), not a file of weights; pass the URL of the file itself"
                )
            if response.headers.get("Content-Encoding", "identity") != "identity":
                response.close()
                raise RapidSegError(
                    f"{url}: the server sends only compressed data; download the file by other means and pass its path"
                )
            return response
        response.close()
        if status >= 500:
            raise RapidSegError(f"{url}: server error (HTTP {status}); try again later")
        why = _REFUSALS.get(status, f"was not sent ({response.reason})")
        raise RapidSegError(f"{url}: {why} (HTTP {status}); check the URL, or pass the path of a local file")

    def _check(self, url: str) -> None:
        if self._expected is None:
            return
        actual = pooch.file_hash(str(self._partial))
        if actual.startswith(self._expected):
            return
        self._discard()
        raise RapidSegError(
            f"{url}: its SHA-256 is {actual}, which does not begin with {self._expected}; it was deleted. If that "
            "happens again, the file at this URL is not the expected one: pass the right hash or URL"
        )

    def _size(self) -> int:
        return self._partial.stat().st_size if self._partial.exists() else 0

    def _read_facts(self) -> dict[str, Any] | None:
        """Returns the server's description of the partially downloaded file; None if it is unknown."""
        try:
            facts = json.loads(self._facts.read_text())
            return {"validator": facts["validator"], "total": facts["total"]}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _restart(self, why: str) -> None:
        self._note(f"{why}; the download restarts")
        self._discard()

    def _discard(self) -> None:
        self._partial.unlink(missing_ok=True)
        self._facts.unlink(missing_ok=True)


def _validator(response: requests.Response) -> str | None:
    """Returns the validator that identifies a version of the file; a weak ETag cannot do that for parts of it."""
    tag = response.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")


def _content_length(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """Returns the first byte of the part, and the length of the whole file."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if match is None:
        return None, None
    return int(match[1]), None if match[2] == "*" else int(match[2])


_KINDS = {
    "NameResolutionError": "unknown host",
    "NewConnectionError": "connection refused",
    "ConnectTimeoutError": "it does not answer",
    "ReadTimeoutError": "it stopped answering",
    "SSLError": "its certificate is not trusted",
    "ProxyError": "the proxy does not connect",
    "IncompleteRead": "the server closed it",
    "InvalidChunkLength": "the server closed it",
}


def _reason(error: BaseException) -> str:
    """Says in a few words why a request failed; requests wraps the cause in several layers of text."""
    seen: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, BaseException) and item not in seen:
            seen.append(item)
            waiting += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]
    for item in seen:
        if type(item).__name__ in _KINDS:
            return _KINDS[type(item).__name__]
    return str(seen[-1]) or type(error).__name__
