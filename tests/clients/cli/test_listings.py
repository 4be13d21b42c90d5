"""What is printed of voices, providers, jobs, segments, workers: for persons and for programs."""

from __future__ import annotations

import json

from voicebus.bus.errors import NotFound
from voicebus.clients.cli import output

from .conftest import DAEMON, JOB, PROVIDER, SEGMENT, VOICE, WORKER


def test_listings_as_json_are_the_rows(client, run):
    """Every listing prints the daemon's rows as JSON, whole and unchanged, with --json."""
    assert json.loads(run("voices", "--json").stdout) == [VOICE]
    assert json.loads(run("providers", "--json").stdout) == [PROVIDER]
    assert json.loads(run("jobs", "--json").stdout) == [JOB]
    assert json.loads(run("jobs", "kitchen-1", "--json").stdout) == [SEGMENT]
    assert json.loads(run("status", "--json").stdout) == {"daemon": DAEMON, "workers": [WORKER]}
    assert json.loads(run("devices", "--json").stdout) == [{"name": "Speakers", "default": True}]


def test_tables_are_aligned_and_plain(client, run):
    """A table has its columns one under the other, no escape sequences and no blanks at the end of a line."""
    lines = run("voices").stdout.splitlines()
    assert lines[0].split() == ["VOICE", "LANGUAGES", "GENDER", "PROVIDER", "DESCRIPTION"]
    assert lines[0].index("PROVIDER") == lines[1].index("espeak")
    assert not any("\x1b" in line or line != line.rstrip() for line in lines)


def test_voices_tell_their_variants_once(client, run):
    """How to add a variant to a voice is said beside the table, not in it."""
    done = run("voices")
    assert "en-us+f3" in done.stderr
    assert "f3" not in done.stdout


def test_voices_are_filtered_by_language_and_provider(client, run):
    """--lang and -p narrow the list; a language nobody speaks leaves it empty and says so."""
    assert run("voices", "--lang", "en").stdout.count("espeak") == 1
    nothing = run("voices", "--lang", "tlh")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert "'tlh'" in nothing.stderr


def test_an_unknown_provider_suggests_a_near_one(client, run):
    """A provider that is not there is a wrong name (exit 2), with the near one named."""
    done = run("voices", "-p", "espaek")
    assert done.exit_code == 2
    assert "Did you mean espeak?" in done.stderr


def test_jobs_show_what_is_done_and_how_much_sounds(client, run):
    """A job's line has its segments done, a + while more text may come, and seconds of audio."""
    line = run("jobs").stdout.splitlines()[1].split()
    assert line[:5] == ["kitchen-1", "running", "2/4+", "2.0", "s"]


def test_segments_show_who_spoke_and_what_went_wrong(client, run):
    """A job's segments are listed with provider, voice, tries and the trail of failures."""
    line = run("jobs", "kitchen-1").stdout.splitlines()[1]
    assert all(part in line for part in ("whole", "espeak", "en-us", "1.0 s", "crash: exit code 11"))


def test_an_unknown_job_suggests_a_near_one(client, run):
    """A job that is not there is a wrong name (exit 2), with the near one named."""
    client.refusal = NotFound("there is no job 'kitchen-2'")
    done = run("jobs", "kitchen-2")
    assert done.exit_code == 2
    assert done.stderr.splitlines() == ["voicebus: There is no job 'kitchen-2'.", "  Did you mean kitchen-1?"]


def test_no_jobs_are_no_error(client, run):
    """An empty list is a success: JSON is an empty array, and a person is told on standard error."""
    client.rows["jobs"] = []
    assert json.loads(run("jobs", "--json").stdout) == []
    done = run("jobs")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "No jobs.\n")


def test_status_tells_which_daemon_it_is(client, run, monkeypatch):
    """`status` says where the daemon listens and whose it is, and how much of what is waiting is other users'."""
    about = {**DAEMON, "socket": "/run/voicebus/bus.sock", "system": True, "uid": 990, "unfinished": 4}
    monkeypatch.setattr(client, "status", lambda: about)
    text = run("status").stdout
    assert "at /run/voicebus/bus.sock (the system's, for every user)" in text
    assert "1 running of yours, 3 of others" in text
    about.update(system=False, unfinished=1)
    assert "at /run/voicebus/bus.sock (of user 990)" in run("status").stdout
    assert "of others" not in run("status").stdout


def test_status_tells_of_daemon_workers_failures_and_configuration(client, run):
    """Status has the daemon's line, each worker's figures, its last failure, and problems as FILE:LINE."""
    text = run("status").stdout
    for part in (
        "voicebus 0.1.0, process 4700, serving, up 1 min, started by a client",
        "jobs: 1 running",
        "38 MB",
        "0.004",
        "3 ms",
        "espeak-0: last failure: crash: exit code 11",
        "/etc/voicebus.toml:7: limits.jobs: must be a whole number",
    ):
        assert part in text


def test_a_fatal_worker_is_shown_with_its_last_words(client, run, monkeypatch):
    """A worker that will not be started again is listed with the reason and the end of its standard error."""
    monkeypatch.setitem(WORKER, "state", "fatal")
    monkeypatch.setitem(WORKER, "reason", "5 deaths before ready")
    monkeypatch.setitem(WORKER, "stderr", ["ImportError: no torch"])
    text = run("status").stdout
    assert "espeak-0: fatal: 5 deaths before ready" in text
    assert "  ImportError: no torch" in text


def test_asking_starts_no_daemon(client, run):
    """Listing jobs, status and stopping never start a daemon; voices do, and not with --no-start."""
    for command in (["jobs"], ["status"], ["stop"], ["cancel", "x"], ["voices", "--no-start"]):
        run(*command)
    run("voices")
    assert [call for call in client.calls if call[0] == "connect"] == [("connect", False)] * 5 + [("connect", True)]


def test_text_from_elsewhere_cannot_move_the_cursor(client, run):
    """Control characters in a daemon's words are printed as blanks."""
    client.rows["jobs"] = [{**JOB, "message": "bad\x1b[2Jnews\n!"}]
    assert "bad [2Jnews !" in run("jobs").stdout


def test_devices_missing_is_said_with_a_way_out(client, run, monkeypatch):
    """Without any sound device, exit 8 and the advice to make a file."""
    monkeypatch.setattr("voicebus.clients.cli.seam.devices", list)
    done = run("devices")
    assert done.exit_code == 8
    assert "-o FILE" in done.stderr


def test_segments_are_counted_from_one_for_people(client, run):
    """The table of segments begins with 1; JSON has the numbers of the protocol."""
    assert run("jobs", "kitchen-1").stdout.splitlines()[1].split()[0] == "1"
    assert json.loads(run("jobs", "kitchen-1", "--json").stdout)[0]["segment"] == 0


def test_a_table_fits_its_terminal():
    """Where a table is too wide, spare columns are left out first, and then the end of each line."""
    columns = (("JOB", "<"), ("PRIORITY", "<"), ("WHY", "<"))
    rows = [("kitchen-1", "text", "語" * 8)]
    assert output.table(columns, rows, 80, ("PRIORITY",)).splitlines()[1] == f"kitchen-1  text      {'語' * 8}"
    assert output.table(columns, rows, 30, ("PRIORITY",)).splitlines()[1] == f"kitchen-1  {'語' * 8}"
    narrow = output.table(columns, rows, 20, ("PRIORITY",)).splitlines()[1]
    assert narrow == f"kitchen-1  {'語' * 4}…"
    assert output.width(narrow) == 20
