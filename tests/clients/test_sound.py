"""Sound devices, found without a word of what C libraries say meanwhile."""

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import miniaudio
import pytest

from voicebus.clients import sound


@pytest.fixture
def said(capfd):
    """What has come on the descriptor of standard error since."""
    return lambda: capfd.readouterr().err


def test_nothing_is_heard_inside_and_everything_after(said) -> None:
    """What is written to the descriptor inside is gone; afterwards it is what it was, also behind an exception."""
    with sound.quiet():
        os.write(2, b"noise\n")
    os.write(2, b"first\n")
    with pytest.raises(ZeroDivisionError), sound.quiet():
        os.write(2, b"noise\n" * (1 // len("")))
    os.write(2, b"second\n")
    assert said() == "first\nsecond\n"


def test_two_threads_leave_it_as_it_was(said) -> None:
    """Threads that are quiet at the same time restore what was there before all of them, and no descriptor stays."""

    def often():
        for _ in range(200):
            with sound.quiet():
                pass

    before = len(list(Path("/dev/fd").iterdir()))
    threads = [threading.Thread(target=often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"here\n")
    assert said() == "here\n"
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_closed_standard_error_stays_closed() -> None:
    """Where nobody has standard error, being quiet is no error and opens nothing."""
    code = """if True:
        import os
        from voicebus.clients import sound
        os.close(2)
        with sound.quiet():
            pass
        try:
            os.fstat(2)
        except OSError:
            print("closed")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert done.stdout == "closed\n"


def test_looking_for_devices_is_silent(said) -> None:
    """Neither finding devices nor opening one, or failing to, puts anything on standard error."""
    sound.devices()
    with contextlib.suppress(sound.NoSoundDevice):
        sound.playback(16000, 20, None, None).close()
    assert said() == ""


def test_devices() -> None:
    """The null backend has one device, with a name to choose it by."""
    rows = sound.devices("null")
    assert rows
    assert all(row["name"] for row in rows)
    assert sound.find(rows[0]["name"], "null") is not None


def test_what_swallows_samples_is_no_device(monkeypatch) -> None:
    """The device that ALSA has on a machine without any is not offered."""

    class Devices:
        backend = "ALSA"

        def __init__(self, backends):
            pass

        def get_playbacks(self):
            names = ["Discard all samples (playback) or generate zero samples (capture)", "Speakers"]
            return [{"name": name, "id": number} for number, name in enumerate(names)]

    monkeypatch.setattr(miniaudio, "Devices", Devices)
    assert [row["name"] for row in sound.devices()] == ["Speakers"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(("failed to init device", -401), r" \(failed to init device\)"), ((("a", -1),), r" \(a\)"), ((), "")],
)
def test_a_reason_is_in_words(arguments, reason) -> None:
    """What a library says, a reason and a number, comes out as the reason."""
    text = str(sound.no_device(miniaudio.MiniaudioError(*arguments)))
    assert text.startswith(f"There is no sound device to play on{reason.replace(chr(92), '')}. ")
