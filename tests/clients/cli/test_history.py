"""`voicebus history` and what `say` leaves in it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import sys

from voicebus.bus.errors import InvalidRequest, QueueFull, StorageError
from voicebus.clients.cli import exits, hint

from .conftest import KEPT, REQUEST

OLDER = KEPT | {"job": "kitchen-0", "pinned": True, "state": "failed", "code": "silent", "audio": "missing"}


def calls(client, kind):
    """What of one kind was asked of the client."""
    return [call for call in client.calls if call[0] == kind]


def test_the_list_is_for_people_and_for_programs(client, run):
    """A row of the list has its name, state, length, voice and the begin of its text; JSON is the rows as they are."""
    client.rows["history"] = [KEPT, OLDER]
    first, second = run("history").stdout.splitlines()[1:]
    assert first.split()[0] == "kitchen-1" and "2.0 s" in first and "en-us" in first and first.endswith("Good morning.")
    assert "failed (silent)" in second and "missing" in second and "pinned" in second
    assert json.loads(run("history", "--json").stdout) == [KEPT, OLDER]
    assert calls(client, "connect")[0] == ("connect", True)


def test_the_list_is_bounded_and_says_so(client, run):
    """Twenty rows unless asked for more, and a word if there are more than are shown."""
    client.rows["history"] = [KEPT] * 30
    done = run("history")
    assert len(done.stdout.splitlines()) == 21 and "--limit 0" in done.stderr
    done = run("history", "--limit", "0")
    assert len(done.stdout.splitlines()) == 31 and done.stderr == ""


def test_narrowing(client, run):
    """Options narrow the list; words are looked for with the best first, or the newest."""
    run("history", "--voice", "en-us", "--since", "2026-01-01", "--not-pinned", "--state", "failed")
    assert calls(client, "history")[-1][2] == {
        "voice": "en-us", "since": "2026-01-01", "pinned": False, "state": "failed"
    }  # fmt: skip
    run("history", "search", "good", "mor", "--newest")
    assert calls(client, "history")[-1][2] == {"text": "good mor", "sort": "newest"}
    client.rows["history"] = []
    done = run("history", "search", "elephant")
    assert (done.exit_code, done.stdout) == (0, "") and "'elephant'" in done.stderr
    assert calls(client, "history")[-1][2]["sort"] == "best"


def test_a_wrong_command_is_explained(client, run):
    """What is no command may be words to look for; a near name is suggested."""
    assert "voicebus history search morning" in run("history", "morning").stderr
    done = run("history", "serach")
    assert done.exit_code == exits.USAGE and "Did you mean search?" in done.stderr


def test_show(client, run):
    """All that is known of a job: how it ended, how it was asked for, its text, who said each sentence."""
    shown = run("history", "show", "kitchen-1").stdout
    for part in (
        "finished",
        "88 KB on the disk (kept)",
        "seed: 7",
        "rate 1.5",
        "Good morning.",
        "1.52",
        "e.1",
        "20 ms",
    ):
        assert part in shown
    assert "crash: exit code 11" in shown
    found = json.loads(run("history", "show", "kitchen-1", "--json").stdout)
    assert (found["text"], found["request"]) == ("Good morning.", REQUEST)
    assert found["segments"] == client.rows["segments"]


def test_a_name_that_is_not_there(client, run):
    """A wrong name exits with 2 and a near one; one that still runs is named as such."""
    done = run("history", "show", "kitchen-2")
    assert done.exit_code == exits.USAGE and "Did you mean kitchen-1?" in done.stderr
    client.rows["history"] = []
    done = run("history", "play", "kitchen-1")
    assert done.exit_code == exits.USAGE and "voicebus jobs" in done.stderr


def test_played_and_saved(client, run, tmp_path):
    """The audio is played, from the middle too, or written in any format; the job is not touched by that."""
    assert run("history", "play", "kitchen-1", "--from", "1", "--device", "Speakers").exit_code == 0
    assert client.asked == {"job": "kitchen-1", "offset": 22050, "whole": False}
    assert calls(client, "play") == [("play", "Speakers")]
    path = str(tmp_path / "x.mp3")
    assert run("history", "save", "kitchen-1", "-o", path).exit_code == 0
    assert client.asked["whole"] and calls(client, "save") == [("save", path, "mp3")]
    assert not calls(client, "cancel")
    assert run("history", "save", "kitchen-1").exit_code == exits.USAGE


def test_audio_that_is_gone(client, run):
    """A job whose audio is missing is not played as silence: it says so, and how to have it again."""
    client.rows["history"] = [OLDER]
    done = run("history", "play", "kitchen-0")
    assert done.exit_code == exits.FAILED and "missing" in done.stderr
    assert "voicebus history again kitchen-0" in done.stderr
    client.rows["history"] = [KEPT | {"samples": 0}]
    assert "no audio" in run("history", "play", "kitchen-1").stderr


def test_said_again(client, run, tmp_path):
    """What is given changes, the rest is left to what it was; with -o it goes into a file."""
    assert run("history", "again", "kitchen-1", "-v", "de", "--rate", "150%", "--seed", "3").exit_code == 0
    assert client.asked == {
        "again": "kitchen-1", "voice": "de", "rate": 1.5, "seed": 3, "pace": "listen", "whole": False
    }  # fmt: skip
    path = str(tmp_path / "x.opus")
    assert run("history", "again", "kitchen-1", "-o", path).exit_code == 0
    assert client.asked["pace"] == "render" and client.asked["sample_rate"] == 24000
    assert run("history", "again", "kitchen-1", "-o", path, "--device", "Speakers").exit_code == exits.USAGE


def test_one_job_is_removed_at_once(client, run):
    """A job that is named is removed without a question; one that is not there fails, after the others."""
    done = run("history", "delete", "kitchen-1")
    assert (done.exit_code, done.stdout) == (0, "1 job removed.\n")
    done = run("history", "delete", "kitchen-7", "kitchen-1", "--yes")
    assert done.exit_code == exits.USAGE and "1 job removed." in done.stdout and "'kitchen-7'" in done.stderr
    assert run("history", "delete", "kitchen-1", "-q").stdout == ""


def test_many_are_removed_only_if_that_is_meant(client, run):
    """More than one is not removed unless a person says yes or the command line does."""
    client.rows["history"] = [KEPT, KEPT | {"job": "kitchen-2"}]
    done = run("history", "delete", "--all")
    assert done.exit_code == exits.USAGE and "--yes" in done.stderr and not calls(client, "delete")
    done = run("history", "delete", "--all", "--yes")
    assert done.exit_code == 0 and "2 jobs removed." in done.stdout and "2 pinned jobs stay" in done.stderr
    assert calls(client, "history")[-2][2] == {"pinned": False}
    done = run("history", "delete", "--before", "2026-01-31", "--yes")
    assert calls(client, "history")[-1][2]["until"].isoformat().startswith("2026-01-31T00:00:00")
    assert run("history", "delete", "--before", "yesterday").exit_code == exits.USAGE
    assert run("history", "delete").exit_code == exits.USAGE
    assert run("history", "delete", "kitchen-1", "--all").exit_code == exits.USAGE


def test_what_cannot_be_removed(client, run, monkeypatch):
    """A store that does not do it is named, with its exit code, and nothing is counted as removed."""

    def refuse(job):
        raise StorageError("kitchen-1 could not be deleted: the disk is full")

    monkeypatch.setattr(client, "delete", refuse)
    done = run("history", "delete", "kitchen-1")
    assert done.exit_code == exits.STORAGE and "Nothing was removed." in done.stdout


def test_pinned_and_unpinned(client, run):
    """Jobs are pinned and unpinned by name."""
    assert run("history", "pin", "kitchen-1").exit_code == 0
    assert run("history", "unpin", "kitchen-1", "kitchen-9").exit_code == exits.USAGE
    assert calls(client, "pin") == [
        ("pin", "kitchen-1", True), ("pin", "kitchen-1", False), ("pin", "kitchen-9", False)
    ]  # fmt: skip


def test_what_say_leaves(client, run):
    """`say` leaves to the daemon what stays, unless told; what nobody hears now must be kept somehow."""
    run("say", "Hello")
    assert client.asked["keep"] == ""
    run("say", "--keep", "job", "Hello")
    assert client.asked["keep"] == "job"
    client.keep = "nothing"
    done = run("say", "--detach", "Hello")
    assert done.exit_code == exits.USAGE and "--keep job" in done.stderr
    assert calls(client, "cancelled")


def test_an_older_job_is_attached_to(client, run):
    """`attach` finds a job that is only in the history any more."""
    client.rows["jobs"] = []
    assert run("attach", "kitchen-1").exit_code == 0
    assert run("attach", "kitchen-7").exit_code == exits.USAGE


@contextlib.contextmanager
def terminal(monkeypatch, state):
    """Standard error is a terminal, and this the state directory; gives what it shows."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)

    def shown():
        stream.flush()
        try:
            return os.read(ours, 4096).decode()
        except BlockingIOError:
            return ""

    with os.fdopen(theirs, "w") as stream, monkeypatch.context() as patch:
        patch.setenv("VOICEBUS_STATE_DIR", str(state))
        patch.setattr(sys, "stderr", stream)
        yield shown
    os.close(ours)


def test_an_import_says_what_came_of_it(client, run, tmp_path):
    """The line says how many were imported, skipped and damaged; JSON names them. What is damaged is named, with the
    reason, and the exit code says that something is missing."""
    file = tmp_path / "x.zip"
    file.touch()
    client.imports = ["a", "b"]
    done = run("history", "import", str(file))
    assert (done.exit_code, done.stderr.splitlines()) == (0, [f"{file}: 2 jobs imported, 0 skipped, 0 damaged"])
    client.imports, client.tally.skipped, client.tally.damaged = [], ["c"], {"d": "text.txt is damaged"}
    done = run("history", "import", str(file))
    assert done.exit_code == exits.INCOMPLETE
    assert "1 skipped (it is there, or deleted within a week), 1 damaged" in done.stderr
    assert "not imported: d: text.txt is damaged" in done.stderr
    told = json.loads(run("history", "import", str(file), "--json").stdout)
    assert told == {"imported": 2, "skipped": ["c"], "damaged": {"d": "text.txt is damaged"}}
    assert "imported," not in run("history", "import", "-q", str(file)).stderr
    assert calls(client, "import")[0] == ("import", str(file))


def test_an_import_that_breaks_off(client, run, tmp_path):
    """What came until then is told, then why it broke off, and what to do."""
    file = tmp_path / "x.zip"
    file.touch()
    client.imports = ["a"]
    for failure, code in (
        (QueueFull("The audio on disk would be over its limit.", retry_after=5.0), exits.BUSY),
        (StorageError("No space."), exits.STORAGE),
        (InvalidRequest("x.zip is not an archive."), exits.USAGE),
        (OSError(5, "Input/output error"), exits.STORAGE),
    ):
        client.failure = failure
        done = run("history", "import", str(file))
        assert done.exit_code == code and "imported, 0 skipped" in done.stderr.splitlines()[0]
    assert run("history", "import", str(tmp_path / "none.zip")).exit_code == exits.USAGE


def test_people_are_told_once_that_it_is_kept(monkeypatch, tmp_path):
    """The first time something is kept as history, a person is told, with how to turn it off; never again then."""
    with terminal(monkeypatch, tmp_path / "state") as shown:
        hint.of_history("job", quiet=False)
        hint.of_history("history", quiet=True)
        assert shown() == ""
        hint.of_history("history", quiet=False)
        told = shown()
        assert "--keep nothing" in told and 'keep = "nothing"' in told and "voicebus.toml" in told
        hint.of_history("history", quiet=False)
        assert shown() == ""


def test_nothing_is_told_where_it_cannot_be_noted(monkeypatch, tmp_path):
    """Where the state directory cannot be written to, the hint would come each time: it does not come."""
    (tmp_path / "file").touch()
    with terminal(monkeypatch, tmp_path / "file" / "state") as shown:
        hint.of_history("history", quiet=False)
        assert shown() == ""
