"""Recordings of foreign formats, made into what the daemon reads: by PyAV, and by an ffmpeg."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import shutil
import sys
from pathlib import Path

import pytest
import soundfile

from voicebus.bus.errors import InvalidRequest
from voicebus.clients import converting
from voicebus.clients.voicing import Recording

from ..faults.foreign import FORMS, alike, encoded, silent_film, sound
from ..faults.recordings import wav

FFMPEG = pytest.param("ffmpeg", marks=pytest.mark.skipif(not shutil.which("ffmpeg"), reason="there is no ffmpeg"))
M4A = b"\0\0\0\x20ftypM4A "
M4A_NAME = "an M4A or MP4 file"


@pytest.fixture(params=["pyav", FFMPEG])
def converter(request, monkeypatch):
    """Each of those who convert, alone."""
    if request.param == "ffmpeg":
        without_pyav(monkeypatch)
    else:
        monkeypatch.setenv("PATH", "")
    return request.param


def without_pyav(monkeypatch):
    """Have no PyAV: importing it fails as where it is not installed."""
    monkeypatch.setitem(sys.modules, "av", None)


@pytest.fixture
def ffmpeg(monkeypatch, tmp_path):
    """Put a program called ffmpeg, which is this body in Python, alone on the PATH, where there is no PyAV."""
    without_pyav(monkeypatch)

    def put(body):
        program = tmp_path / "ffmpeg"
        program.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{body}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return put


def heard(data):
    """The samples of a file, float32 (frames, channels), and their rate."""
    return soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)


@pytest.mark.parametrize(
    ("form", "channels"), [(form, 1) for form in FORMS] + [(form, 2) for form in FORMS if form != "amr"]
)
def test_what_is_heard_stays_the_same(converter, form, channels):
    """A recording of any of these formats becomes FLAC with the same rate, channels, length, level and notes."""
    rate = FORMS[form].rate
    source = sound(3.0, channels, rate)
    made = converting.readable(encoded(form, source))
    about = soundfile.info(io.BytesIO(made))
    assert (about.format, about.subtype, about.samplerate) == ("FLAC", "PCM_16", rate)
    alike(heard(made)[0], source, rate, within=0.4 if form == "amr" else 0.1)  # which is for speech, not for notes


def test_the_sound_of_a_film_is_taken(converter):
    """Of a video the sound is a recording; one without sound is refused by name."""
    source = sound(2.0, 2)
    alike(
        heard(converting.readable(encoded("mp4", sound(2.0, 2, 44100), picture=True)))[0], sound(2.0, 2, 44100), 44100
    )
    assert heard(converting.readable(encoded("m4a", source)))[1] == 48000
    with pytest.raises(InvalidRequest, match="no sound in it"):
        converting.readable(silent_film())


def test_many_channels_become_two(converter):
    """Of surround sound a mixture of two channels is made."""
    samples, rate = heard(converting.readable(encoded("m4a", sound(2.0, 6))))
    assert (samples.shape[1], rate) == (2, 48000)


def test_where_it_was_made_is_not_kept(converter):
    """What a phone notes beside the sound, such as the place, is left out."""
    source = encoded("webm", sound(2.0), location="+48.2082+016.3738/")
    assert b"+48.2082" in source
    made = converting.readable(source)
    assert made.startswith(b"fLaC")
    assert b"48.2082" not in made


@pytest.mark.parametrize(("seconds", "fits"), [(119.9, True), (125.0, False)])
def test_no_more_is_decoded_than_may_be(converter, seconds, fits):
    """Two minutes are taken; of more it is said that it is too long, as of any recording."""
    source = encoded("amr", sound(seconds, rate=8000))
    if fits:
        assert len(heard(converting.readable(source))[0]) / 8000 == pytest.approx(seconds, abs=0.05)
        return
    with pytest.raises(InvalidRequest, match="more than 120 s; cut out 3 to 30 s"):
        converting.readable(source)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (M4A + bytes(1000), M4A_NAME),
        (encoded("m4a", sound(2.0))[:8000], M4A_NAME),
        (b"\x1aE\xdf\xa3" + bytes(1000), "a WebM or Matroska file"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(1000), "a WMA file"),
        (M4A[:8], M4A_NAME),
    ],
)
def test_what_is_broken_is_told_so(converter, data, name):
    """What only begins as such a file does, or is cut off before its index, is refused in plain words."""
    with pytest.raises(InvalidRequest) as refused:
        converting.readable(data)
    assert f"begins as {name} does, and cannot be read as one (Invalid data found" in refused.value.message
    assert "/" not in refused.value.message  # no file of ours


def test_a_codec_that_nobody_knows_is_told(converter):
    """A file that is whole, but whose sound is encoded in a way that is not known here, is refused with that reason."""
    data = encoded("webm", sound(1.0)).replace(b"A_OPUS", b"A_NONE")
    with pytest.raises(InvalidRequest, match=r"as a WebM or Matroska file does.*\(Decoder.*not found"):
        converting.readable(data)


@pytest.mark.parametrize("form", FORMS)
def test_damage_is_refused_or_left_out(form):
    """Whatever bytes are damaged, or missing, what comes is a recording or a refusal, and no other error."""
    chance = random.Random(form)
    whole = encoded(form, sound(1.0, 1, FORMS[form].rate))
    kinds, refused = set(), []
    for number in range(40):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 5, 50))):
            data[chance.randrange(12, len(data))] = chance.randrange(256)
        if number % 4 == 0:
            del data[chance.randrange(20, len(data)) :]
        try:
            kinds.add(converting.readable(bytes(data))[:4])
        except InvalidRequest as error:
            refused.append(error.message)
    assert kinds == {b"fLaC"}
    assert [words for words in refused if not ("no sound in it" in words or "is it whole" in words)] == []


def test_what_is_broken_in_its_midst_is_still_a_recording(converter):
    """A few bytes that are damaged cost what they held, and no more."""
    data = bytearray(encoded("aac", sound(3.0)))
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    samples, rate = heard(converting.readable(bytes(data)))
    assert 2.5 < len(samples) / rate < 3.1


@pytest.mark.parametrize("data", [wav(1.0), b"", b"\xff", b"no audio at all", b"\xff\xfb\x90\x00" + bytes(100)])
def test_all_else_is_left_alone(data):
    """What is read without, mp3 among it, and what is no audio at all is handed on as it is."""
    assert converting.readable(data) is data


def test_what_would_help_is_told(monkeypatch):
    """Where nothing here converts, both ways to get there are named, and the formats that need none."""
    without_pyav(monkeypatch)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InvalidRequest) as refused:
        Recording(M4A + bytes(100), name="memo.m4a").read()
    assert refused.value.message == (
        "memo.m4a: It is an M4A or MP4 file, and nothing here converts that: pip install 'voicebus[formats]', or "
        "install ffmpeg, or give a wav, flac, ogg, opus, mp3 or aiff file."
    )


def test_how_ffmpeg_is_called(ffmpeg, tmp_path):
    """It reads one file, as what it is, with no address in it, no standard input and no shell; nothing stays of it."""
    made = tmp_path / "made.flac"
    soundfile.write(made, sound(1.0), 48000, subtype="PCM_16")
    data = M4A + b"; $(echo x) 'quoted'"
    ffmpeg(f"""
line = sys.argv[1:]
source = line[line.index("-i") + 1]
assert line[-1].startswith("file:") and source.startswith("file:"), line
with open(source[5:], "rb") as file, open({str(tmp_path / "told")!r}, "w") as told:
    data = file.read().decode("latin-1")
    json.dump({{"line": line, "data": data, "stdin": sys.stdin.read(),
               "mode": os.stat(os.path.dirname(source[5:])).st_mode & 0o777}}, told)
with open({str(made)!r}, "rb") as file, open(line[-1][5:], "wb") as target:
    target.write(file.read())
""")
    assert converting.readable(data) == made.read_bytes()
    told = json.loads((tmp_path / "told").read_text())
    line = told["line"]
    options = dict(itertools.pairwise(line))
    assert "-nostdin" in line
    assert (options["-protocol_whitelist"], options["-f"]) == ("file", "flac")
    assert line[line.index("-i") - 2 : line.index("-i")] == ["-f", "mov"]
    assert float(options["-t"]) == 121.0
    assert (told["data"].encode("latin-1"), told["stdin"], told["mode"]) == (data, "", 0o700)
    assert not Path(options["-i"][5:]).parent.exists()


def test_what_ffmpeg_says_is_told(ffmpeg):
    """Why it could not is told with the last line of what it said, without our file's name; or with how it ended."""
    ffmpeg("""
print("first line", file=sys.stderr)
print(sys.argv[sys.argv.index("-i") + 1] + ": Out of luck", file=sys.stderr)
sys.exit(1)
""")
    with pytest.raises(InvalidRequest, match=r"cannot be read as one \(Out of luck\); is it whole"):
        converting.readable(M4A)
    ffmpeg("sys.exit(3)")
    with pytest.raises(InvalidRequest, match=r"ended with 3\)"):
        converting.readable(M4A)
    ffmpeg("")
    with pytest.raises(InvalidRequest, match="ended with 0"):
        converting.readable(M4A)
    ffmpeg("open(sys.argv[-1][5:], 'w').close()")
    with pytest.raises(InvalidRequest, match="no sound in it"):
        converting.readable(M4A)


def test_an_ffmpeg_that_cannot_be_run_is_named(ffmpeg, tmp_path):
    """A program of that name that is none is told with its path."""
    ffmpeg("")
    (tmp_path / "ffmpeg").write_text("#!/nowhere/at/all\n")
    with pytest.raises(InvalidRequest, match="ffmpeg cannot be run: No such file"):
        converting.readable(M4A)


def test_an_ffmpeg_that_hangs_is_ended(ffmpeg, monkeypatch, tmp_path):
    """One that does not end in time is killed, and that is said."""
    pid = tmp_path / "pid"
    ffmpeg(f"open({str(pid)!r}, 'w').write(str(os.getpid()))\nwhile True: time.sleep(60)")
    monkeypatch.setattr(converting, "LIMIT_S", 1.0)
    with pytest.raises(InvalidRequest, match="takes more than 1 s to convert; cut out 3 to 30 s"):
        converting.readable(M4A)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_pyav_has_no_more_time(monkeypatch):
    """PyAV is stopped between two packets when the time is over."""
    monkeypatch.setattr(converting, "LIMIT_S", -1.0)
    with pytest.raises(InvalidRequest, match="to convert; cut out 3 to 30 s"):
        converting.readable(encoded("m4a", sound(1.0)))
