"""A hub on this machine: as much of its protocol as `huggingface_hub` asks for, with lines that break.

One model of one revision. What was asked is in `asked`, in order.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LARGE = "large.bin"
REVISION = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Serves a folder as the model `name`, and beside its files, where one of these names it, `LARGE`: 24 MiB of which
    the library writes down 10 at a time. cuts: how often the line is cut in the midst of a file, and is well again.
    breaks: of a file, after how many bytes the line goes dead for good, till `mend`. pauses: after how many bytes of it
    nothing comes until `go` is set."""

    def __init__(self, folder: Path, name: str = "me/mine", *, cuts: dict[str, int] | None = None,
                 breaks: dict[str, int] | None = None, pauses: dict[str, int] | None = None) -> None:  # fmt: skip
        self.name = name
        self.cuts, self.breaks, self.pauses = dict(cuts or {}), dict(breaks or {}), dict(pauses or {})
        self.broken = False
        self.go, self.paused = threading.Event(), threading.Event()
        self.asked: list[tuple[str, str, str]] = []
        self.files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        if LARGE in {*self.cuts, *self.breaks, *self.pauses}:
            self.files[LARGE] = bytes(range(256)) * (24 * 4096)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: _Handler(self, *args))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def rows(self) -> list[dict[str, object]]:
        """Its files, as the hub lists them."""
        return [
            {"type": "file", "path": name, "rfilename": name, "size": len(data), "oid": tag(data), "blobId": tag(data)}
            for name, data in self.files.items()
        ]

    def mend(self) -> None:
        """The line holds from now on."""
        self.breaks.clear()
        self.broken = False

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: Hub, *args) -> None:
        self.hub = hub
        super().__init__(*args)

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, *, body):
        hub, path = self.hub, self.path.partition("?")[0]
        hub.asked.append((self.command, path, self.headers.get("Range", "")))
        if hub.broken:
            return self._end(507)  # Of 500 to 504 the library asks again, for half a minute.
        if re.fullmatch(rf"/api/models/{hub.name}/tree/[^/]+", path):
            return self._send(hub.rows(), body)
        if re.fullmatch(rf"/api/models/{hub.name}(/revision/[^/]+)?", path):
            return self._send({"id": hub.name, "sha": REVISION, "siblings": hub.rows()}, body)
        found = re.fullmatch(rf"/{hub.name}/resolve/[^/]+/(.+)", path)
        if not found or found[1] not in hub.files:
            return self._end(404)
        return self._file(found[1], body)

    def _end(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, told, body):
        data = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def _file(self, name, body):
        data = self.hub.files[name]
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("ETag", f'"{tag(data)}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if body:
            self._body(name, data, start)

    def _body(self, name, data, start):
        hub = self.hub
        end = hub.breaks.get(name, len(data))
        if hub.cuts.get(name, 0) and len(data) - start > 1:
            hub.cuts[name] -= 1
            end = start + (len(data) - start) // 2
        if name in hub.pauses and start <= hub.pauses[name] < end:
            self.wfile.write(data[start : hub.pauses[name]])
            self.wfile.flush()
            hub.paused.set()
            hub.go.wait(60)
            start = hub.pauses[name]
        self.wfile.write(data[start:end])
        if end < len(data):
            hub.broken = name in hub.breaks
            self.close_connection = True
