"""`voices` at a shell, with a daemon, the tone engine that clones, and one that pretends to hear."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import wave
import zipfile
from types import SimpleNamespace

import pytest

from voicebus.bus.errors import InvalidRequest
from voicebus.clients.cli import voices_making
from voicebus.clients.designing import TEXTS
from voicebus.clients.voices import Added, Recording
from voicebus.workers import tone

from ...faults.foreign import encoded, sound
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


def reference(text, seed, words="An old man."):
    """The file that tone's reference is, with its half second of silence."""
    pcm = tone.expected(text, voice=f"described: {words}", seed=seed)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(24000)
        out.writeframes(pcm + bytes(24000))
    return file.getvalue()


def test_a_designed_voice_is_cloned_from_one_reference(run, short_dir, own_service):
    """One sentence is made of the words and kept with who made it, of what and with which seed; whatever is said after
    that is cloned from it, in every sentence. No consent is asked for."""
    text = "A sentence that is long enough to know a voice by."
    done = run("design", "grandpa", "--describe", "An old man.", "--text", text, "--seed", "7")
    assert (done.returncode, done.stdout) == (0, "grandpa is there, spoken by tone.\n"), done.stderr
    assert "made by tone (1) with the seed 7" in done.stderr
    (row,) = json.loads(run("--mine", "--json").stdout)
    assert (row["kind"], row["description"], row["consent"]["statement"]) == ("designed", "An old man.", "")
    (sample,) = row["samples"]
    assert (sample["text"], sample["origin"]) == (
        text,
        {"provider": "tone", "version": "1", "seed": 7, "description": "An old man."},
    )
    shown = run("show", "grandpa").stdout
    assert "grandpa: designed, An old man." in shown
    assert "made from the description by tone (1) with the seed 7: nobody's voice" in shown
    run("play", "grandpa", "--recording", "1", "-o", "copy.wav")
    assert (short_dir / "copy.wav").read_bytes() == reference(text, 7)
    subprocess.run(command("say", "-v", "grandpa", "-o", "x.raw", "--seed", "3", "Hello. Goodbye."), env=own_service,
                   cwd=short_dir, check=True, capture_output=True)  # fmt: skip
    voice = tone.cloned((reference(text, 7), text))
    said = [tone.expected(words, voice=voice, seed=3 + n) for n, words in enumerate(("Hello.", "Goodbye."))]
    assert (short_dir / "x.raw").read_bytes() == b"".join(said)
    assert run("export", "grandpa", "g.voice").returncode == 0
    assert run("import", "g.voice", "--name", "opa").stdout == "opa is there, spoken by tone.\n"
    assert json.loads(run("--mine", "--json").stdout)[1]["samples"][0]["origin"] == sample["origin"]
    run("remove", "grandpa", "opa")


def test_a_reference_can_be_heard_before_it_is_kept(run, short_dir):
    """With -o it goes into a file and nothing is kept; the seed that is told makes the same again, another one another
    voice. Without --text it says a sentence of ours in the voice's language."""
    done = run("design", "gran", "An old woman.", "--lang", "de", "-o", "one.wav")
    assert (done.returncode, "Nothing is kept" in done.stderr) == (0, True), done.stderr
    assert run("--mine").stdout == ""
    seed = re.search(r"--seed (\d+)", done.stderr)[1]
    run("design", "gran", "An old woman.", "--lang", "de", "-o", "same.wav", "--seed", seed)
    run("design", "gran", "An old woman.", "--lang", "de", "-o", "other.wav", "--seed", str(int(seed) ^ 1))
    one, same, other = ((short_dir / f"{name}.wav").read_bytes() for name in ("one", "same", "other"))
    assert one == same != other
    assert one == reference(TEXTS["de"], int(seed), "An old woman.")


@pytest.mark.parametrize(("answers", "kept"), [("ny", True), ("q", False)])
def test_a_reference_is_kept_when_it_was_liked(run, own_service, short_dir, answers, kept):
    """On a terminal it is played, and kept, made with another seed, or thrown away, as the answers say; what was thrown
    away can be had again by its seed."""
    ours, theirs = pty.openpty()
    text = "A bit more than a second."
    line = command("voices", "design", "gran", "An old woman.", "--text", text, "--seed", "5", "--listen")
    environ = own_service | {"VOICEBUS_SOUND": "null"}
    with subprocess.Popen(line, env=environ, cwd=short_dir, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        said, asked = b"", 0
        for number, answer in enumerate(answers):
            while said.count(b"Keep it?") <= number:
                said += os.read(ours, 4096)
            asked = number
            os.write(ours, f"{answer}\n".encode())
        with contextlib.suppress(OSError):  # the other end is closed
            while data := os.read(ours, 4096):
                said += data
        assert process.wait(20) == (0 if kept else 1), said
    os.close(ours)
    (short_dir / "run" / "players").rmdir()  # nobody plays any more
    seeds = [int(seed) for seed in re.findall(rb"Seed (\d+)\. Keep it", said)]
    assert (seeds[0], len(seeds), len(set(seeds))) == (5, asked + 1, asked + 1)
    rows = json.loads(run("--mine", "--json").stdout)
    assert [row["samples"][0]["origin"]["seed"] for row in rows] == ([seeds[-1]] if kept else [])
    assert kept or b"had again: --seed 5" in said


def test_a_designed_voice_can_be_made_anew(run):
    """--again takes another seed, and other words where some are given; changing the words alone is refused."""
    run("design", "grandpa", "An old man.", "--seed", "1", "--lang", "en")
    refused = run("change", "grandpa", "--description", "A young man.")
    assert (refused.returncode, "voices design NAME --again" in refused.stderr) == (2, True)
    assert run("design", "grandpa", "--again", "--seed", "2").returncode == 0
    assert run("design", "grandpa", "--again", "--seed", "3", "--describe", "A young man.").returncode == 0
    (row,) = json.loads(run("--mine", "--json").stdout)
    (sample,) = row["samples"]
    assert (row["description"], sample["origin"]["seed"], sample["text"]) == ("A young man.", 3, TEXTS["en"])
    run("remove", "grandpa")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--describe TEXT"),
        (["A man.", "--describe", "A man."], "the description once"),
        (["A man.", "--by", "espeak"], "espeak cannot make a voice from words"),
        (["A man.", "--by", "nobody"], "no provider 'nobody'"),
        (["A man.", "--text", "One sentence. And another."], "in 2 parts"),
    ],
)
def test_what_cannot_be_designed_is_refused(run, arguments, words):
    """Without words, by whoever cannot, or of more than one sentence, nothing is made, and why is said."""
    done = run("design", "grandpa", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert run("--mine").stdout == ""


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


def test_a_voice_memo_is_taken(run, short_dir, own_service):
    """A phone's m4a makes a voice like any other recording, and what is told of it is told under its name."""
    (short_dir / "memo.m4a").write_bytes(encoded("m4a", sound(2.0)))
    (short_dir / "torn.m4a").write_bytes(encoded("m4a", sound(2.0))[:9000])
    until_ready(own_service)
    done = run("add", "anna", "--sample", "memo.m4a", "--consent", "It is mine.", "-p", "tone")
    assert (done.returncode, done.stdout) == (0, "anna is there, spoken by tone.\n")
    assert re.search(r"^memo\.m4a: It has 2\.\d s", done.stderr, re.MULTILINE)
    assert re.search(r"2\.\d s, 48000 Hz, FLAC", run("show", "anna").stdout)
    done = run("add", "berta", "--sample", "torn.m4a", "--consent", "It is mine.")
    assert "torn.m4a: It begins as an M4A or MP4 file does" in done.stderr
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


@contextlib.contextmanager
def at_the_question(env, folder):
    """`voices add` on a terminal that has just asked for consent: the process, our side of the terminal, and what was
    said there."""
    ours, theirs = pty.openpty()
    line = command("voices", "add", "anna", "--sample", "anna.wav")
    with subprocess.Popen(line, env=env, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        while b"Nothing cancels: " not in said:
            said += os.read(ours, 4096)
        yield process, ours, said
    os.close(ours)


@pytest.mark.parametrize(("answer", "code"), [(b"It is my own.\n", 0), (b"\n", 2)])
def test_consent_is_asked_for_on_a_terminal(run, own_service, short_dir, answer, code):
    """A person is asked, and may answer in any words; no words are no."""
    with at_the_question(own_service, short_dir) as (process, ours, begin):
        said = begin
        os.write(ours, answer)
        try:
            while data := os.read(ours, 4096):
                said += data
        except OSError:  # the other end is closed
            pass
        assert process.wait(20) == code, said
    if not code:
        assert "It is my own." in run("show", "anna").stdout
        run("remove", "anna")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15), (signal.SIGHUP, -1)])
def test_who_leaves_at_a_question_leaves_with_his_signal(run, own_service, short_dir, number, code):
    """Ctrl-C at a question is 130, as anywhere else, and nothing is added; TERM and HUP end it as they end any
    program."""
    with at_the_question(own_service, short_dir) as (process, _, _):
        process.send_signal(number)
        assert process.wait(20) == code
    assert json.loads(run("list", "--mine", "--json").stdout) == []


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
