"""What the helper finds in a recording, and what it makes of what is none."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from voicebus.daemon.voice_helper import Unusable, look, measured

from ..faults.recordings import wav

HELPER = [sys.executable, "-m", "voicebus.daemon.voice_helper"]


def facts(tmp_path, data):
    """What is found in a file."""
    path = tmp_path / "it"
    path.write_bytes(data)
    return look(path, hashlib.sha256(data).hexdigest())


def test_a_good_recording_is_measured(tmp_path):
    """Length, rate, channels, levels and the silence at the ends are as they were made."""
    found = facts(tmp_path, wav(4.0, height=0.5, lead=0.5, tail=0.75))
    assert (found.seconds, found.rate, found.channels, found.form) == (4.0, 24000, 1, "WAV")
    assert found.peak == pytest.approx(-6.0, abs=0.3)
    assert found.lead == pytest.approx(0.5, abs=0.1)
    assert found.tail >= 0.7
    assert found.level - found.floor > 30
    assert found.clipped == 0


@pytest.mark.parametrize("form", ["FLAC", "OGG", "MP3", "AIFF"])
def test_common_formats_are_read(tmp_path, form):
    """The same recording in another format has the same length and rate."""
    samples, rate = soundfile.read(io.BytesIO(wav(3.0)))
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form)
    found = facts(tmp_path, file.getvalue())
    assert found.rate == 24000
    assert found.seconds == pytest.approx(3.0, abs=0.1)


def test_clipping_is_found_at_any_height(tmp_path):
    """Flat tops are found, also where they were made quieter afterwards; loud speech without any has none."""
    assert facts(tmp_path, wav(3.0, height=3.0, clip=0.99)).clipped > 0.01
    assert facts(tmp_path, wav(3.0, height=3.0, clip=0.7)).clipped > 0.01
    assert facts(tmp_path, wav(3.0, height=0.95)).clipped < 0.0002


def test_noise_is_heard_between_the_words(tmp_path):
    """The floor is what lies between, not the speech."""
    quiet, loud = (facts(tmp_path, wav(3.0, noise=noise)) for noise in (0.001, 0.1))
    assert loud.floor - quiet.floor > 30


def test_channels_that_cancel_are_found():
    """What mixing the channels costs is told."""
    tone = np.sin(np.arange(24000) / 10).astype(np.float32)[:, None] * 0.3
    assert measured(np.hstack([tone, tone]), 24000).mixed == 0
    assert measured(np.hstack([tone, -tone]), 24000).mixed > 20


@pytest.mark.parametrize("samples", [np.zeros((0, 1), np.float32), np.full((100, 1), np.nan, np.float32)])
def test_what_is_no_sound_is_refused(samples):
    """No samples, and samples that are no numbers, are no recording."""
    with pytest.raises(Unusable, match="no sound"):
        measured(samples, 24000)


def test_something_very_short_is_measured_all_the_same():
    """Less than one frame is measured as one."""
    assert measured(np.full((5, 1), 0.5, np.float32), 24000).seconds < 0.001


def test_the_process_answers_in_json(tmp_path):
    """A recording that can be used ends with 0 and a line of what was measured."""
    data = wav(2.0)
    (tmp_path / "it").write_bytes(data)
    line = [*HELPER, str(tmp_path / "it"), hashlib.sha256(data).hexdigest()]
    done = subprocess.run(line, stdin=subprocess.PIPE, capture_output=True, check=False, timeout=30)
    assert done.returncode == 1, "its standard input has ended, so nobody wants it any more"
    with subprocess.Popen(line, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(30) == 0
    assert json.loads(said)["seconds"] == 2.0


@pytest.mark.parametrize(("digest", "words"), [("0" * 64, "send it again"), ("", "No such file")])
def test_the_process_says_why_it_cannot(tmp_path, digest, words):
    """Other bytes than were promised, or a file that is not there, end with 1 and a reason."""
    (tmp_path / "it").write_bytes(wav(1.0))
    name = "it" if digest else "nothing"
    with subprocess.Popen([*HELPER, str(tmp_path / name), digest], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as it:
        assert it.stderr is not None
        assert words.encode() in it.stderr.read()
        assert it.wait(30) == 1


def test_it_can_write_no_file(tmp_path):
    """Once confined, the helper's process cannot write to the disk, where the kernel has such a limit."""
    limited = subprocess.run(
        ["sh", "-c", f"ulimit -f 0; echo x > {tmp_path}/limited"], capture_output=True, check=False
    )
    if not limited.returncode:
        pytest.skip("this kernel lets a process write beyond its limit")
    code = (
        "import os, signal, sys; from voicebus.daemon import voice_helper; voice_helper.confine();"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); os.write(os.open(sys.argv[1], 65), b'x')"
    )
    line = [sys.executable, "-c", code, str(tmp_path / "x")]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=30)
    assert "File too large" in done.stderr
