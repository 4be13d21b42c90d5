"""The history as one file, for keeping elsewhere.

Owns: the layout of the archive. Must not know: terminals, sockets. Invariant: an archive appears under its name only
when it is complete, and each file in it has its checksum in the manifest.

It is a zip that anybody can open: for each job a folder with ``record.json`` (all that is known of it: its row of the
history with what was asked for, who said each sentence and when which word comes), ``text.txt`` and ``audio.flac``;
and ``manifest.json`` with format, version and, for each job, the SHA-256 of each file.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Unpack

from ..bus.errors import JobFailed, NotFound, VoicebusError
from . import transcripts
from .events import Event, Mark
from .history import Filters
from .placing import placed

if TYPE_CHECKING:
    from .sync import Client

FORMAT = "voicebus-history"
VERSION = 1

_COPY = 1 << 20


@dataclass(slots=True)
class Exported:
    """What is in an archive. silent: the jobs whose audio could not be had, with why."""

    jobs: int
    silent: dict[str, str]


def export(
    client: Client,
    target: str | Path | IO[bytes],
    *,
    on_job: Callable[[Mapping[str, Any]], object] | None = None,
    **filters: Unpack[Filters],
) -> Exported:
    """Write the history, or what is left of it by `filters`, into an archive, or to a stream that need not seek.
    on_job: called with the row of each job before it is written. Raises OSError where the file cannot be written, and
    what `Client.history` raises."""
    with placed(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        return _Writer(client, archive).write(on_job, filters)


class _Writer:
    """One archive in the making."""

    def __init__(self, client: Client, archive: zipfile.ZipFile) -> None:
        self._client = client
        self._archive = archive
        self._manifest: list[dict[str, Any]] = []
        self._silent: dict[str, str] = {}

    def write(self, on_job: Callable[[Mapping[str, Any]], object] | None, filters: Filters) -> Exported:
        for row in self._client.history(**filters):
            if on_job is not None:
                on_job(row)
            try:
                self._job(row["job"])
            except NotFound:  # removed meanwhile
                continue
        manifest = {"format": FORMAT, "version": VERSION, "jobs": self._manifest}
        self._archive.writestr("manifest.json", json.dumps(manifest, ensure_ascii=False, indent=1))
        return Exported(len(self._manifest), self._silent)

    def _job(self, job: str) -> None:
        row, text, segments = self._client.kept(job), self._client.text(job), self._client.segments(job)
        folder, sums = f"jobs/{len(self._manifest) + 1:06}-{job}", {}
        marks: list[dict[str, Any]] = []
        with tempfile.TemporaryDirectory() as place:
            audio = Path(place, "audio.flac")  # a real file, so that its head can tell its length
            if row["samples"] and self._audio(job, audio, marks):
                sums["audio.flac"] = self._put(f"{folder}/audio.flac", audio)
        record = {**row, "segments": segments, "marks": marks}
        if row.get("request", {}).get("kind") == "transcribe":
            record["transcript"] = transcripts.of_job(self._client, job)
        for name, content in (("text.txt", text), ("record.json", json.dumps(record, ensure_ascii=False, indent=1))):
            self._archive.writestr(f"{folder}/{name}", content)
            sums[name] = hashlib.sha256(content.encode()).hexdigest()
        self._manifest.append({"job": job, "folder": folder, "sha256": sums})

    def _audio(self, job: str, audio: Path, marks: list[dict[str, Any]]) -> bool:
        def note(event: Event) -> None:
            if isinstance(event, Mark):
                marks.append(asdict(event))

        try:
            self._client.attach(job, whole=True).save(audio, on_event=note, partial=True)
        except NotFound:
            raise
        except JobFailed:  # what was said before is all there is, and whole
            return audio.exists()
        except VoicebusError as error:
            self._silent[job] = error.message
            marks.clear()
            return False
        return True

    def _put(self, name: str, audio: Path) -> str:
        """Add a file that is packed already; its checksum."""
        digest = hashlib.sha256()
        with audio.open("rb") as file, self._archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as into:
            while data := file.read(_COPY):
                digest.update(data)
                into.write(data)
        return digest.hexdigest()
