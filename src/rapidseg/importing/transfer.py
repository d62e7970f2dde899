"""HTTP downloads that resume where an interrupted download stopped; pooch, which calls this, cannot resume."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pooch
import requests

from rapidseg.core.errors import RapidSegError
from rapidseg.importing.content_checks import why_not_weights
from rapidseg.importing.kept_files import RemoteFile
from rapidseg.importing.web_requests import Broken, ask, chunks

ATTEMPTS = 4  # after that many broken connections the user decides whether to try again
WAIT_S = 1.0  # between attempts

_SENDABLE = r"[ -~]{1,500}"  # a header of one line
_NUMBER = r"\d{1,15}"  # of bytes; more digits are not a size, and Python refuses to read thousands of them


class Transfer:
    """A downloader for `pooch.retrieve`.

    Bytes go to a partial file, and the server's description of the file to a JSON file beside it. A later transfer
    requests the rest, on condition that the file has not changed (RFC 9110, sections 13.1.5 and 14).

    Args:
        partial: the partial file; only one process at a time may use it.
        file: the file, whose SHA-256 or size may be known.
        progress: called with the bytes so far and the bytes in all, or None.
        note: called with the reason if a download restarts.
    """

    def __init__(
        self,
        partial: Path,
        file: RemoteFile,
        progress: Callable[[int, int | None], None],
        note: Callable[[str], None],
    ) -> None:
        self._partial = partial
        self._facts = partial.with_name(partial.name + ".json")
        self._file = file
        self._progress = progress
        self._note = note

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        """Fetches `url`, which is the file's own or a mirror's, to `output_file`.

        Raises:
            RapidSegError: the server refuses, cannot be reached, keeps breaking off or sends too much, or the file is
                not the expected one.
            OSError: the file cannot be written.
        """
        for attempt in range(ATTEMPTS):
            try:
                self._receive(url)
                break
            except Broken as broken:
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
        headers = {}
        if done and facts is not None:
            headers["Range"] = f"bytes={done}-"
            if facts["validator"]:
                headers["If-Range"] = facts["validator"]
        # A mirror is another host: it gets no token, and what its refusals mean is not known.
        own = url == self._file.url
        auth, explain = (self._file.auth, self._file.explain) if own else (None, None)
        with ask(url, headers, auth=auth, explain=explain) as response:
            if response.status_code == 416:  # nothing is left to send, so the partial file belongs to another file
                self._restart("the partial download does not match the file on the server")
                raise Broken("the server does not have that part")
            if response.status_code == 206:
                start, end, total = _content_range(response)
                known = facts["total"] if facts is not None else None
                beyond = end is not None and total is not None and end > total
                if "Range" not in headers or start != done or known not in (None, total or known) or beyond:
                    self._restart("the server sent another part than requested, or part of another file")
                    raise Broken("the server sent another part")
                total = total or known
                if total is None:  # the part may be the last one, or not
                    self._restart("the server does not say how long the file is")
                    raise Broken("the server sent a part of unknown length")
            else:
                if "Range" in headers:
                    self._restart("the file has changed, or the server cannot send parts of it")
                done, total = 0, _content_length(response)
                end = total
                self._facts.write_text(json.dumps({"validator": _validator(response), "total": total}))
            self._append(url, response, done, end, total)

    def _append(self, url: str, response: requests.Response, done: int, end: int | None, total: int | None) -> None:
        """Appends a part that ends before the byte `end` of the file, if that is known."""
        self._progress(done, total)
        with self._partial.open("ab" if done else "wb") as file:
            for chunk in chunks(response):
                done += len(chunk)
                if end is not None and done > end:
                    break
                file.write(chunk)
                self._progress(done, total)
        if end is not None and done > end:
            self._discard()
            raise RapidSegError(
                f"{url}: the server sent more bytes than it announced; the download was deleted. Try again, or "
                "download the file by other means and pass its path"
            )
        if total is not None and done < total:
            raise Broken(f"{done} of {total} bytes received")

    def _check(self, url: str) -> None:
        """Deletes the file and raises if it is not the expected one, or cannot be weights."""
        if self._file.expected is not None:
            actual = pooch.file_hash(str(self._partial))
            if actual.startswith(self._file.expected):
                return
            self._discard()
            advice = (
                "published one: get that by other means, and pass its path"
                if self._file.is_published
                else "expected one: pass the right hash or URL"
            )
            raise RapidSegError(
                f"{url}: its SHA-256 is {actual}, which does not begin with {self._file.expected}; it was deleted. If "
                f"that happens again, the file at this URL is not the {advice}"
            )
        problem = why_not_weights(self._partial, self._file.name)
        if problem is None and self._file.size not in (None, self._size()):
            problem = f"has {self._size()} bytes instead of {self._file.size}"
        if problem is not None:
            self._discard()
            raise RapidSegError(
                f"{url} {problem}; it was deleted. Check the URL in a browser, or download the file by other means and "
                "pass its path"
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
    validator = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
    # It is sent back, and requests refuses to send headers of several lines, which some servers write.
    return validator if validator and re.fullmatch(_SENDABLE, validator) else None


def _content_length(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch(_NUMBER, length, re.ASCII) else None


def _content_range(response: requests.Response) -> tuple[int | None, int | None, int | None]:
    """Returns the first byte of the part, the first byte after it, and the length of the whole file."""
    text = response.headers.get("Content-Range", "").strip()
    match = re.fullmatch(rf"bytes ({_NUMBER})-({_NUMBER})/({_NUMBER}|\*)", text, re.ASCII)
    if match is None:
        return None, None, None
    return int(match[1]), int(match[2]) + 1, None if match[3] == "*" else int(match[3])
