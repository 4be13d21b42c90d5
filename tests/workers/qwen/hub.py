"""A hub with one model, as far as the hub's own library asks for it, on this machine."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REVISION = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """A folder, served. broken: how often a file of that name is cut off in its middle. ranges: from where files were
    asked for that were not asked for from their beginning."""

    def __init__(self, folder: Path, model: str = "me/mine") -> None:
        self.model = model
        self.broken: dict[str, int] = {}
        self.ranges: list[tuple[str, int]] = []
        self.reached = threading.Event()
        self.files = {
            str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
        }

    def rows(self) -> list[dict[str, object]]:
        """Its files, as the hub lists them."""
        return [
            {
                "type": "file",
                "path": name,
                "rfilename": name,
                "size": len(data),
                "oid": etag(data),
                "blobId": etag(data),
            }
            for name, data in self.files.items()
        ]


def etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@contextmanager
def served(hub: Hub):
    """The hub's address, while it is there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: _Handler(hub, *args))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: Hub, *args) -> None:
        self.hub = hub
        super().__init__(*args)

    def log_message(self, *_args) -> None:
        pass

    def do_HEAD(self) -> None:
        self._file(body=False)

    def do_GET(self) -> None:
        self.hub.reached.set()
        path = self.path.partition("?")[0]
        if re.fullmatch(rf"/api/models/{self.hub.model}/tree/[^/]+", path):
            self._json(self.hub.rows())
        elif re.fullmatch(rf"/api/models/{self.hub.model}(/revision/[^/]+)?", path):
            self._json({"id": self.hub.model, "sha": REVISION, "siblings": self.hub.rows()})
        else:
            self._file(body=True)

    def _json(self, told: object) -> None:
        data = json.dumps(told).encode()
        self._head(200, len(data))
        self.wfile.write(data)

    def _file(self, *, body: bool) -> None:
        found = re.fullmatch(rf"/{self.hub.model}/resolve/[^/]+/([^?]+)(\?.*)?", self.path)
        data = self.hub.files.get(found[1]) if found else None
        if data is None:
            self._head(404, 0)
            return
        begin = int(re.match(r"bytes=(\d+)", self.headers.get("Range", "bytes=0"))[1])
        if begin:
            self.hub.ranges.append((found[1], begin))
        self._head(206 if begin else 200, len(data) - begin, data, begin)
        if body:
            self._send(found[1], data[begin:])

    def _send(self, name: str, data: bytes) -> None:
        if self.hub.broken.get(name, 0) and len(data) > 1:
            self.hub.broken[name] -= 1
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            return
        self.wfile.write(data)

    def _head(self, status: int, length: int, data: bytes | None = None, begin: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        if data is not None:
            self.send_header("ETag", f'"{etag(data)}"')
            self.send_header("X-Repo-Commit", REVISION)
            self.send_header("Accept-Ranges", "bytes")
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.end_headers()
