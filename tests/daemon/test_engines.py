"""Engines of a person's own: which files are taken, and which must not be run."""

from __future__ import annotations

import os

import pytest

from voicebus.bus.messages import Choice
from voicebus.daemon import engines
from voicebus.daemon.config import ConfigError, load
from voicebus.daemon.processes import command

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.fixture
def folder(tmp_path):
    """The folder of engines beside a configuration, with one in it; umask or not, ours alone."""
    made = tmp_path / "engines"
    made.mkdir(mode=0o755)
    (made / "beeper.py").write_text("first")
    (made / "beeper.py").chmod(0o644)
    return made


@pytest.fixture
def read(folder):
    """Reads a text as the configuration beside the folder."""

    def read(text="", **options):
        path = folder.parent / "voicebus.toml"
        path.write_text(text)
        return load(path, environ={}, **options)

    return read


def whys(settings):
    return {problem.where: problem.reason for problem in settings.problems}


def test_a_file_in_the_folder_is_a_provider(folder, read):
    """Its name is the file's, its program the file, run by the daemon's own interpreter; the default chain stays."""
    settings = read(strict=True)
    provider = settings.providers["beeper"]
    assert command(provider)[1:] == ["-m", "voicebus.workers.script", str(folder / "beeper.py")]
    assert settings.chain == (Choice("espeak"),)


def test_it_can_stand_in_chains_and_be_told_more_of(read):
    """A table without a program of its own adds to it, and a chain may name it."""
    text = '[defaults]\nchain = ["beeper/tone"]\n[providers.beeper]\npython = "/opt/b/bin/python"\n'
    settings = read(text + "settings = {pitch = 3}", strict=True)
    assert command(settings.providers["beeper"])[0] == "/opt/b/bin/python"
    assert settings.providers["beeper"].settings == {"pitch": 3}
    assert settings.chain == (Choice("beeper", "tone"),)


def test_another_text_is_another_provider(folder, read):
    """A file that changed makes settings that differ, so that its workers are started anew; the same text does not."""
    before = read()
    assert read() == before
    (folder / "beeper.py").write_text("other")
    assert read() != before


def test_new_and_removed_files_are_seen(folder, read):
    """Each reading is of the folder as it is; names for nobody are left alone."""
    (folder / "_shared.py").write_text("")
    (folder / ".hidden.py").write_text("")
    (folder / "notes.txt").write_text("")
    (folder / "other.py").write_text("")
    assert set(read().providers) == {"espeak", "beeper", "other"}
    (folder / "beeper.py").unlink()
    assert set(read().providers) == {"espeak", "other"}


def test_a_script_can_be_named(folder, read):
    """`script` names a file anywhere, counted from the configuration's directory."""
    (folder.parent / "mine.py").write_text("")
    settings = read('[providers.mine]\nscript = "mine.py"', strict=True)
    assert command(settings.providers["mine"])[-1] == str(folder.parent / "mine.py")


@pytest.mark.parametrize(
    ("table", "where", "says"),
    [
        ('script = "no.py"', "providers.mine.script", "there is no file"),
        ('script = "engines"', "providers.mine.script", "is no file"),
        ('script = "engines/beeper.py"\nmodule = "m"', "providers.mine", "needs one of module, script, command"),
    ],
)
def test_a_script_that_cannot_be_is_a_mistake_in_the_file(read, table, where, says):
    """What the configuration itself says must be right: on reload it is refused with the reason."""
    assert says in whys(read(f"[providers.mine]\n{table}"))[where]
    with pytest.raises(ConfigError, match=r"providers\.mine"):
        read(f"[providers.mine]\n{table}", strict=True)


@pytest.mark.parametrize("name", ["My Voice.py", "UPPER.py", "espeak.py"])
def test_a_name_that_cannot_be_costs_that_file_only(folder, read, name):
    """A name that is no provider's, or another provider's already, is told; the rest is in force, on reload too."""
    (folder / name).write_text("")
    settings = read(strict=True)
    assert set(settings.providers) == {"espeak", "beeper"}
    assert "left out" in whys(settings)[f"engines/{name}"]


def test_a_table_with_a_program_goes_before_the_file(read):
    """Where both are there, the table counts and the file is told to be left out."""
    settings = read('[providers.beeper]\nmodule = "m"')
    assert settings.providers["beeper"].module == "m"
    assert "there is a provider beeper without it" in whys(settings)["engines/beeper.py"]


def test_a_broken_configuration_still_has_its_engines(read):
    """A file that is no TOML at all costs what it says, not what stands beside it."""
    assert "beeper" in read("[").providers


@pytest.mark.parametrize(
    ("mode", "shared", "taken"), [(0o666, False, False), (0o664, False, True), (0o664, True, False)]
)
def test_what_others_can_write_is_not_run(folder, read, mode, shared, taken):
    """A file that every user can write is left out; in the system's daemon the group's are others too."""
    (folder / "beeper.py").chmod(mode)
    settings = read(strict=True, shared=shared)
    assert ("beeper" in settings.providers) is taken
    assert taken or "can be written by others" in whys(settings)["engines/beeper.py"]


def test_a_folder_that_others_can_write_counts_as_well(folder, read):
    """Who can exchange the file can write it; a sticky folder, where nobody can, is none of these."""
    folder.chmod(0o777)
    assert "chmod o-w" in whys(read())["engines/beeper.py"]
    folder.chmod(0o1777)
    assert not whys(read())


def test_a_link_is_what_it_leads_to(folder, tmp_path, read):
    """Both the folder of a link and the file behind it are looked at."""
    behind = tmp_path / "behind.py"
    behind.write_text("")
    behind.chmod(0o666)
    (folder / "linked.py").symlink_to(behind)
    (folder / "lost.py").symlink_to(tmp_path / "nowhere")
    found = whys(read())
    assert "can be written by others" in found["engines/linked.py"]
    assert "there is no file" in found["engines/lost.py"]


@AS_ROOT
def test_what_belongs_to_somebody_else_is_not_run(folder, read):
    """A file, or a folder, of another user is left out, whoever may write it."""
    os.chown(folder / "beeper.py", 12345, -1)
    assert "belongs to user 12345; what is run must belong to you or root" in whys(read())["engines/beeper.py"]
    os.chown(folder / "beeper.py", 0, -1)
    os.chown(folder, 12345, -1)
    assert "the service's user" in whys(read(shared=True))["engines/beeper.py"]


def test_what_is_no_source_is_not_read(folder, read, monkeypatch):
    """A file too large for a script is left out with the reason."""
    monkeypatch.setattr(engines, "LARGEST", 4)
    assert "too large" in whys(read())["engines/beeper.py"]
