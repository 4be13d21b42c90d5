"""There is no space left on the disk."""

from __future__ import annotations

import subprocess

import pytest

from voicebus.bus.errors import JobFailed, StorageError

from .listening import TONE, Heard, exact, sentences

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
settings = {{ {TONE} }}
[defaults]
chain = ["tone"]
"""
LONG, SHORT = sentences(40), sentences(3)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of half a megabyte, which only root can make."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "none", disk], capture_output=True
    ).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_it_fails_by_name_and_what_is_not_kept_still_speaks(launch, small_disk):
    """A job that is to be kept ends as `disk_full`, and what had been written of it is exact; one that is not to be
    kept is said in full; and once there is room, so is the next."""
    service = launch(CONFIG, state=small_disk / "s")
    client = service.client()
    service.ready(client, "tone", 2)
    (small_disk / "filler").write_bytes(bytes(300_000))
    heard = Heard(client.speak(LONG))
    with pytest.raises((JobFailed, StorageError)) as full:
        heard.listen()
    assert full.value.code == "disk_full"
    assert "space" in full.value.message or "disk" in full.value.message
    assert 0 < heard.samples == heard.speech.result.samples
    unkept = Heard(client.speak(LONG, keep="nothing")).listen()
    exact(client, unkept, LONG)
    assert unkept.speech.result.complete
    (small_disk / "filler").unlink()
    again = Heard(client.speak(SHORT)).listen()
    exact(client, again, SHORT)
