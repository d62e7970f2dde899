"""One HTTP download that goes on where a broken one stopped; pooch, which calls it, begins again."""

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

_ATTEMPTS = 4  # a connection that breaks again and again is the user's to decide about
_WAIT_S = 1.0
_TIMEOUT_S = (15, 60)  # to connect; without a byte
_PIECE = 1 << 18  # bytes

_REFUSALS = {
    401: "must be asked for with a password",
    403: "may not be fetched",
    404: "does not exist",
    410: "does not exist any more",
    429: "was asked for too often",
}


class _Broken(Exception):
    """The connection ended before the file did."""


class Transfer:
    """A downloader for `pooch.retrieve`.

    Bytes go to a partial file, and what the server said about the file to a JSON file beside it. A later transfer asks
    for the rest, on condition that the file is still the same (RFC 9110, sections 13.1.5 and 14).

    Args:
        partial: the partial file; only one process at a time may use it.
        expected: what the SHA-256 must begin with; None if that is not known.
        progress: is called with the bytes so far and the bytes in all, or None.
        note: is told why a download begins again.
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
            RapidSegError: the server refuses, cannot be reached or breaks off again and again, or the file is another.
            OSError: the file cannot be written.
        """
        for attempt in range(_ATTEMPTS):
            try:
                self._receive(url)
                break
            except _Broken as broken:
                if attempt + 1 == _ATTEMPTS:
                    raise RapidSegError(
                        f"{url}: the connection broke off after {self._size() / 1e6:.1f} MB ({broken}); "
                        "the same command goes on from there"
                    ) from broken
                time.sleep(_WAIT_S)
        self._check(url)
        os.replace(self._partial, output_file)
        self._facts.unlink(missing_ok=True)

    def _receive(self, url: str) -> None:
        """Asks for what is missing and appends it."""
        done, facts = self._size(), self._read_facts()
        headers = {"Accept-Encoding": "identity"}  # or sizes would be those of compressed bytes
        if done and facts is not None:
            headers["Range"] = f"bytes={done}-"
            if facts["validator"]:
                headers["If-Range"] = facts["validator"]
        with self._ask(url, headers) as response:
            if response.status_code == 416:  # nothing is left to send, so this is no part of what is there now
                self._begin_again("the partial download does not fit the file that is there now")
                raise _Broken("the server has no such part")
            if response.status_code == 206:
                start, total = _content_range(response)
                if "Range" not in headers or start != done or facts is None or total != (facts["total"] or total):
                    self._begin_again("the server sent another part, or of another file, than it was asked for")
                    raise _Broken("the server sent another part")
            else:
                if "Range" in headers:
                    self._begin_again("the file has changed, or the server cannot send a part of it")
                done, total = 0, _content_length(response)
                self._facts.write_text(json.dumps({"validator": _validator(response), "total": total}))
            self._append(response, done, total)

    def _append(self, response: requests.Response, done: int, total: int | None) -> None:
        self._progress(done, total)
        with self._partial.open("ab" if done else "wb") as file:
            try:
                # Not requests' iter_content: at a break it throws away what came of the last piece.
                while piece := response.raw.read(_PIECE, decode_content=False):
                    file.write(piece)
                    done += len(piece)
                    self._progress(done, total)
            except HTTPError as error:
                raise _Broken(_reason(error)) from error
        if total is not None and done < total:
            raise _Broken(f"{done} of {total} bytes came")

    def _ask(self, url: str, headers: dict[str, str]) -> requests.Response:
        host = urlsplit(url).hostname
        try:
            response = requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise RapidSegError(
                f"{url}: no connection to {host} ({_reason(error)}); check the network and the address, or download "
                "the file by other means and give its path"
            ) from error
        except (requests.RequestException, ValueError) as error:  # ValueError: an address that cannot be taken apart
            raise RapidSegError(f"{url}: cannot be fetched ({_reason(error)}); check the address") from error
        status = response.status_code
        if status in (200, 206, 416):
            if response.headers.get("Content-Type", "").startswith("text/html"):
                response.close()
                raise RapidSegError(
                    f"{url}: is a web page (text/html) and no file of weights; give the address of the file itself"
                )
            if response.headers.get("Content-Encoding", "identity") != "identity":
                response.close()
                raise RapidSegError(f"{url}: the server sends it compressed only; download it, and give its path")
            return response
        response.close()
        if status >= 500:
            raise RapidSegError(f"{url}: the server has a fault (HTTP {status}); try again later")
        why = _REFUSALS.get(status, f"was not sent ({response.reason})")
        raise RapidSegError(f"{url}: {why} (HTTP {status}); check the address, or give the path of a file you have")

    def _check(self, url: str) -> None:
        if self._expected is None:
            return
        found = pooch.file_hash(str(self._partial))
        if found.startswith(self._expected):
            return
        self._discard()
        raise RapidSegError(
            f"{url}: its SHA-256 is {found}, which does not begin with {self._expected}; it was deleted. If it comes "
            "so again, the file at this address is another one: give the right hash or address"
        )

    def _size(self) -> int:
        return self._partial.stat().st_size if self._partial.exists() else 0

    def _read_facts(self) -> dict[str, Any] | None:
        """Returns what the server said about the file of the partial download; None if that is not known."""
        try:
            facts = json.loads(self._facts.read_text())
            return {"validator": facts["validator"], "total": facts["total"]}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _begin_again(self, why: str) -> None:
        self._note(f"{why}; it is fetched from the beginning")
        self._discard()

    def _discard(self) -> None:
        self._partial.unlink(missing_ok=True)
        self._facts.unlink(missing_ok=True)


def _validator(response: requests.Response) -> str | None:
    """Returns what tells one state of the file from another; a weak ETag does not do that for parts of it."""
    tag = response.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")


def _content_length(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """Returns where the part begins and how long the whole file is."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if match is None:
        return None, None
    return int(match[1]), None if match[2] == "*" else int(match[2])


_KINDS = {
    "NameResolutionError": "its name is not known",
    "NewConnectionError": "it does not take connections",
    "ConnectTimeoutError": "it does not answer",
    "ReadTimeoutError": "it does not answer any more",
    "SSLError": "its certificate is not trusted",
    "ProxyError": "the proxy does not take it there",
    "IncompleteRead": "the server ended it",
    "InvalidChunkLength": "the server ended it",
}


def _reason(error: BaseException) -> str:
    """Returns in a few words why a request failed; requests wraps the cause in several layers of text."""
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
