"""The command as it is installed, with a daemon and espeak: what a person at a shell sees."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import pytest

SENTENCES = "The first sentence is here. The second one follows it. And the third is the last."
BOOK = "It was a long book, with many sentences that say much the same. " * 2000


@contextlib.contextmanager
def own_place():
    """Directories of our own, short enough for a socket's path, and the environment that names them."""
    folder = Path(tempfile.mkdtemp(prefix="vb-"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VOICEBUS_", "XDG_"))}
    environment |= {
        "VOICEBUS_RUNTIME_DIR": str(folder / "run"),
        "VOICEBUS_STATE_DIR": str(folder / "state"),
        "VOICEBUS_CONFIG": str(folder / "voicebus.toml"),
        "VOICEBUS_SOUND": "null",
    }
    try:
        yield folder, environment
    finally:
        subprocess.run(command("daemon", "stop", "--now"), env=environment, capture_output=True, timeout=20)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def place():
    with own_place() as found:
        yield found


def command(*arguments):
    return [sys.executable, "-c", "from voicebus.clients.cli import main; main()", *arguments]


@pytest.fixture
def run(place):
    """Run the installed command to its end."""
    folder, environment = place

    def invoke(*arguments, env=environment, **more):
        return subprocess.run(command(*arguments), env=env, cwd=folder, capture_output=True, timeout=25, **more)

    return invoke


@pytest.fixture
def begin(place):
    """Start the installed command and leave it running; killed at the end, if it still is there."""
    folder, environment = place
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            command(*arguments),
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=0,  # so that a terminal's stop can stop it
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


@pytest.mark.slow
def test_asking_without_a_daemon_is_exit_3_and_say_starts_one(run, place):
    """Status and say --no-start exit with 3 where no daemon runs; say starts one, and the file is whole."""
    for arguments in (["status"], ["say", "--no-start", "-o", "a.wav", "hi"]):
        done = run(*arguments)
        assert done.returncode == 3
        assert b"voicebus daemon start" in done.stderr
    done = run("say", "-o", "a.wav", SENTENCES)
    assert (done.returncode, done.stdout) == (0, b"")
    with wave.open(str(place[0] / "a.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        assert file.getnframes() / file.getframerate() > 3
        samples = file.getnframes()
    job = json.loads(run("jobs", "--json").stdout)[-1]
    assert (job["state"], job["samples"], job["done"], job["segments"]) == ("finished", samples, 3, 3)
    segments = json.loads(run("jobs", job["job"], "--json").stdout)
    assert [(one["state"], one["provider"]) for one in segments] == [("whole", "espeak")] * 3
    found = json.loads(run("status", "--json").stdout)
    assert found["daemon"]["started_by"] == "client"
    worker = found["workers"][0]
    assert worker["provider"] == "espeak"
    assert {"pid", "state", "restarts", "last_failure", "jobs_done", "rss", "factor", "first_audio_s"} <= set(worker)


@pytest.mark.slow
def test_a_pipe_gets_a_whole_wave_file_or_bare_samples(run):
    """-o - writes a WAVE stream that can be read, --format raw only the samples."""
    run("daemon", "start")
    plain = run("say", "-q", "-o", "-", "--format", "raw", "Hello there.")
    assert (plain.returncode, plain.stderr) == (0, b"")
    assert len(plain.stdout) > 10_000
    waves = run("say", "-o", "-", "Hello there.").stdout
    with wave.open(io.BytesIO(waves)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 22050)


@pytest.mark.slow
def test_standard_input_is_spoken_line_by_line(run, begin):
    """The first line is heard before the second is written."""
    run("daemon", "start")
    saying = begin("say", "-o", "-", "--format", "raw")
    saying.stdin.write(b"This is the first line.\n")
    assert saying.stdout.read(20_000)
    saying.stdin.write(b"And this is the second line.\n")
    saying.stdin.close()
    assert saying.stdout.read(1)
    while saying.stdout.read(65536):
        pass
    assert saying.wait(20) == 0


@pytest.mark.slow
def test_ctrl_c_cancels_the_job(run, begin):
    """SIGINT in the middle is exit 130, and the job is cancelled by the time the command is gone."""
    run("daemon", "start")
    saying = begin("say", "-o", "-", "--format", "raw")
    saying.stdin.write(b"This is the first line.\n")
    assert saying.stdout.read(1)
    saying.send_signal(signal.SIGINT)
    assert saying.wait(20) == 130
    assert saying.stderr.read() == b""
    assert json.loads(run("jobs", "--json").stdout)[-1]["state"] == "cancelled"


def until(condition):
    """Ask again and again, in processes that take their time, until something is so."""
    while not condition():
        pass


@pytest.mark.slow
def test_a_player_pauses_with_the_terminal_and_falls_silent_with_it(run, begin):
    """A terminal's stop pauses the player, SIGCONT goes on, SIGINT is exit 130 and cancels the job."""
    run("daemon", "start")
    before = len(json.loads(run("jobs", "--json").stdout))
    saying = begin("say", BOOK)
    until(lambda: len(json.loads(run("jobs", "--json").stdout)) > before)
    saying.send_signal(signal.SIGTSTP)
    assert os.WIFSTOPPED(os.waitpid(saying.pid, os.WUNTRACED)[1])
    saying.send_signal(signal.SIGCONT)
    saying.send_signal(signal.SIGINT)
    assert saying.wait(20) == 130
    assert json.loads(run("jobs", "--json").stdout)[-1]["state"] == "cancelled"


@pytest.mark.slow
def test_a_listener_who_leaves_does_not_end_the_job(run, begin, place):
    """SIGINT to attach is exit 130, and the job goes on."""
    run("daemon", "start")
    name = run("say", "--detach", SENTENCES * 20).stdout.decode().strip()
    listening = begin("attach", name)
    until(lambda: run("status").returncode == 0 and list((place[0] / "run" / "players").glob("*")))
    listening.send_signal(signal.SIGINT)
    assert listening.wait(20) == 130
    job = next(row for row in json.loads(run("jobs", "--json").stdout) if row["job"] == name)
    assert job["state"] != "cancelled"


@pytest.mark.slow
@pytest.mark.parametrize("form", ["raw", "flac", "opus"])
def test_a_reader_that_goes_away_is_no_traceback(run, begin, form):
    """When the other end of the pipe closes, the job is cancelled, and the exit code is 141, without a word."""
    run("daemon", "start")
    saying = begin("say", "-o", "-", "--format", form, BOOK)
    assert saying.stdout.read(1)
    saying.stdout.close()
    assert saying.wait(20) == 141
    assert saying.stderr.read() == b""
    assert json.loads(run("jobs", "--json").stdout)[-1]["state"] == "cancelled"


@pytest.mark.slow
def test_a_detached_job_can_be_heard_later(run, place):
    """--detach prints the job's name; attach writes it to a file of the same length as the job says."""
    run("daemon", "start")
    name = run("say", "--detach", SENTENCES).stdout.decode().strip()
    done = run("attach", name, "-o", "later.flac")
    assert done.returncode == 0, done.stderr
    job = next(row for row in json.loads(run("jobs", "--json").stdout) if row["job"] == name)
    assert f"{job['samples'] / job['rate']:.1f} s".encode() in done.stderr
    assert (place[0] / "later.flac").read_bytes()[:4] == b"fLaC"


@pytest.mark.slow
def test_a_wrong_voice_is_told_with_the_near_one(run):
    """A voice that is not there is exit 2 with the near name, and a wrong provider too."""
    run("daemon", "start")
    done = run("say", "-v", "en-uss", "-o", "b.wav", "hi")
    assert done.returncode == 2
    assert b"en-us" in done.stderr.splitlines()[-1]
    assert run("say", "-p", "espaek", "-o", "b.wav", "hi").returncode == 2


@pytest.mark.slow
def test_stop_ends_all_of_mine_and_daemon_stop_the_daemon(run, place):
    """`stop` cancels what runs; `daemon stop` comes back when the process is gone."""
    run("daemon", "start")
    assert run("say", "--detach", BOOK).returncode == 0
    assert run("stop").returncode == 0
    assert not [row for row in json.loads(run("jobs", "--json").stdout) if row["state"] in {"queued", "running"}]
    pid = json.loads(run("status", "--json").stdout)["daemon"]["pid"]
    assert run("daemon", "stop").stdout == f"stopped process {pid}\n".encode()
    with (place[0] / "state" / "daemon.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert run("status").returncode == 3
