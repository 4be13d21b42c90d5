"""`voicebus transcribe` as it is installed, with a daemon and a scripted engine that hears."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess

import pytest

from voicebus.workers.scribe import expected

from .test_whole import command, own_place

DATA = bytes(range(1, 120)) * 30
OTHER = DATA[::-1]
CONFIG = '[providers.whisper]\nmodule = "voicebus.workers.scribe"\nsettings = { factor = 0.02 }\n'


@pytest.fixture(scope="module")
def place():
    """A folder with recordings, and the environment of a daemon of its own."""
    with own_place() as (folder, environment):
        (folder / "voicebus.toml").write_text(CONFIG)
        for name, data in (("a.wav", DATA), ("b.mp3", OTHER), ("silent.ogg", b"SILENCE"), ("not.wav", b"NOT AUDIO")):
            (folder / name).write_bytes(data)
        (folder / "long.wav").write_bytes(DATA * 300)
        yield folder, environment


@pytest.fixture
def run(place):
    """Run the command to its end; returns exit code, output and what was said on standard error."""
    folder, environment = place

    def invoke(*arguments, **more):
        done = subprocess.run(command(*arguments), env=environment, cwd=folder, capture_output=True, timeout=25, **more)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return invoke


def lines(data: bytes) -> list[str]:
    return expected(data).split()


def test_text_goes_to_standard_output(run):
    """Each passage is a line, from a file or from standard input."""
    code, out, _ = run("transcribe", "a.wav")
    assert (code, out.split()) == (0, lines(DATA))
    code, out, _ = run("transcribe", "-", input=OTHER)
    assert (code, out.split()) == (0, lines(OTHER))


def test_several_recordings(run):
    """Several are told apart by their names, or are a line of JSON each."""
    _, out, _ = run("transcribe", "a.wav", "b.mp3")
    assert out.split() == ["a.wav:", *lines(DATA), "b.mp3:", *lines(OTHER)]
    _, out, _ = run("transcribe", "a.wav", "b.mp3", "--format", "json")
    assert [json.loads(line)["file"] for line in out.splitlines()] == ["a.wav", "b.mp3"]


def test_files(run, place):
    """A file's format is that of its extension; into a folder goes a file for each recording."""
    folder, _ = place
    code, out, told = run("transcribe", "a.wav", "-o", "a.json", "--words", "--language", "de")
    assert (code, out) == (0, "")
    assert "a.json: 4 passages of 4.0 s in de" in told
    found = json.loads((folder / "a.json").read_text())
    assert (found["language"], len(found["segments"]), len(found["segments"][0]["words"])) == ("de", 4, 1)
    run("transcribe", "a.wav", "b.mp3", "-o", "out/", "--format", "srt")
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a.srt", "b.srt"]
    assert (folder / "out" / "a.srt").read_text().startswith("1\n00:00:00,000 --> 00:00:01,000\n" + lines(DATA)[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Give the recordings, or --job"),
        (["a.wav", "--job", "x"], "Give the recordings, or --job"),
        (["a.wav", "-o", "a.docx"], "names no format of a transcript"),
        (["a.wav", "-o", "a"], "has no extension"),
        (["a.wav", "b.mp3", "-o", "a.txt"], "into a folder"),
        (["a.wav", "--detach", "-o", "a.txt"], "--detach leaves at once"),
        (["a.wav", "./a.wav", "-o", "both/"], "a.wav and ./a.wav would both be written to both/a.txt"),
        (["none.wav"], "does not exist"),
        (["a.wav", "--model", "huge"], "no model 'huge'; it has plain, other"),
        (["a.wav", "-p", "espeak"], "does not transcribe"),
        (["--job", "nobody"], "There is no job"),
    ],
)
def test_what_cannot_be_is_said(run, arguments, words):
    """A mistake ends with 2, and words about it."""
    code, out, told = run("transcribe", *arguments)
    assert (code, out) == (2, "")
    assert words in told


def test_a_file_that_cannot_be_written_is_told_first(run):
    """Where there is no such folder nothing is heard for nothing, and the folder is named."""
    code, out, told = run("transcribe", "a.wav", "-o", "nowhere/a.txt")
    assert (code, out) == (7, "")
    assert "nowhere/a.txt: there is no directory" in told


def test_a_pipe_is_written_as_it_is(run, place):
    """A file's transcript goes to its place at the end; a pipe or a device of that name stays one."""
    folder, _ = place
    pipe = folder / "pipe.txt"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    code, _, told = run("transcribe", "a.wav", "-o", "pipe.txt")
    assert code == 0, told
    assert os.read(reader, 10_000).decode().split() == lines(DATA)
    os.close(reader)
    assert pipe.is_fifo()


def _narrow():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))


def test_a_recording_that_cannot_be_kept_is_exit_7():
    """Where the daemon cannot write the recording down the command says so, and what works all the same."""
    with own_place() as (folder, environment):
        (folder / "voicebus.toml").write_text(CONFIG)
        (folder / "large.wav").write_bytes(DATA * 1000)
        about = {"env": environment, "cwd": folder, "capture_output": True, "timeout": 25}
        subprocess.run(command("daemon", "start"), preexec_fn=_narrow, check=True, **about)
        done = subprocess.run(command("transcribe", "large.wav"), **about)
        assert (done.returncode, done.stdout) == (7, b"")
        assert b"A piece of the recording could not be written down" in done.stderr
        assert b"keep=nothing works without" in done.stderr


def test_silence_and_garbage(run):
    """Where nobody speaks is told, and no error; what is no recording is one."""
    code, out, told = run("transcribe", "silent.ogg")
    assert (code, out) == (0, "")
    assert "no speech was found in silent.ogg" in told
    code, _, told = run("transcribe", "not.wav")
    assert (code, "no recording" in told) == (1, True)


def test_it_can_be_read_later(run):
    """With --detach the name is printed and the command leaves; the transcript is read by it, shown in the history,
    and has no sound."""
    code, job, _ = run("transcribe", "--detach", "a.wav", "--prompt", "names")
    job = job.strip()
    assert code == 0
    assert run("transcribe", "--job", job)[1].split() == lines(DATA)
    assert lines(DATA)[2] in run("history", "search", lines(DATA)[2].rpartition("-")[2])[1]
    shown = run("history", "show", job)[1]
    assert "recording: 4.0 s" in shown
    assert "asked for: prompt 'names'" in shown
    assert lines(DATA)[3] in shown
    assert json.loads(run("history", "show", job, "--json")[1])["transcript"]["duration"] == 4.0
    code, _, told = run("history", "save", job, "-o", "x.wav")
    assert "has no sound" in told, told
    assert code == 2
    code, _, told = run("history", "again", job, "-o", "x.wav")
    assert (code, "is the transcript of a recording" in told) == (2, True)
    assert "NOTHING" in run("transcribe", "--detach", "--keep", "nothing", "a.wav")[2].upper()


def test_an_archive_has_the_transcript(run, place):
    """An export holds what was heard, with its times; it does not come back yet, and says so."""
    import zipfile

    folder, _ = place
    run("transcribe", "b.mp3", "--keep", "history")
    assert run("history", "export", "all.zip")[0] == 0
    with zipfile.ZipFile(folder / "all.zip") as archive:
        records = [json.loads(archive.read(name)) for name in archive.namelist() if name.endswith("record.json")]
    assert any(len(record.get("transcript", {}).get("segments", ())) == 4 for record in records)
    code, out, told = run("history", "import", "all.zip")
    assert code
    assert "cannot be imported" in out + told


def test_ctrl_c_cancels(run, place):
    """Ctrl-C ends the command and the job."""
    folder, environment = place
    process = subprocess.Popen(
        command("transcribe", "long.wav"),
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline().startswith(b"plain-0")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    rows = json.loads(run("jobs", "--json")[1])
    assert not [row for row in rows if row["state"] in ("queued", "running", "waiting")]
