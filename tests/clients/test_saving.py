"""Audio into files: what is written decodes to what was heard, and nothing half-done is left."""

import errno
import io
import math
import os
import resource
import struct
import threading

import miniaudio
import numpy as np
import pytest
import soundfile

from voicebus.bus.errors import Disconnected, InvalidRequest, JobCancelled, JobFailed
from voicebus.clients import encoders, saving
from voicebus.clients.events import Frame, Result, Rewound


def tone(samples, rate=24000, hertz=440):
    return struct.pack(f"<{samples}h", *(int(8000 * math.sin(2 * math.pi * hertz * n / rate)) for n in range(samples)))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class Said:
    """A speech that only has what a test gives it."""

    def __init__(self, events, rate=24000, error=None, whole=False):
        self.whole = whole
        self.events = events
        self.rate = rate
        self.error = error
        self.result = None

    def _act(self, function):
        pass

    def __iter__(self):
        yield from self.events
        if self.error is not None:
            raise self.error
        self.result = self.result or Result("j", "finished", rate=self.rate)

    def _finished(self):
        return self.result


def frames(*lengths, rate=24000):
    """Frames of segments of these lengths, each in two pieces."""
    events, offset = [], 0
    for number, length in enumerate(lengths):
        pcm = memoryview(tone(length, rate))
        for part in (pcm[: length // 2 * 2], pcm[length // 2 * 2 :]):
            if part:
                events.append(Frame(part, offset, rate, number, f"t{number}"))
                offset += len(part) // 2
    return events


def sound(events):
    return b"".join(bytes(event.pcm) for event in events if isinstance(event, Frame))


@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "opus"])
def test_a_file_has_every_sample(form, tmp_path) -> None:
    """A file decodes to exactly as many samples as were heard; what is lossless, to the same ones."""
    events = frames(24001, 1700)
    saving.save(Said(events), tmp_path / f"x.{form}")
    data, rate = soundfile.read(tmp_path / f"x.{form}", dtype="int16")
    assert (len(data), rate) == (25701, 24000)
    if form in ("wav", "flac"):
        assert data.tobytes() == sound(events)
    assert names(tmp_path) == [f"x.{form}"]


def test_mp3_has_every_sample_and_its_padding(tmp_path) -> None:
    """An mp3 decodes to what was heard, give or take the padding that its frames of 576 samples bring."""
    saving.save(Said(frames(24001, 1700)), tmp_path / "x.mp3")
    data, _ = soundfile.read(tmp_path / "x.mp3")
    assert 0 <= len(data) - 25701 <= 4 * 1152


def test_raw_is_the_samples(tmp_path) -> None:
    """Raw is the bare samples."""
    events = frames(100)
    saving.save(Said(events), tmp_path / "x.pcm")
    assert (tmp_path / "x.pcm").read_bytes() == sound(events)


def test_the_wav_header(tmp_path) -> None:
    """A WAV file's header has 44 bytes and true sizes; that of a stream says that they are not known."""
    events = frames(100)
    saving.save(Said(events), tmp_path / "x.wav")
    written = (tmp_path / "x.wav").read_bytes()
    assert len(written) == 44 + 200
    assert struct.unpack("<I", written[4:8])[0] == len(written) - 8
    assert struct.unpack("<I", written[40:44])[0] == 200
    stream = io.BytesIO()
    saving.save(Said(events), stream)
    assert stream.getvalue()[40:44] == b"\xff" * 4
    assert stream.getvalue()[44:] == sound(events)
    assert encoders.wav_header(8000, 2**33)[40:44] == b"\xff" * 4


@pytest.mark.parametrize("form", ["wav", "raw"])
def test_a_rewind_cuts_a_file(form, tmp_path) -> None:
    """What a rewind voids is cut off a file that can be cut, and what comes again stands in its place."""
    events = frames(200, 300)
    again = [Frame(memoryview(tone(50, hertz=100)), 200, 24000, 1, "t9")]
    saving.save(Said([*events, Rewound(200, 1, "crash"), *again]), tmp_path / f"x.{form}")
    skip = 44 if form == "wav" else 0
    assert (tmp_path / f"x.{form}").read_bytes()[skip:] == tone(200) + tone(50, hertz=100)


@pytest.mark.parametrize("form", ["flac", "ogg", "opus", "mp3", "stream"])
def test_what_cannot_be_cut_gets_whole_takes_only(form, tmp_path) -> None:
    """Into an encoder or a stream goes nothing of a take that is rewound later."""
    events = frames(2000, 3000)
    again = [Frame(memoryview(tone(500, hertz=100)), 2000, 24000, 1, "t9")]
    said = Said([*events, Rewound(2000, 1, "crash"), *again])
    target = io.BytesIO() if form == "stream" else tmp_path / f"x.{form}"
    saving.save(said, target)
    if form == "stream":
        assert target.getvalue()[44:] == tone(2000) + tone(500, hertz=100)
    elif form != "mp3":
        assert soundfile.info(target).frames == 2500


@pytest.mark.parametrize("form", ["flac", "ogg", "opus", "mp3"])
def test_compressed_into_a_stream_that_cannot_seek(form) -> None:
    """Encoded audio is passed on as it comes, into what can only be written to, and can be decoded."""
    got = bytearray()

    class Stream(io.RawIOBase):
        def writable(self):
            return True

        def write(self, data):
            got.extend(data)
            return len(data)

    saving.save(Said(frames(24000, 12000)), Stream(), form)
    if form in ("ogg", "opus"):
        assert soundfile.info(io.BytesIO(bytes(got))).frames == 36000
    else:
        decoded = miniaudio.decode(bytes(got), nchannels=1, sample_rate=24000)
        assert 0 <= decoded.num_frames - 36000 <= 4 * 1152


def test_a_pipe_by_name(tmp_path) -> None:
    """A named pipe is written at once and not replaced by a file."""
    path = tmp_path / "pipe.raw"
    os.mkfifo(path)
    got = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    events = frames(100)
    saving.save(Said(events), path)
    reader.join(5.0)
    assert got == [sound(events)]
    assert path.is_fifo()


class Full(io.BytesIO):
    """A stream that takes so many bytes and no more."""

    def __init__(self, room):
        super().__init__()
        self.room = room

    def write(self, data):
        if self.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("room", [0, 1000])
@pytest.mark.parametrize("form", saving.FORMATS)
def test_a_stream_that_takes_no_more_is_no_success(form, room, capfd) -> None:
    """When what is written into ends (a full disk, a pipe that nobody reads), that error is raised, in every format and
    wherever the encoder notices, without a word on standard error; nothing is written behind it."""
    stream = Full(room)
    with pytest.raises(OSError, match="No space left"):
        saving.save(Said(frames(*[24000] * 4)), stream, form)
    assert stream.tell() <= room
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("form", saving.FORMATS)
def test_a_file_that_cannot_grow_is_named_and_leaves_no_draft(form, tmp_path) -> None:
    """When there is no more room for a file, the error names it, and what was there before is untouched."""
    path = tmp_path / f"x.{form}"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        with pytest.raises(OSError, match="File too large") as raised:
            saving.save(Said(frames(*[24000] * 8)), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.filename == str(path)
    assert names(tmp_path) == [path.name]
    assert path.read_bytes() == b"old"


def test_nothing_half_done_is_left(tmp_path) -> None:
    """When the job fails, an older file of that name is untouched and no draft stays."""
    path = tmp_path / "x.wav"
    path.write_bytes(b"old")
    with pytest.raises(JobFailed):
        saving.save(Said(frames(100), error=JobFailed("no")), path)
    assert names(tmp_path) == ["x.wav"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("form", ["wav", "flac"])
def test_what_there_is_can_be_kept(form, tmp_path) -> None:
    """With `partial` the file of a failed job has what is whole, and is a sound one."""
    with pytest.raises(JobFailed):
        saving.save(Said(frames(100, 200), error=JobFailed("no")), tmp_path / f"x.{form}", partial=True)
    assert soundfile.info(tmp_path / f"x.{form}").frames == 300


def test_a_cancelled_job_leaves_no_file(tmp_path) -> None:
    """A job that ended without success leaves nothing, also without an exception."""
    said = Said(frames(100))
    said.result = Result("j", "cancelled")
    saving.save(said, tmp_path / "x.wav")
    assert names(tmp_path) == []


def test_no_audio_at_all(tmp_path) -> None:
    """A job without audio makes a file without samples."""
    saving.save(Said([]), tmp_path / "x.wav")
    assert soundfile.info(tmp_path / "x.wav").frames == 0


def test_events_are_passed_on(tmp_path) -> None:
    """Whoever watches gets every event, in order."""
    seen = []
    events = frames(100)
    saving.save(Said(events), tmp_path / "x.wav", on_event=seen.append)
    assert seen == events


def test_a_link_stays_a_link(tmp_path) -> None:
    """Writing through a symbolic link replaces what it points to."""
    (tmp_path / "link.wav").symlink_to(tmp_path / "real.wav")
    saving.save(Said(frames(100)), tmp_path / "link.wav")
    assert (tmp_path / "link.wav").is_symlink()
    assert soundfile.info(tmp_path / "real.wav").frames == 100


@pytest.mark.parametrize(
    ("target", "wanted", "form"),
    [
        ("a.WAV", None, "wav"),
        ("a.oga", None, "ogg"),
        ("a.x", "opus", "opus"),
        (io.BytesIO(), None, "wav"),
        ("a", "PCM", "raw"),
    ],
)
def test_formats(target, wanted, form) -> None:
    """The format is the wanted one, else the extension's; a stream gets WAV."""
    assert saving.format_of(target, wanted) == form


@pytest.mark.parametrize(("target", "wanted"), [("a.aac", None), ("a", None), ("a.wav", "aac")])
def test_formats_that_are_none(target, wanted) -> None:
    """An unknown format is refused with the list of those there are."""
    with pytest.raises(InvalidRequest, match="wav, raw, flac, ogg, opus, mp3"):
        saving.format_of(target, wanted)


@pytest.mark.parametrize(("form", "rate", "suitable"), [("opus", 22050, 24000), ("mp3", 96000, 48000)])
def test_rates_that_a_format_cannot_have(tmp_path, form, rate, suitable) -> None:
    """Opus at 22 050 Hz is made at the next higher rate that there is, mp3 at 96 000 Hz at the highest; the sound is
    the same and as long."""
    events = frames(rate // 2, rate // 2, rate=rate)
    saving.save(Said(events, rate=rate), tmp_path / f"x.{form}")
    data, found = soundfile.read(tmp_path / f"x.{form}")
    expected = np.frombuffer(sound(events), "<i2") / 32768
    assert found in (suitable, 48000) and abs(len(data) / found - 1.0) < 0.06
    middle = data[len(data) // 4 : 3 * len(data) // 4]
    assert abs(np.sqrt(np.mean(middle**2)) / np.sqrt(np.mean(expected**2)) - 1) < 0.15
    assert np.argmax(np.abs(np.fft.rfft(middle))) / len(middle) * found == pytest.approx(
        np.argmax(np.abs(np.fft.rfft(expected))) / len(expected) * rate, rel=0.02
    )


def test_rates_that_formats_can_have() -> None:
    """What is asked for where a format is wanted, and what a format makes of another rate."""
    assert [saving.rate_for(form) for form in ("wav", "opus", "mp3")] == [0, 24000, 24000]
    assert [saving.nearest_rate(form, 44100) for form in ("wav", "opus", "mp3")] == [44100, 48000, 44100]


@pytest.mark.parametrize("form", ["wav", "raw", "flac"])
def test_what_is_never_taken_back_is_written_at_once(form) -> None:
    """Of a speech that brings only whole takes each frame goes out as it comes, also into a pipe."""
    out = io.BytesIO()
    events = frames(24000, 24000)
    with saving.Saving(Said(events, whole=True), out, form) as writer:
        sizes = []
        for event in events:
            writer.event(event)
            sizes.append(out.tell())
    assert sizes[0] > 0
    assert sizes[1] > sizes[0]


def test_whole_audio_that_is_lost_after_all_is_an_error(tmp_path) -> None:
    """What was encoded cannot be taken back: a rewind of it ends the writing, and leaves no file."""
    events = [*frames(100, 200), Rewound(100, 1, "lost")]
    with pytest.raises(Disconnected, match="written already"):
        saving.save(Said(events, whole=True), tmp_path / "x.flac")
    assert names(tmp_path) == []


def test_without_audio_nothing_is_kept(tmp_path) -> None:
    """With `partial` a job that failed before it made anything leaves an older file of that name alone."""
    path = tmp_path / "x.wav"
    path.write_bytes(b"old")
    with pytest.raises(JobFailed):
        saving.save(Said([], error=JobFailed("no")), path, partial=True)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["x.wav"]


@pytest.mark.parametrize("form", ["wav", "raw", "flac"])
def test_what_was_taken_back_overwrites_nothing(form, tmp_path) -> None:
    """With `partial` a job that failed after all of it was taken back leaves an older file of that name alone."""
    path = tmp_path / f"x.{form}"
    path.write_bytes(b"old")
    with pytest.raises(JobFailed):
        saving.save(Said([*frames(100), Rewound(0, 0, "crash")], error=JobFailed("no")), path, partial=True)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("form", ["wav", "flac"])
def test_a_daemon_that_went_away_leaves_what_there_is(form, tmp_path) -> None:
    """With `partial` the file of a job whose daemon is gone has what was said so far."""
    with pytest.raises(Disconnected):
        saving.save(Said(frames(100, 200), error=Disconnected("gone")), tmp_path / f"x.{form}", partial=True)
    assert soundfile.info(tmp_path / f"x.{form}").frames == 300


def test_a_job_cancelled_from_elsewhere_leaves_no_file(tmp_path) -> None:
    """Who cancels wants nothing of it: also with `partial` an older file of that name stays as it was."""
    path = tmp_path / "x.wav"
    path.write_bytes(b"old")
    with pytest.raises(JobCancelled):
        saving.save(Said(frames(100), error=JobCancelled("no")), path, partial=True)
    assert path.read_bytes() == b"old"


def test_an_error_of_the_system_names_the_target(tmp_path) -> None:
    """A file that cannot be written is told under its own name, not that of the draft beside it."""
    with pytest.raises(OSError, match="No such file") as caught:
        saving.save(Said(frames(100)), tmp_path / "none" / "x.wav")
    assert caught.value.filename == str(tmp_path / "none" / "x.wav")
    full = tmp_path / "x.wav"
    with pytest.raises(OSError, match="No space") as caught:
        saving.save(Said(frames(100), error=OSError(28, "No space left on device")), full)
    assert caught.value.filename == str(full)
