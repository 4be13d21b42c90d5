"""`voices` at a shell, with a daemon, the tone engine that clones, and one that pretends to hear."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import threading
import zipfile
from types import SimpleNamespace

import pytest

from voicebus.bus.errors import InvalidRequest
from voicebus.clients.cli import voices_making
from voicebus.clients.voices import Added, Recording
from voicebus.workers import tone

from ...faults.recordings import wav

CONFIG = """
[providers.espeak]
[providers.tone]
module = "voicebus.workers.tone"
settings = { designs = true }
"""


def command(*arguments):
    return [sys.executable, "-c", "from voicebus.clients.cli import main; main()", *arguments]


@pytest.fixture
def run(own_service, short_dir):
    """Run the installed command to its end, in a folder with a recording."""
    (short_dir / "voicebus.toml").write_text(CONFIG)
    (short_dir / "anna.wav").write_bytes(wav())

    def invoke(*arguments):
        return subprocess.run(
            command("voices", *arguments), env=own_service, cwd=short_dir, capture_output=True, timeout=25,
            text=True, check=False,
        )  # fmt: skip

    return invoke


def until_ready(environment):
    """Have a daemon whose tone engine has told what it can."""
    subprocess.run(command("daemon", "start"), env=environment, check=True, capture_output=True)
    while True:
        told = subprocess.run(command("providers", "--json"), env=environment, check=True, capture_output=True)
        if any(row["provider"] == "tone" and row["ready"] for row in json.loads(told.stdout)):
            return


def test_a_voice_is_made_and_heard(run, short_dir, own_service):
    """Added, listed, shown and heard."""
    until_ready(own_service)
    done = run(
        "add",
        "anna",
        "--sample",
        "anna.wav",
        "--text=Good morning.",
        "--consent",
        "It is mine.",
        "--lang",
        "en",
        "-p",
        "tone",
    )
    assert (done.returncode, done.stdout) == (0, "anna is there, spoken by tone.\n")
    assert "could not be checked" in done.stderr
    (row,) = json.loads(run("--mine", "--json").stdout)
    assert (row["voice"], row["kind"], row["samples"][0]["text"]) == ("anna", "cloned", "Good morning.")
    assert "anna   cloned  en" in run("list", "--mine").stdout
    shown = run("show", "anna").stdout
    assert "consent: 'It is mine.'" in shown
    assert "4.0 s, 24000 Hz, WAV" in shown
    assert run("play", "anna", "-o", "anna.raw", "--text", "Hello.").returncode == 0
    assert run("play", "anna", "--recording", "1", "-o", "copy.wav").returncode == 0
    assert (short_dir / "copy.wav").read_bytes() == wav()
    say = subprocess.run(command("say", "-v", "anna", "-o", "x.raw", "--seed", "3", "Hello."), env=own_service,
                         cwd=short_dir, check=True, capture_output=True)  # fmt: skip
    assert b"tone (anna)" in say.stderr
    voice = tone.cloned((wav(), "Good morning."))
    assert (short_dir / "x.raw").read_bytes() == tone.expected("Hello.", voice=voice, seed=3)


def test_a_voice_is_changed_and_given_away(run, short_dir, own_service):
    """Renamed, changed, given away, taken back and removed."""
    until_ready(own_service)
    added = run("add", "anna", "--sample", "anna.wav", "--consent", "It is mine.", "-p", "tone", "--no-check")
    assert added.returncode == 0, added.stderr
    assert run("rename", "anna", "berta").stdout == "anna is berta now.\n"
    assert run("change", "berta", "--said", "1", "Good evening.", "--description", "calm").returncode == 0
    assert "says: Good evening." in run("show", "berta").stdout
    assert "berta has 1 recording, and no recording 7" in run("change", "berta", "--drop", "7").stderr
    assert run("export", "berta", "b.voice").returncode == 0
    assert run("import", "b.voice", "--name", "carla").returncode == 0
    sent = subprocess.run(command("voices", "export", "berta", "-"), env=own_service, cwd=short_dir, check=True,
                          capture_output=True)  # fmt: skip
    assert zipfile.ZipFile(io.BytesIO(sent.stdout)).testzip() is None
    taken = subprocess.run(command("voices", "import", "-", "--name", "dora"), env=own_service, cwd=short_dir,
                           input=sent.stdout, check=True, capture_output=True)  # fmt: skip
    assert b"dora is there" in taken.stdout
    assert not (short_dir / "-").exists()
    assert run("remove", "berta", "carla", "dora").returncode == 0
    assert run("--mine").stdout == ""
    assert not (short_dir / "state" / "voices").exists()


def test_a_designed_voice(run, own_service):
    """A voice from words is there, and spoken by whoever can make one."""
    until_ready(own_service)
    assert run("design", "grandpa", "An old man.", "-p", "tone").stdout == "grandpa is there, spoken by tone.\n"
    assert "grandpa: designed, An old man." in run("show", "grandpa").stdout
    run("remove", "grandpa")


TOLD = {
    "known": ((["tone"], [], ""), "anna is there, spoken by tone.\n", ""),
    "one not yet": ((["tone"], ["mlx"], ""), "anna is there, spoken by tone; of mlx it is not known yet.\n", ""),
    "not yet": (
        ([], ["mlx"], "Whether mlx can is known later."),
        "anna is there. Whether mlx can is known later.\n",
        "",
    ),
    "nobody": (([], [], "Nobody can."), "anna is kept, but nobody can speak it yet.\n", "Nobody can.\n"),
}


@pytest.mark.parametrize("case", TOLD)
def test_who_speaks_it_is_told(capsys, case):
    """Who is still starting is not told to be unable, nor to be able."""
    (speakers, unknown, problem), out, err = TOLD[case]
    row = {"voice": "anna", "samples": [], "speakers": speakers, "unknown": unknown, "problem": problem}
    voices_making.tell(SimpleNamespace(voice=lambda name: row), Added("anna"), [])
    assert capsys.readouterr() == (out, err)


def test_no_consent_no_voice(run):
    """In a script a voice without a word of consent is refused, and nothing is sent."""
    done = run("add", "anna", "--sample", "anna.wav")
    assert done.returncode == 2
    assert "only with the word of whoever is heard" in done.stderr
    assert "--consent" in done.stderr


@pytest.mark.parametrize(("answer", "code"), [(b"It is my own.\n", 0), (b"\n", 2)])
def test_consent_is_asked_for_on_a_terminal(run, own_service, short_dir, answer, code):
    """A person is asked, and may answer in any words; no words are no."""
    ours, theirs = pty.openpty()
    line = command("voices", "add", "anna", "--sample", "anna.wav")
    with subprocess.Popen(line, env=own_service, cwd=short_dir, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        while b"Nothing cancels" not in said:
            said += os.read(ours, 4096)
        os.write(ours, answer)
        try:
            while data := os.read(ours, 4096):
                said += data
        except OSError:  # the other end is closed
            pass
        assert process.wait(20) == code, said
    os.close(ours)
    if not code:
        assert "It is my own." in run("show", "anna").stdout
        run("remove", "anna")


WRONG = {
    "text first": ("add", "x", "--text", "words", "--sample", "anna.wav", "--consent", "mine"),
    "no sample": ("add", "x", "--consent", "mine"),
    "no file": ("add", "x", "--sample", "nothing.wav", "--consent", "mine"),
    "no voice": ("show", "nobody"),
    "no recording": ("change", "nobody", "--drop", "7"),
    "both": ("play", "nobody", "--device", "x", "-o", "y.wav"),
    "no such file": ("import", "nothing.voice"),
    "no voice in it": ("import", "anna.wav"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_said(run, kind):
    """Each mistake ends with 2 and a sentence; nothing is changed."""
    done = run(*WRONG[kind])
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "voicebus jobs" not in done.stderr


class Listener:
    """A client that hears what it is told to, or cannot."""

    def __init__(self, heard="", error=None):
        self.text, self.error = heard, error

    def transcribe(self, data, **options):
        if self.error is not None:
            raise self.error
        return self

    def wait(self):
        return self


@pytest.mark.parametrize(
    ("given", "heard", "kept", "told"),
    [
        ("", "Good morning.", "Good morning.", "Recording 1 says: Good morning."),
        ("Good morning.", "good morning", "Good morning.", ""),
        ("Good morning.", "Quite another thing.", "Good morning.", "does not seem to say its --text"),
        ("", "", "", ""),
    ],
)
def test_what_is_said_is_found_out_or_checked(capsys, given, heard, kept, told):
    """Where nobody says what is said, what is heard is it; where somebody does, what does not fit is told."""
    (found,) = voices_making.heard_in(Listener(heard), [Recording(b"x", given)], ["en"])
    assert (found.text, found.heard) == (kept, heard)
    assert told in capsys.readouterr().err


def test_where_nobody_listens_recordings_stay_as_they_are(capsys):
    """Without a provider that transcribes a voice is added all the same, and that is told once."""
    given = [Recording(b"x", ""), Recording(b"y", "Words.")]
    refusal = InvalidRequest("No provider here transcribes.")
    assert voices_making.heard_in(Listener(error=refusal), given, []) == given
    assert capsys.readouterr().err.count("could not be found out") == 1


def test_a_sample_may_be_given_in_any_form_and_from_a_pipe(tmp_path):
    """`-sFILE` is as good as `--sample FILE`, with the text behind it; what can be read once only is read once."""
    pairs = voices_making._paired(["anna", "-sa.wav", "--text", "One.", "--sample=b.wav", "-s", "c.wav"])
    assert pairs == [("a.wav", "One."), ("b.wav", ""), ("c.wav", "")]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[wav()])
    writer.start()
    (given,) = voices_making.recordings([(str(pipe), "One.")])
    writer.join()
    assert (given.read(), given.read()) == (wav(), wav())
