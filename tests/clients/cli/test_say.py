"""`say`, `attach`, `cancel`, `stop`: what is asked of the library, and what comes of each way to end."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from voicebus.bus import errors
from voicebus.clients.cli import telling, texts, turns
from voicebus.clients.events import Frame, Notice, Result, Rewound, Segment

from .conftest import JOB


def test_words_are_one_text_and_are_played(client, run):
    """Arguments are joined to one text, which is played on the default device; nothing is printed."""
    done = run("say", "good", "morning")
    assert (done.exit_code, done.output) == (0, "")
    assert client.speech.text == "good morning"
    assert ("play", None) in client.calls


def test_options_reach_the_library(client, run):
    """Each option of the voice goes into the request under the library's name; what was not said is left out."""
    run("say", "-v", "en-us+f3", "-p", "espeak", "--lang", "auto", "--rate", "150%", "--pitch", "1.2",
        "--volume", "0.5", "--punctuation", "all", "--ssml", "--seed", "7", "--priority", "important", "--keep",
        "nothing", "--skip-bad", "--instruct", "softly", "-O", "top_k=5", "--option", "temperature=0.7", "-O",
        "size=1.7B", "-Odry=TRUE", "<speak>hi</speak>")  # fmt: skip
    assert client.asked == {
        "voice": "en-us+f3", "provider": "espeak", "language": "auto", "rate": 1.5, "pitch": 1.2, "volume": 0.5,
        "punctuation": "all", "ssml": True, "seed": 7, "priority": "important", "keep": "nothing", "skip_bad": True,
        "pace": "listen", "whole": False, "sample_rate": 0, "instruct": "softly",
        "options": {"top_k": 5, "temperature": 0.7, "size": "1.7B", "dry": True},
    }  # fmt: skip
    run("say", "plain")
    assert not {"voice", "provider", "language", "seed", "punctuation", "instruct", "options"} & set(client.asked)


@pytest.mark.parametrize("option", ["size", "=1", " =1"])
def test_an_option_has_a_name_and_a_value(run, option):
    """What is no NAME=VALUE is refused, with an example."""
    done = run("say", "-O", option, "hi")
    assert (done.exit_code, "temperature=0.7" in done.output) == (2, True)


@pytest.mark.parametrize(
    ("name", "option", "form", "whole"),
    [
        ("a.wav", [], "wav", False),
        ("a.FLAC", [], "flac", True),
        ("a.oga", [], "ogg", True),
        ("a.mp3", [], "mp3", True),
        ("a", ["--format", "raw"], "raw", False),
        ("-", [], "wav", True),
        ("-", ["--format", "raw"], "raw", True),
    ],
)
def test_the_extension_chooses_the_format(client, run, name, option, form, whole):
    """The format comes from --format, else the extension; what cannot be taken back reads finished takes only, and
    what goes to a file is made to its end."""
    done = run("say", "hi", "-o", name, *option)
    assert done.exit_code == 0
    assert ("save", "stream" if name == "-" else name, form) in client.calls
    assert (client.asked["whole"], client.asked["pace"]) == (whole, "render")


def test_a_file_that_cannot_be_written_is_found_before_a_job_is_made(client, run):
    """A directory that is not there is exit 7, and nothing is asked of the daemon."""
    done = run("say", "hi", "-o", "/no/such/place/a.wav")
    assert done.exit_code == 7
    assert "no directory /no/such/place" in done.stderr
    assert client.calls == []


def test_a_file_is_told_in_a_line(client, run):
    """After a file was written, standard error says how long it is and who spoke; nothing with -q."""
    assert run("say", "hi", "-o", "a.wav").stderr == "a.wav: 200 ms of speech by espeak (en-us)\n"
    assert run("say", "hi", "-q", "-o", "a.wav").stderr == ""


def test_standard_output_carries_only_audio(client, run):
    """With -o - nothing but the audio is on standard output."""
    client.events.append(Notice("loading", {"provider": "espeak"}, "espeak is loading"))
    done = run("say", "hi", "-o", "-")
    assert done.stdout_bytes == b"RIFFsound"
    assert done.stderr == "voicebus: espeak is loading\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hi", "-o", "a.wva"], "Did you mean wav?"),
        (["hi", "-o", "speech"], "has no extension"),
        (["hi", "--format", "flca"], "Did you mean flac?"),
        (["hi", "--format", "wav"], "-o FILE"),
        (["hi", "--priority", "importent"], "Did you mean important?"),
        (["hi", "--rate", "40"], "0.25 to 6"),
        (["hi", "--rate", "fast"], "not a factor"),
        (["hi", "--voise", "x"], "--voice"),
        (["hi", "-f", "x.txt"], "not both"),
        (["hi", "--detach", "-o", "a.wav"], "--detach"),
        (["hi", "--device", "x", "-o", "a.wav"], "choose one"),
        ([" "], "empty"),
        (["hi", "--device", "Speakrs"], "Speakers"),
        (["-f", "/no/such/file"], "No such file"),
    ],
)
def test_a_wrong_option_or_name_says_what_is_right(client, run, arguments, said):
    """Wrong options and names are found before a job is made, with the near name or the range."""
    done = run("say", *arguments)
    assert done.exit_code in {2, 8}
    assert said in done.stderr
    assert client.speech is None


def test_without_a_sound_device_it_says_what_to_do(client, run, monkeypatch):
    """Where nothing can be played no job is made: exit 8, and the advice to write a file or a pipe."""
    monkeypatch.setattr("voicebus.clients.cli.seam.devices", list)
    done = run("say", "hi")
    assert done.exit_code == 8
    assert "-o FILE.wav" in done.stderr
    assert client.speech is None


@pytest.mark.parametrize(
    ("refusal", "code", "said"),
    [
        (errors.NotRunning("no daemon answers at /run/x"), 3, "voicebus daemon start"),
        (errors.VersionMismatch("the daemon is 0.9, this is 0.1"), 4, "voicebus daemon restart"),
        (errors.QueueFull("500 jobs wait", retry_after=4.0), 5, "Try again in 4 s."),
        (errors.error_for("unknown_voice", "There is no voice 'en-uss'."), 2, "Did you mean en-us?"),
        (errors.error_for("unknown_provider", "There is no provider 'espek'."), 2, "Did you mean espeak?"),
        (errors.error_for("unknown_voice", "There is no voice 'zzz'."), 2, "voicebus voices"),
        (errors.error_for("unknown_model", "x has no model 'y'"), 2, "voicebus providers show"),
        (errors.error_for("disk_full", "no space left"), 7, "Free some space"),
        (errors.Disconnected("the daemon went away"), 69, "voicebus logs"),
    ],
)
def test_every_refusal_has_its_exit_code_and_advice(client, run, refusal, code, said):
    """Errors of the library become exit codes and a line of advice, without a traceback."""
    client.refusal = refusal
    done = run("say", "hi", "-o", "a.wav")
    assert done.exit_code == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failed_job_says_what_there_is_and_how_to_go_on(client, run):
    """A job that failed is exit 1, with what of the audio is there and the command that shows more."""
    client.failure = errors.JobFailed("nobody could say sentence 3: espeak: silent")
    client.events = [Frame(memoryview(bytes(44100)), at, 22050, 0, "e.1") for at in range(0, 220500, 22050)]
    client.events += [Frame(memoryview(bytes(882)), 220500, 22050, 1, "e.2"), Rewound(220500, 1, "crash", "e.2")]
    done = run("say", "hi", "-o", "a.wav")
    assert done.exit_code == 1
    assert "nobody could say sentence 3" in done.stderr
    assert "The first 10.0 s are there, in a.wav." in done.stderr
    assert "--skip-bad" in done.stderr


@pytest.mark.parametrize("code", ["disk_full", "storage"])
def test_a_disk_that_is_full_in_the_middle_has_the_code_of_one(client, run, code):
    """A job that was taken on and could not be written is exit 7, as one that was refused for it."""
    client.failure = errors.JobFailed("the audio could not be written", code=code)
    assert run("say", "hi", "-o", "a.wav").exit_code == 7


def test_a_failed_job_without_audio_says_that_there_is_no_file(client, run):
    """Where nothing could be said the message says that nothing was written."""
    client.failure = errors.JobFailed("nobody could say sentence 1: espeak: silent")
    client.events = []
    assert "a.wav was not written." in run("say", "hi", "-o", "a.wav").stderr
    assert "are there" not in run("say", "hi").stderr


def test_advice_comes_only_where_it_helps(client, run):
    """After a daemon that was stopped, what is there is told, and nothing of bad sentences."""
    client.failure = errors.JobFailed("The daemon was stopped.", code="daemon_stopped")
    done = run("say", "hi", "-o", "a.wav")
    assert (done.exit_code, done.stderr) == (
        1,
        "voicebus: The daemon was stopped.\n  The first 200 ms are there, in a.wav.\n",
    )


def test_a_message_that_says_where_to_look_needs_no_advice(client, run):
    """What the daemon says of a voice is not followed by advice for a job."""
    client.failure = errors.NotFound("There is no voice 'anna' of yours; see: voicebus voices --mine")
    assert run("say", "hi", "-o", "a.wav").stderr.splitlines()[0] == f"voicebus: {client.failure}"
    assert "voicebus jobs" not in run("say", "hi", "-o", "a.wav").stderr


def test_a_daemon_that_went_away_is_told_with_what_was_written(client, run):
    """Where the daemon is gone in the middle of a file, the message says how much of it is there."""
    client.failure = errors.Disconnected("the daemon went away")
    done = run("say", "hi", "-o", "a.wav")
    assert done.exit_code == 69
    assert "The first 200 ms are there, in a.wav. See why with: voicebus logs" in done.stderr


def test_a_file_that_was_there_is_told_to_be_as_it_was(client, run, tmp_path):
    """Where nothing was written over an older file, the message says that it is as it was."""
    old = tmp_path / "old.wav"
    old.write_bytes(b"old")
    client.failure = errors.JobCancelled("Cancelled by its owner.")
    done = run("say", "hi", "-o", str(old))
    assert (done.exit_code, done.stderr) == (6, f"voicebus: Cancelled by its owner.\n  {old} was left as it was.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x" * 150], "; it begins in about 10.5 s"),
        (["x" * 150, "-o", "a.wav"], "; 10.0 s of it take about 20.0 s"),
    ],
)
def test_a_slow_engine_is_told_of_beforehand(client, run, arguments, said):
    """Of an engine that is slower than speech it is told how long one waits, once; of a fast one nothing."""
    data = {"provider": "slowpoke", "voice": "a", "factor": 2.0, "first_audio_s": 0.5}
    client.events[:0] = [Notice("started", data, "slowpoke speaks with a")] * 2
    line = f"voicebus: slowpoke takes about 2.0 s for a second of speech{said}\n"
    assert run("say", *arguments).stderr.count(line) == 1
    client.events[:2] = [Notice("started", data | {"factor": 0.5}, "slowpoke speaks with a")]
    assert "takes about" not in run("say", "hi").stderr


def test_left_out_sentences_are_not_called_a_success(client, run):
    """With --skip-bad a job that left something out ends with 9 and says how much."""
    client.result = Result("kitchen-1", "finished", code="incomplete", samples=1, rate=22050, segments=3, skipped=1)
    done = run("say", "--skip-bad", "hi", "-o", "a.wav")
    assert done.exit_code == 9
    assert "1 of 3 sentences was left out" in done.stderr


def test_a_cancellation_from_elsewhere_is_told(client, run):
    """A job that somebody else cancelled is exit 6."""
    client.failure = errors.JobCancelled("cancelled")
    assert run("say", "hi").exit_code == 6


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_to_leave_cancels(client, run, number, code):
    """Ctrl-C, TERM and a lost terminal while it speaks cancel the job; the exit code is 128 and the signal."""
    client.signalled = number
    assert run("say", "hi").exit_code == code
    assert client.speech.cancelled
    assert ("cancel", "kitchen-1") in client.calls
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_fault_of_our_own_shows_no_traceback_unless_asked(client, run):
    """An unexpected exception is exit 70 and one line; --debug lets it through."""
    client.failure = ZeroDivisionError("oops")
    done = run("say", "hi", "-o", "a.wav")
    assert done.exit_code == 70
    assert "internal error: ZeroDivisionError: oops" in done.stderr
    assert isinstance(run("--debug", "say", "hi").exception, ZeroDivisionError)


def test_waiting_is_explained_once_where_nothing_can_be_written_over(client, run):
    """To a pipe each wait is one line, whatever its percentage; who speaks is not told; a change of provider is."""
    client.events[:0] = [
        Notice("loading", {"provider": "kokoro", "percent": 10}, "kokoro is loading (10 %)"),
        Notice("loading", {"provider": "kokoro", "percent": 20}, "kokoro is loading (20 %)"),
        Notice("started", {"provider": "kokoro"}, "kokoro speaks with af"),
        Notice("moved", {"provider": "espeak"}, "espeak goes on with en-us: crash"),
    ]
    assert run("say", "hi").stderr.splitlines() == [
        "voicebus: kokoro is loading (10 %)",
        "voicebus: espeak goes on with en-us: crash",
    ]
    assert run("say", "-q", "hi").stderr == ""


def test_detach_prints_the_name_of_the_job_and_leaves(client, run):
    """--detach prints the job's name alone and reads no audio; the job is made to its end."""
    done = run("say", "--detach", "hi")
    assert done.stdout == "kitchen-1\n"
    assert client.asked["pace"] == "render"
    assert not [call for call in client.calls if call[0] in {"play", "save"}]
    assert ("kept",) in client.calls


def test_a_file_is_read_as_utf8(client, run, tmp_path):
    """-f reads a file, a byte order mark left out; one that is not UTF-8 is refused with the way to convert it."""
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_bytes(b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe")
    bad.write_bytes(b"Gr\xfc\xdfe")
    run("say", "-f", str(good))
    assert client.speech.text == "Grüße"
    done = run("say", "-f", str(bad))
    assert done.exit_code == 2
    assert "not UTF-8 (byte 2)" in done.stderr
    assert "iconv" in done.stderr


def test_empty_standard_input_is_an_empty_text(client, run, monkeypatch):
    """Nothing but blanks on standard input is exit 2, as `say ""` is; what comes before the first word is kept."""
    monkeypatch.setattr(texts, "text_of", lambda *_, **__: iter(["\n", "  \n"]))
    done = run("say")
    assert (done.exit_code, "the text is empty" in done.stderr) == (2, True)
    assert client.speech is None
    monkeypatch.setattr(texts, "text_of", lambda *_, **__: iter(["\n", "one\n", "two\n"]))
    assert run("say").exit_code == 0
    assert client.speech.text == "\none\ntwo\n"


def test_the_bar_tells_how_long_it_still_takes(monkeypatch, capsys):
    """Half of a text that took ten seconds so far takes ten more."""
    now = 100.0
    monkeypatch.setattr(telling.time, "monotonic", lambda: now)
    monkeypatch.setattr(telling.output, "moving", lambda _: True)
    teller = telling.Teller(total=100, progress=True)
    now = 110.0
    teller.event(Segment(0, "e.1", 0, 0, 50, "espeak", "en-us"))
    teller.event(Frame(memoryview(bytes(44100)), 0, 22050, 0, "e.1"))
    assert "[############------------]  50%  10.0 s left  1.0 s of audio" in capsys.readouterr().err


def test_lines_come_as_they_are_written():
    """Each line of standard input is there before the next is written; a letter split between two reads is whole."""
    reading, writing = os.pipe()
    lines = texts.lines_of(reading)
    os.write(writing, b"eins\n")
    assert next(lines) == "eins\n"
    os.write(writing, "zwei\nGr\u00fc".encode()[:-1])
    assert next(lines) == "zwei\n"
    os.write(writing, "ü".encode()[1:])
    os.close(writing)
    assert list(lines) == ["Grü"]
    os.close(reading)


def test_attach_begins_at_seconds_and_leaves_the_job_alone(client, run):
    """--from counts in seconds of the job's rate; an interrupt is silence, and ends the listening and not the job."""
    run("attach", "kitchen-1", "--from", "1.5", "-o", "a.mp3")
    assert client.asked == {"job": "kitchen-1", "offset": 33075, "whole": True}
    client.signalled = signal.SIGINT
    assert run("attach", "kitchen-1").exit_code == 130
    assert ("silence",) in client.calls
    assert ("cancelled",) not in client.calls


def test_attach_tells_how_much_was_written(client, run):
    """Of a part of a job the line has the length of the part."""
    client.events = [Frame(memoryview(bytes(44100)), 22050, 22050, 0, "e.1")]
    client.result = Result("kitchen-1", "finished", samples=44100, rate=22050, segments=1)
    assert run("attach", "kitchen-1", "--from", "1", "-o", "a.wav").stderr == "a.wav: 1.0 s of speech\n"


def test_attach_beyond_the_end_is_told(client, run):
    """Where there is no audio at --from, it says how long the job is, with exit 2, and reads nothing."""
    client.rows["jobs"] = [{**JOB, "state": "finished", "complete": True}]
    done = run("attach", "kitchen-1", "--from", "5")
    assert (done.exit_code, done.stderr) == (2, "voicebus: kitchen-1 has only 2.0 s of audio, nothing from 5.0 s on\n")
    client.rows["jobs"] = [{**JOB, "rate": 0, "samples": 0}]
    done = run("attach", "kitchen-1", "--from", "5")
    assert (done.exit_code, "only 0 ms of audio so far" in done.stderr) == (2, True)
    assert client.asked == {}


def test_attach_to_a_job_that_is_not_there(client, run):
    """Attaching to an unknown job is exit 2 with the near name."""
    done = run("attach", "kitchen-11")
    assert done.exit_code == 2
    assert "Did you mean kitchen-1?" in done.stderr


def test_cancel_and_stop_say_what_they_did(client, run):
    """Cancel names each job, stop counts them; a job that is not there is exit 2, after the others were cancelled."""
    assert run("cancel", "a", "b").stdout == "a: cancelled\nb: cancelled\n"
    assert run("stop").stdout == "2 jobs cancelled.\n"
    client.rows["jobs"] = [{**JOB, "job": "a", "state": "cancelled"}]
    assert run("cancel", "a").stdout == "a: was over already (cancelled)\n"
    client.refusal = errors.NotFound("no")
    assert run("cancel", "kitchen", "x").exit_code == 2


def test_stop_silences_what_is_left_of_jobs_that_are_over(client, run, monkeypatch):
    """A player still has sound when its job is over for the daemon; `stop` ends it, with exit 6 there."""
    told = []
    monkeypatch.setattr(turns.os, "kill", lambda *signalled: told.append(signalled))
    monkeypatch.setattr(client, "cancel_all", lambda: 0)
    assert run("stop").stdout == "Nothing was speaking.\n"
    with turns.turn():
        assert run("stop").stdout == "Silenced.\n"
    assert told == [(os.getpid(), turns.SILENCE)]
    client.signalled = turns.SILENCE
    done = run("say", "hi")
    assert (done.exit_code, done.stderr) == (6, "voicebus: Stopped from elsewhere.\n")


def test_players_wait_for_those_before_them(client, tmp_path):
    """A player's turn names the players that sound already, and waiting for them ends when they are done."""
    order = []
    first_in, second_in = threading.Event(), threading.Event()

    def second():
        first_in.wait(5)
        with turns.turn() as before:
            order.append(len(before))
            second_in.set()
            turns.wait_for(before)
            order.append("second")

    waiter = threading.Thread(target=second)
    waiter.start()
    with turns.turn() as before:
        assert before == []
        first_in.set()
        assert second_in.wait(5)
        order.append("first")
    waiter.join(5)
    assert order == [1, "first", "second"]
    assert list((tmp_path / "run" / "players").iterdir()) == []


def test_the_turn_of_a_dead_player_is_over(client, tmp_path):
    """A file that a killed player left behind holds nobody up and is removed."""
    with turns.turn():
        folder = tmp_path / "run" / "players"
        (folder / "00000000000000000001-1").touch()
        with turns.turn() as before:
            assert len(before) == 1
    assert list(folder.iterdir()) == []
