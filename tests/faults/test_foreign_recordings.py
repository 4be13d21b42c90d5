"""Voice memos of phones, through a real service: what is kept, what is spoken from it, what is told."""

from __future__ import annotations

import asyncio
import io
import threading
from types import SimpleNamespace

import pytest
import soundfile

from voicebus.bus.errors import InvalidRequest
from voicebus.clients import converting, voicing
from voicebus.clients.aio import AsyncClient
from voicebus.workers import tone

from .foreign import FORMS, alike, encoded, sound

CONFIG = """
[providers.tone]
module = "voicebus.workers.tone"
"""
MINE = "It is my own voice."


def check_kept(data: bytes, source, form: str) -> None:
    """What is kept is FLAC, and sounds as what was given."""
    assert data.startswith(b"fLaC")
    samples, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    assert rate == FORMS[form].rate
    alike(samples, source, rate)


def test_a_voice_memo_makes_a_voice(launch, tmp_path, monkeypatch):
    """An m4a and a webm, as paths and as bytes, of both clients, are kept as FLAC and spoken from."""
    service = launch(CONFIG)
    memo, source = tmp_path / "memo.m4a", sound()
    memo.write_bytes(encoded("m4a", source))

    converted_in = []

    def readable(data: bytes) -> bytes:
        converted_in.append(threading.current_thread())
        return converting.readable(data)

    async def otherwise() -> bytes:
        # A loop that stands still while a recording is converted would lose its daemon.
        monkeypatch.setattr(voicing, "converting", SimpleNamespace(readable=readable))
        async with AsyncClient(endpoint=service.endpoint, start=False) as client:
            await client.add_voice("berta", [encoded("webm", source)], consent=MINE)
            await client.change_voice("berta", [memo])
            rows = (await client.voice("berta"))["samples"]
            check_kept(await client.recording(rows[1]["sample"]), source, "m4a")
            return await client.recording(rows[0]["sample"])

    with service.client() as client:
        service.ready(client, "tone")
        added = client.add_voice("anna", [(memo, "Words.")], consent=MINE)
        kept = client.recording(client.voice("anna")["samples"][0]["sample"])
        check_kept(kept, source, "m4a")
        assert {advice["code"] for advice in added.advice} <= {"abrupt", "noise"}
        speech = client.speak("Hello.", voice="anna", seed=7, whole=True)
        heard = b"".join(bytes(frame.pcm) for frame in speech.frames())
        assert heard == tone.expected("Hello.", voice=tone.cloned((kept, "Words.")), seed=7)
        check_kept(asyncio.run(otherwise()), source, "webm")
        assert len(converted_in) == 2
        assert threading.main_thread() not in converted_in
        client.export_voice("anna", tmp_path / "anna.voice")
        client.remove_voice("anna")
        client.import_voice(tmp_path / "anna.voice")
        assert client.recording(client.voice("anna")["samples"][0]["sample"]) == kept
        for name in ("anna", "berta"):
            client.remove_voice(name)


def test_what_cannot_be_used_is_named(launch, tmp_path):
    """A memo that is cut off is refused under its name; one that is too short by the daemon, as any recording."""
    service = launch(CONFIG)
    whole = encoded("m4a", sound(0.5))
    (tmp_path / "torn.m4a").write_bytes(whole[: len(whole) // 2])
    with service.client() as client:
        with pytest.raises(InvalidRequest, match=r"torn\.m4a: It begins as an M4A or MP4 file does"):
            client.add_voice("none", [tmp_path / "torn.m4a"], consent=MINE)
        with pytest.raises(InvalidRequest, match=r"Recording 1: No voice can be made .* It has 0\.5 s"):
            client.add_voice("none", [whole], consent=MINE)


def test_a_client_that_does_not_convert_is_told(launch):
    """The daemon itself decodes no such file, whoever sends it: it says what it is and what to do."""
    service = launch(CONFIG)
    with service.client() as client, pytest.raises(InvalidRequest, match=r"M4A or MP4 file.*ffmpeg -i"):
        client._run(voicing.upload(encoded("m4a", sound(3.0))))
