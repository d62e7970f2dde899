"""A server that stands for the Hugging Face Hub: files can be committed to its repositories, and load from there.

Only what `huggingface_hub` asks for when it creates a repository and commits small files, and what is asked for when
files are downloaded. Files in large-file storage are sent within the commit, which the real Hub allows up to 10 MB.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_write"


@dataclass
class Hub:
    """The repositories of the server.

    Attributes:
        repositories: by `OWNER/NAME`, content by path.
        private: which of them are private.
        commits: message of every commit.
        cards: every model card that was asked to be checked.
        status: with which every request to create a repository is refused, if any.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    commits: list[str] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)
    status: int | None = None
    url: str = ""


@contextlib.contextmanager
def serve_hub(hub: Hub):
    """Serves a hub on a free port of this machine and sets `hub.url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = self.path.partition("?")[0].strip("/").split("/")
            if parts[:2] == ["api", "validate-yaml"]:
                hub.cards.append(json.loads(body)["content"])
                return self._send({"errors": [], "warnings": []})
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self._send({"error": "Invalid username or password."}, 401)
            if hub.status is not None:
                return self._send({"error": "refused"}, hub.status)
            if parts == ["api", "repos", "create"]:
                wanted = json.loads(body)
                name = f"{wanted['organization']}/{wanted['name']}"
                if name in hub.repositories:
                    return self._send({"error": "You already created this model repo", "url": f"{hub.url}/{name}"}, 409)
                hub.repositories[name] = {}
                if wanted.get("private") or wanted.get("visibility") == "private":
                    hub.private.add(name)
                return self._send({"url": f"{hub.url}/{name}"})
            name = "/".join(parts[2:4])
            if parts[4] == "preupload":
                files = [
                    {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for file in json.loads(body)["files"]
                ]
                return self._send({"files": files})
            assert parts[4:] == ["commit", "main"], self.path
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "header":
                    hub.commits.append(entry["value"]["summary"])
                else:
                    assert entry["key"] == "file", entry
                    hub.repositories[name][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            oid = hashlib.sha1(body).hexdigest()
            return self._send({"success": True, "commitOid": oid, "commitUrl": f"{hub.url}/{name}/commit/{oid}"})

        def do_GET(self):
            parts = self.path.partition("?")[0].strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                name = "/".join(parts[2:4])
                if len(parts) == 4 or parts[4] == "revision":
                    return self._send({"id": name, "private": name in hub.private, "sha": "0" * 40, "siblings": []})
                return self._send([self._entry(path, content) for path, content in hub.repositories[name].items()])
            content = hub.repositories.get("/".join(parts[:2]), {}).get("/".join(parts[4:]))
            return self._send({"error": "not found"}, 404) if content is None else self._send(content)

        def _entry(self, path, content):
            entry = {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            if path.endswith((".safetensors", ".onnx")):
                entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
            return entry

        def _send(self, answer, status=200):
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words): ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
