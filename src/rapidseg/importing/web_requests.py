"""HTTP requests whose failures are said in words, and answers that do not take forever."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from rapidseg.core.errors import RapidSegError

# A server that sends less for that long is treated as one that stopped; a modem of 1990 was faster.
SLOW_WINDOW_S = 60.0
MIN_BYTES_PER_S = 1000

_TIMEOUT_S = (15, 60)  # to connect; to receive a byte
_CHUNK_BYTES = 1 << 18

_MAX_REASON = 80  # characters of a server's words

_REFUSALS = {
    401: "requires a login",
    403: "is not accessible",
    404: "does not exist",
    410: "no longer exists",
    429: "was requested too often",
}

Explain = Callable[[requests.Response], "str | None"]
"""Returns the message for an answer that refuses a request; None: the usual one."""


class Broken(Exception):
    """The connection ended before the file did, or is too slow."""


class NoAnswer(RapidSegError):
    """The server cannot be reached, or has an error of its own."""


class Bearer(requests.auth.AuthBase):
    """Sends a token with a request. requests drops it where a redirect leads to another host, port or scheme."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Adds the header; not passed as one, since requests would replace it by what `.netrc` has for the host."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def ask(
    url: str, headers: dict[str, str] | None = None, *, auth: Bearer | None = None, explain: Explain | None = None
) -> requests.Response:
    """Sends a GET request.

    Args:
        url: an `http` or `https` URL.
        headers: of the request.
        auth: sent to the host of `url` only.
        explain: what a refusal means, where the server is a known one.

    Returns:
        An answer with the status 200, 206 or 416, whose content is not read yet.

    Raises:
        NoAnswer: no connection, or a server error.
        RapidSegError: the server refuses, or sends a web page or compressed data.
    """
    headers = {"Accept-Encoding": "identity", **(headers or {})}  # or sizes would count compressed bytes
    try:
        response = requests.get(url, headers=headers, auth=auth, stream=True, timeout=_TIMEOUT_S)
    except (requests.ConnectionError, requests.Timeout) as error:
        raise NoAnswer(
            f"{url}: no connection to {urlsplit(url).hostname} ({_reason(error)}); check the network and the URL, or "
            "download the file by other means and pass its path"
        ) from error
    except (requests.RequestException, ValueError) as error:  # ValueError: a URL that cannot be parsed
        raise RapidSegError(f"{url} cannot be downloaded ({_reason(error)}); check the URL") from error
    problem = _problem(url, response, explain)
    if problem is not None:
        response.close()
        raise problem
    return response


def _problem(url: str, response: requests.Response, explain: Explain | None) -> RapidSegError | None:
    status = response.status_code
    if status in (200, 206, 416):
        kind = response.headers.get("Content-Type", "").strip().lower()
        if kind.startswith(("text/html", "application/xhtml")):
            return RapidSegError(
                f"{url} is a web page (text/html), not a file of weights; pass the URL of the file itself"
            )
        if response.headers.get("Content-Encoding", "").strip().lower() not in ("", "identity"):
            return RapidSegError(
                f"{url}: the server sends only compressed data; download the file by other means and pass its path"
            )
        return None
    explained = None if explain is None else explain(response)
    if explained is not None:
        return RapidSegError(explained)
    if status >= 500:
        return NoAnswer(f"{url}: server error (HTTP {status}); try again later")
    reason = "".join(filter(str.isprintable, response.reason or ""))[:_MAX_REASON]
    why = _REFUSALS.get(status, f"was not sent ({reason})")
    return RapidSegError(f"{url}: {why} (HTTP {status}); check the URL, or pass the path of a local file")


def chunks(response: requests.Response) -> Iterator[bytes]:
    """Yields the content of an answer as it comes.

    Raises:
        Broken: the connection broke, or less than `MIN_BYTES_PER_S` came for `SLOW_WINDOW_S`.
    """
    # Not requests' iter_content, which drops the last chunk if the connection breaks, and which waits until a chunk is
    # full, however slowly that happens. urllib3 before 2.1 has no read1.
    read = getattr(response.raw, "read1", response.raw.read)
    began, received = time.monotonic(), 0
    try:
        while chunk := read(_CHUNK_BYTES, decode_content=False):
            yield chunk
            received += len(chunk)
            elapsed_s = time.monotonic() - began
            if elapsed_s >= SLOW_WINDOW_S:
                if received < MIN_BYTES_PER_S * elapsed_s:
                    raise Broken(f"only {received} bytes came in {elapsed_s:.0f} s")
                began, received = time.monotonic(), 0
    except HTTPError as error:
        raise Broken(_reason(error)) from error


def read_all(url: str, response: requests.Response, max_bytes: int) -> bytes:
    """Returns the whole content of a small answer.

    Raises:
        NoAnswer: the connection broke, or is too slow.
        RapidSegError: the answer is longer than `max_bytes`.
    """
    content = bytearray()
    try:
        for chunk in chunks(response):
            content += chunk
            if len(content) > max_bytes:
                raise RapidSegError(f"{url}: the answer is longer than {max_bytes / 1e6:.0f} MB; check the URL")
    except Broken as broken:
        raise NoAnswer(f"{url}: the connection broke off ({broken}); try again") from broken
    return bytes(content)


_KINDS = {
    "TooManyRedirects": "the server redirects in a circle, or too often",
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
    if isinstance(error, requests.exceptions.InvalidSchema) and str(error).startswith("No connection adapters"):
        return "the server redirects to an address that is neither http:// nor https://"  # the URL itself was checked
    return str(seen[-1]) or type(error).__name__
