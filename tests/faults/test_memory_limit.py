"""An engine wants more memory than its process may have."""

from __future__ import annotations

import sys

import pytest

from .listening import RATE, TONE, Heard, placed, sentences, sounds, takes_agree

LIMIT_MB = 1000
"""A worker needs some hundred of address space for itself."""

NARROW = (
    "import os, resource, sys;"
    f"resource.setrlimit(resource.RLIMIT_AS, ({LIMIT_MB} << 20, {LIMIT_MB} << 20));"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
CONFIG = f"""
[providers.narrow]
command = ["{sys.executable}", "-c", "{NARROW}", "{sys.executable}", "-m", "voicebus.workers.tone"]
rate = {RATE}
settings = {{ {TONE}, factor = 0.05 }}
[providers.tone]
module = "voicebus.workers.tone"
workers = 1
settings = {{ {TONE}, markers = false }}
[providers.espeak]
workers = 0
[defaults]
chain = ["narrow", "tone"]
[breaking]
failures = 100
"""


@pytest.mark.parametrize("before", ["", "{{grow 500}} "])
def test_it_is_told_by_name_and_another_goes_on(service, client, before):
    """Whether it is the first or the last megabyte that is refused: the failure is called out_of_memory, it costs the
    one sentence a second try here, then the next in the chain says it, and every sentence is heard once."""
    pid = service.ready(client, "narrow")[0]["pid"]
    service.ready(client, "tone")
    text = f"{sentences(1)} This one {before}wants {{{{grow 4000}}}} more. {sentences(1, start=5)}"
    heard = Heard(client.speak(text)).listen()
    found = placed(client, heard.speech.job, heard.pcm, text)
    assert [row["provider"] for row, _ in found] == ["narrow", "tone", "tone"]
    assert all(sound in sounds(row, text, [""], RATE, 1.0) for row, sound in found)
    takes_agree(heard, found)
    trail = found[1][0]["trail"]
    assert len(trail) == 2
    assert all(line.startswith("narrow: out_of_memory") for line in trail)
    assert pid == service.ready(client, "narrow")[0]["pid"]
