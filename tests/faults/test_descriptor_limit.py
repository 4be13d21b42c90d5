"""More connections than there are descriptors."""

from __future__ import annotations

import contextlib
import socket
import sys

import pytest

from voicebus.bus.errors import DaemonError
from voicebus.clients.sync import Client

from .listening import TONE, Heard, exact, sentences
from .service import CLIENT_SOCKET

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 1
settings = {{ {TONE} }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""
LIMIT = 400
NARROW = (
    "import os, resource, sys;"
    f"resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, {LIMIT}));"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
TEXT = sentences(2)


def test_the_daemon_survives(launch):
    """Who is inside is served to the last sample while others crowd at the door; who is not let in gets a plain error;
    and when there is room again, new ones are served."""
    service = launch(CONFIG, wrapper=[sys.executable, "-c", NARROW])
    inside = service.client()
    service.ready(inside, "tone")
    with contextlib.ExitStack() as crowd:
        for _ in range(LIMIT):
            one = crowd.enter_context(socket.socket(socket.AF_UNIX))
            one.setblocking(False)
            with contextlib.suppress(OSError):
                one.connect(str(service.run / CLIENT_SOCKET))
        service.says("bus.sock shut")
        exact(inside, Heard(inside.speak(TEXT)).listen(), TEXT)
        with pytest.raises(DaemonError):
            Client(endpoint=service.endpoint, start=False, reconnect_s=0.2)
    service.says("bus.sock open again")
    late = service.client()
    exact(late, Heard(late.speak(TEXT)).listen(), TEXT)
    assert service.process.poll() is None
