"""Leaving a command while the daemon does not say that its job is cancelled."""

from __future__ import annotations

import pytest

from voicebus.bus.messages import Cancel
from voicebus.clients.cli import hearing
from voicebus.clients.sync import Client


def test_who_leaves_waits_briefly_for_the_word_that_his_job_is_cancelled(daemon, tmp_path, monkeypatch):
    """A daemon that beats but cannot write (its disk is full) does not answer a CANCEL; the command ends all the
    same, with what made it leave."""
    monkeypatch.setattr(hearing, "ANSWER_S", 0.2)
    daemon.on[Cancel] = lambda peer, message, body: None
    (tmp_path / "folder.wav").mkdir()
    with Client(endpoint=daemon.endpoint) as client:
        speech = client.speak("Hello.")
        target = hearing.Target(str(tmp_path / "folder.wav"), "wav", None, quiet=True)
        with pytest.raises(IsADirectoryError):
            hearing.hear(client, speech, target, total=6)
    assert daemon.expect(Cancel)
