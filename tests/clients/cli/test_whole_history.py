"""The history, as a person at a shell meets it: a daemon with espeak, restarts between the commands."""

from __future__ import annotations

import hashlib
import io
import json
import wave
import zipfile

import pytest
import soundfile

from .test_whole import place, run  # noqa: F401 - fixtures

TEXT = "The kitchen light is on. Somebody should turn it off."


@pytest.mark.timeout(120)
def test_what_was_said_is_there_after_a_restart(place, run):  # noqa: F811
    """`say` leaves its text and audio in the history; after the daemon's end the next one finds, shows, saves, says
    again, pins and removes it."""
    folder, _ = place
    assert run("say", TEXT).returncode == 0
    assert run("say", "--keep", "nothing", "A secret word.").returncode == 0
    assert run("daemon", "stop").returncode == 0
    [row] = json.loads(run("history", "--json").stdout)
    assert (row["state"], row["keep"], row["text"]) == ("finished", "history", TEXT)
    job = row["job"]
    [found] = json.loads(run("history", "search", "kitch", "--json").stdout)
    assert found["job"] == job
    assert json.loads(run("history", "search", "secret", "--json").stdout) == []
    shown = json.loads(run("history", "show", job, "--json").stdout)
    assert shown["text"] == TEXT and [s["state"] for s in shown["segments"]] == ["whole", "whole"]
    # On a busy machine one pass of the daemon sends a short sentence out and takes it in, so to it that took no time.
    assert all(s["provider"] == "espeak" and s["made_s"] >= 0 and s["version"] for s in shown["segments"])

    saved = run("history", "save", job, "-o", "saved.wav")
    assert saved.returncode == 0, saved.stderr
    with wave.open(str(folder / "saved.wav")) as file:
        assert (file.getnframes(), file.getframerate()) == (row["samples"], row["rate"])
    for form in ("flac", "ogg", "opus", "mp3", "raw"):
        assert run("history", "save", job, "-o", f"saved.{form}").returncode == 0
        assert (folder / f"saved.{form}").stat().st_size > 1000
    assert run("history", "play", job).returncode == 0
    again = run("history", "again", job, "--rate", "2", "-o", "fast.wav")
    assert again.returncode == 0, again.stderr
    with wave.open(str(folder / "fast.wav")) as file:
        assert file.getnframes() < 0.75 * row["samples"]

    exported = run("history", "export", "all.zip")
    assert (exported.returncode, exported.stderr) == (0, b"all.zip: 2 jobs\n")
    with zipfile.ZipFile(folder / "all.zip") as archive:
        [newer, older] = json.loads(archive.read("manifest.json"))["jobs"]
        assert older["job"] == job
        for name, digest in older["sha256"].items():
            assert hashlib.sha256(archive.read(f"{older['folder']}/{name}")).hexdigest() == digest
        record = json.loads(archive.read(f"{older['folder']}/record.json"))
        assert archive.read(f"{older['folder']}/text.txt").decode() == TEXT
        samples, rate = soundfile.read(io.BytesIO(archive.read(f"{older['folder']}/audio.flac")), dtype="int16")
    assert (len(samples), rate) == (row["samples"], row["rate"])
    assert samples.tobytes() == (folder / "saved.raw").read_bytes()
    assert len(record["segments"]) == 2 and record["marks"] and newer["job"] != job
    elsewhere = place[1] | {"VOICEBUS_STATE_DIR": str(folder / "s2"), "VOICEBUS_RUNTIME_DIR": str(folder / "r2")}
    imported = run("history", "import", "all.zip", env=elsewhere)
    assert imported.returncode == 0 and b"2 jobs imported, 0 skipped, 0 damaged" in imported.stderr
    there = json.loads(run("history", "show", job, "--json", env=elsewhere).stdout)
    assert {**there, "audio": shown["audio"], "bytes": shown["bytes"]} == shown
    assert b"0 jobs imported, 2 skipped" in run("history", "import", "all.zip", env=elsewhere).stderr
    piped = run("history", "export", "-")
    assert (piped.returncode, piped.stderr) == (0, b"standard output: 2 jobs\n")
    again = run("history", "import", "-", env=elsewhere, input=piped.stdout)
    assert again.stderr.startswith(b"standard input: 0 jobs imported, 2 skipped")
    wrong = run("history", "import", "-", env=elsewhere, input=b"no zip")
    assert (wrong.returncode, wrong.stderr[:42]) == (2, b"voicebus: standard input is not a whole zi")
    assert run("daemon", "stop", env=elsewhere).returncode == 0
    assert run("history", "pin", job).returncode == 0
    [pinned] = json.loads(run("history", "--pinned", "--json").stdout)
    assert pinned["job"] == job
    assert run("history", "delete", "--all", "--yes").returncode == 0
    assert [row["job"] for row in json.loads(run("history", "--json").stdout)] == [job]
    assert run("history", "delete", job).returncode == 0
    assert json.loads(run("history", "--json").stdout) == []
    gone = run("history", "show", job)
    assert gone.returncode == 2 and job.encode() in gone.stderr
    assert list((folder / "state" / "logs").iterdir()) == []
