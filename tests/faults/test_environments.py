"""Workers in environments of their own: of another version, of another protocol, and broken in every way."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

import voicebus
from voicebus.bus.messages import PROTOCOL, PROTOCOL_LOW
from voicebus.clients.sync import Client

from .listening import TONE, Heard, exact, sentences
from .own import environment
from .service import Service, until

THEIRS = PROTOCOL + 6
REASONS = {
    "disjoint": f"voicebus 9.9 speaks protocol {THEIRS} to {THEIRS}, this daemon ({voicebus.__version__}) "
    f"{PROTOCOL_LOW} to {PROTOCOL}; @/disjoint/bin/python -m pip install voicebus=={voicebus.__version__}",
    "bare": "@/bare/bin/python has no voicebus, which every worker needs; install it: @/bare/bin/python -m pip install "
    f"voicebus=={voicebus.__version__}",
    "lacking": "@/lacking/bin/python lacks the module zmq; install it: @/lacking/bin/python -m pip install pyzmq",
    "old": "needs Python 3.99 or newer, and this is 3.",
    "elsewhere": "finds no module my_voices.beeper; install it there, or name its folder",
    "gone": "its interpreter @/gone/bin/python is not there; install it anew, or change python in its table",
}


@pytest.fixture(scope="module")
def folder():
    """All the environments, by the names of their providers."""
    with tempfile.TemporaryDirectory(prefix="vb-") as made:
        root = Path(made)
        environment(root / "tone", version="0.0.9")
        environment(root / "disjoint", version="9.9", protocol=THEIRS)
        environment(root / "bare", runtime=False)
        environment(root / "lacking", libraries=False)
        environment(root / "old", oldest_python="(3, 99)")
        yield root


@pytest.fixture(scope="module")
def service(folder):
    tables = [
        f'[providers.{name}]\nmodule = "voicebus.workers.tone"\npython = "{folder}/{name}/bin/python"\n'
        f"settings = {{ {TONE} }}\n"
        for name in ("tone", "disjoint", "bare", "lacking", "old", "gone")
    ]
    tables.append(f'[providers.elsewhere]\nmodule = "my_voices.beeper"\npython = "{folder}/tone/bin/python"\n')
    tables.append("[restart]\nintensity = 1\nbase_s = 0.02\nmax_s = 0.1\n[providers.espeak]\nworkers = 0\n")
    found = Service("\n".join(tables) + '[defaults]\nchain = ["disjoint", "tone"]\n')
    try:
        yield found
        found.stop()
    finally:
        found.give_up()


@pytest.fixture
def client(service):
    with Client(endpoint=service.endpoint, start=False) as found:
        yield found


def test_another_version_that_speaks_our_protocol_fits(service, client):
    """A worker of an environment with another version of voicebus is let in, and speaks; its version is told."""
    (worker,) = service.ready(client, "tone")
    assert worker["version"] == "0.0.9"
    text = sentences(3)
    exact(client, Heard(client.speak(text, provider="tone")).listen(), text)


@pytest.mark.parametrize("name", REASONS)
def test_an_environment_that_does_not_fit_is_said_plainly(service, client, folder, name):
    """Its worker is fatal, and its provider says what is wrong, where, and what mends it."""

    def fatal():
        return [row for row in client.workers() if row["provider"] == name and row["state"] == "fatal"]

    (worker,) = until(fatal, f"the end of {name}", 20)
    (provider,) = [row for row in client.providers() if row["provider"] == name]
    assert provider["state"] == "out"
    assert REASONS[name].replace("@", str(folder)) in provider["reason"], worker
    assert worker["restarts"] == (1 if name == "gone" else 0)


def test_a_chain_goes_past_it(service, client):
    """Who names an environment that does not fit before another is spoken to by the other, and told why."""
    until(lambda: [row for row in client.workers() if row["worker"] == "disjoint/0" and row["state"] == "fatal"], "it")
    text = sentences(2)
    heard = Heard(client.speak(text)).listen()
    exact(client, heard, text)
    assert "speaks protocol" in heard.notices[0].data["reason"]
