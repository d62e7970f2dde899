"""A web server in a thread that can send parts of files, break off, redirect and refuse."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """The content of the server, and the requests it received.

    Attributes:
        files: content by path.
        headers: sent with every file, such as an ETag.
        statuses: HTTP status of refused paths.
        redirects: new location of redirected paths.
        ranges: whether Range requests are supported.
        breaks: number of bytes after which each of the next responses breaks off.
        answers: writes whole answers, headers included, for paths that need unusual ones.
        asked: path and Range header of every request.
        authorizations: Authorization header of every request.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"1"'})
    statuses: dict[str, int] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    breaks: list[int] = field(default_factory=list)
    answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def serve(site: Site):
    """Serves a site on a free port of this machine and sets `site.url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            wanted = self.headers.get("Range")
            site.asked.append((self.path, wanted))
            site.authorizations.append(self.headers.get("Authorization"))
            if self.path in site.answers:
                self.close_connection = True
                with contextlib.suppress(ConnectionError):  # the client has seen enough
                    site.answers[self.path](self)
                return
            if self.path in site.statuses:
                self.send_error(site.statuses[self.path])
                return
            if self.path in site.redirects:
                self._start(302, {"Location": site.redirects[self.path], "Content-Length": "0"})
                return
            content = site.files[self.path]
            start, end = 0, len(content)
            same = self.headers.get("If-Range") in (None, *site.headers.values())
            part = re.fullmatch(r"bytes=(\d+)-", wanted or "") if site.ranges and same else None
            if part is not None:
                start = int(part[1])
                if start >= end:
                    self._start(416, {"Content-Range": f"bytes */{end}", "Content-Length": "0"})
                    return
                self._start(
                    206,
                    {
                        **site.headers,
                        "Content-Range": f"bytes {start}-{end - 1}/{end}",
                        "Content-Length": str(end - start),
                    },
                )
            else:
                self._start(200, {**site.headers, "Content-Length": str(end)})
            if site.breaks:
                end = start + site.breaks.pop(0)
                self.close_connection = True
            self.wfile.write(content[start:end])

        def _start(self, status, headers):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *words): ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
