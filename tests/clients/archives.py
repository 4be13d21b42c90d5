"""Archives for tests: whole ones, and what can be done to them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

import numpy as np
import soundfile

RATE = 16000
TEXT = "One. Two."
REQUEST = {"chain": [{"provider": "tone", "voice": "a"}], "language": "en", "seed": None, "keep": "history",
           "style": {"rate": 1.0, "options": {}}, "priority": "text", "pace": "listen"}  # fmt: skip


def pcm(samples, start=0):
    """Samples of which each can be told from its neighbours."""
    return (np.arange(start, start + samples) % 20000 + 1).astype("<i2")


def segment(number, start, length, samples, offset, **changes):
    return {"segment": number, "start": start, "length": length, "state": "whole", "provider": "tone", "version": "1",
            "voice": "a", "attempt": f"old.{number}", "seed": 3, "peak": 9, "rms": 1.5, "first_audio_s": 0.1,
            "work_s": 0.2, "made_s": 0.3, "tries": 0, "stops": 0, "deaths": 0, "offset": offset, "samples": samples,
            "trail": [], **changes}  # fmt: skip


def mark(segment, offset, start, length=4):
    return {"kind": "word", "offset": offset, "seconds": offset / RATE, "start": start, "length": length, "name": "",
            "confidence": 0.5, "segment": segment, "take": f"old.{segment}", "method": "estimate"}  # fmt: skip


def record(job, **changes):
    """What is in a record.json: two sentences of 3000 and 2000 samples."""
    rows = [segment(0, 0, 4, 3000, 0), segment(1, 5, 4, 2000, 3000)]
    return {"job": job, "state": "finished", "code": "", "message": "", "created": 1e9, "finished": 1e9 + 1,
            "samples": 5000, "rate": RATE, "skipped": 0, "speakers": [], "language": "en", "keep": "history",
            "pinned": False, "audio": "packed", "bytes": 1, "text": TEXT, "trail": [], "seed": 5, "request": REQUEST,
            "segments": rows, "marks": [mark(0, 100, 0), mark(1, 3100, 5)], **changes}  # fmt: skip


def sound(samples=5000, *, rate=RATE, form="FLAC", subtype="PCM_16", channels=1):
    """An audio file's bytes."""
    file = io.BytesIO()
    data = pcm(samples)
    soundfile.write(file, np.column_stack([data] * channels), rate, subtype, format=form)
    return file.getvalue()


def files(job="a", *, audio="audio.flac", form="FLAC", text=TEXT, **changes):
    """The files of a job's folder."""
    told = record(job, **changes)
    found = {"record.json": json.dumps(told).encode(), "text.txt": text.encode()}
    return found | ({audio: sound(form=form)} if audio else {})


def write(path, jobs, *, manifest=None, spoil=None):
    """An archive of these jobs: name to files. manifest: changes to it. spoil: files that are other than it says."""
    entries = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (job, found) in enumerate(jobs.items(), 1):
            folder = f"jobs/{number:06}-{job}"
            sums = {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
            for name, data in {**found, **(spoil or {}).get(job, {})}.items():
                if data is not None:
                    archive.writestr(f"{folder}/{name}", data)
            entries.append({"job": job, "folder": folder, "sha256": sums})
        told = {"format": "voicebus-history", "version": 1, "jobs": entries, **(manifest or {})}
        archive.writestr("manifest.json", json.dumps(told))
    return path
