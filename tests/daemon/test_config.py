"""The configuration file: what is taken, what is refused, and where the mistake is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from voicebus.bus.messages import Choice
from voicebus.daemon.config import ESPEAK, KEYS, ConfigError, describe, load
from voicebus.daemon.core.settings import Limits, Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def read(tmp_path):
    """Reads a text as a configuration file."""

    def read(text, *, strict=False, **environ):
        path = tmp_path / "voicebus.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(path, strict=strict, environ=environ)

    return read


def problems(settings):
    return [(problem.line, problem.where, problem.reason) for problem in settings.problems]


def test_without_a_file_espeak_speaks(tmp_path):
    """With no file at all there is one provider, espeak, and it is the default chain."""
    settings = load(tmp_path / "none.toml", strict=True)
    assert settings == Settings(providers={"espeak": ESPEAK}, chain=(Choice("espeak"),))
    assert (ESPEAK.workers, ESPEAK.rate, ESPEAK.first_chunk_s, ESPEAK.chunk_s) == (2, 22050, 3.0, 1.5)


def test_every_section_is_read(read):
    """All sections reach the settings, whole numbers as times too."""
    settings = read(
        """
        [daemon]
        idle_exit_s = 600
        [limits]
        clients = 5
        [restart]
        intensity = 3
        [breaking]
        open_s = 7
        [defaults]
        chain = ["quick/anna", {provider = "espeak", voice = "de"}]
        language = "de"
        [providers.quick]
        command = ["/opt/quick", "--serve"]
        workers = 3
        env = {MODELS = "/models"}
        settings = {size = 7}
        [providers.far]
        workers = 0
        key = "let me in"
        [chains]
        narrator = ["quick/bert", "espeak"]
        [pronunciations]
        nginx = "engine x"
        """,
        strict=True,
    )
    quick = settings.providers["quick"]
    assert (quick.command, quick.module, quick.workers) == (("/opt/quick", "--serve"), "", 3)
    assert (quick.env, quick.settings) == ({"MODELS": "/models"}, {"size": 7})
    assert settings.providers["far"].key == "let me in"
    assert settings.chain == (Choice("quick", "anna"), Choice("espeak", "de"))
    assert settings.chains == {"narrator": (Choice("quick", "bert"), Choice("espeak"))}
    assert (settings.idle_exit_s, settings.limits.clients, settings.language) == (600.0, 5, "de")
    assert (settings.restart.intensity, settings.breaking.open_s) == (3, 7.0)
    assert settings.pronunciations == {"nginx": "engine x"}


def test_parts_of_espeak_can_be_changed_and_it_can_be_switched_off(read):
    """A table for espeak changes only what it names; with no workers and no key, a provider is not there."""
    assert read("[providers.espeak]\nworkers = 1").providers["espeak"].rate == 22050
    other = '[providers.other]\nmodule = "m"\n[providers.espeak]\nworkers = 0'
    assert (list(read(other).providers), read(other).chain) == (["other"], (Choice("other"),))


def test_a_provider_with_a_mistake_is_left_out_and_the_rest_runs(read):
    """At start a bad provider is missing, with line and reason; everything else is in force."""
    settings = read(
        '[providers.good]\nmodule = "m"\n\n[providers.bad]\nmodule = "m"\nworkers = "two"\n[limits]\njobs = 9\n'
    )
    assert set(settings.providers) == {"espeak", "good"}
    assert problems(settings) == [(6, "providers.bad.workers", "must be a whole number")]
    assert settings.limits.jobs == 9


def test_unknown_names_are_pointed_out_with_the_nearest_one(read):
    """A misspelt section, key or provider is named with its line and what was perhaps meant."""
    settings = read('[limit]\n[limits]\njobz = 1\n[defaults]\nchain = ["espeek"]\n[providers.x]\nmodul = "m"\n')
    assert problems(settings) == [
        (1, "limit", "unknown section; did you mean limits?"),
        (3, "limits.jobz", "unknown key; did you mean jobs?"),
        (5, "defaults.chain", "no provider espeek in use; did you mean espeak?"),
        (6, "providers.x", "needs either module or command"),
        (7, "providers.x.modul", "unknown key; did you mean module?"),
    ]
    assert settings.chain == (Choice("espeak"),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("limits = 3", "is a section: write [limits]"),
        ("[limits]\njobs = 0", "must be at least 1"),
        ("[limits]\njobs = true", "must be a whole number"),
        ("[limits]\njobs = 1.5", "must be a whole number"),
        ("[limits]\nabandon_s = nan", "must be finite"),
        ("[limits]\nabandon_s = 0", "must be more than 0"),
        ('[limits]\nabandon_s = "1"', "must be a number"),
        ("[daemon]\nidle_exit_s = -1", "must be at least 0"),
        ("[defaults]\nlanguage = 7", "must be a string"),
        ("[defaults]\nchain = []", 'must be a list of providers or "provider/voice"'),
        ("[chains]\na = [7]", '7 is neither "provider/voice" nor {provider = ..., voice = ...}'),
        ('[chains]\na = ["/x"]', "'/x' names no provider"),
        ("[pronunciations]\na = 7", "must be a string"),
        ("[providers]\nx = 7", "is a section: write [providers.x]"),
        ("[providers.espeak]\nworkers = 65", "must be at most 64"),
        ('[providers.X]\nmodule = "m"', "a provider's name is of lower case letters, digits, _ and -"),
        ('[providers.x]\nmodule = "m"\ncommand = ["c"]', "needs either module or command"),
        ("[providers.x]\ncommand = [7]", "must be a list of strings"),
        ('[providers.x]\ncommand = "c"', "must be a list of strings"),
        ('[providers.x]\nmodule = "m"\nenv = {A = 1}', "must be a string"),
        ('[providers.x]\nmodule = "m"\nenv = {"A=B" = "1"}', "cannot be an environment variable"),
        ('[providers.x]\nmodule = "m"\nenv = {NOTIFY_SOCKET = "1"}', "is the daemon's to set"),
        ('[providers.x]\nmodule = "m"\nsettings = 7', "must be a table"),
        ('[providers.x]\nmodule = "m"\nsecrets = 7', "must be a table"),
        ('[providers.x]\nmodule = "m"\nkey_env = 7', "must be a string"),
        ('[providers.x]\nmodule = "m"\nkey_env = "NONE"', "the daemon's environment has no NONE"),
    ],
)
def test_bad_values_are_named(read, text, reason):
    """Each kind of bad value has its reason, and the settings that come out are whole all the same."""
    settings = read(text)
    assert reason in [problem.reason for problem in settings.problems]
    assert "espeak" in settings.providers or "espeak" in text
    assert settings.limits == Limits()
    with pytest.raises(ConfigError):
        read(text, strict=True)


@pytest.mark.parametrize("text", [b"[limits]\njobs = \n", b"\xff\xfe", b"a = 1\na = 2"])
def test_what_cannot_be_read_at_all_leaves_the_defaults(read, text):
    """A file that is not TOML, or not even text, is one problem, and the daemon starts with its defaults."""
    settings = read(text)
    assert len(settings.problems) == 1
    assert settings.providers == {"espeak": ESPEAK}


def test_a_syntax_error_has_its_line(read, tmp_path):
    """Problems print as path, line and reason."""
    [problem] = read("[limits]\njobs = \n").problems
    assert describe(tmp_path / "v.toml", problem).startswith(f"{tmp_path}/v.toml:2: not TOML: ")


def test_strict_reading_is_all_or_nothing(read):
    """On reload a single mistake refuses the file, and the error lists all mistakes."""
    with pytest.raises(ConfigError, match=r"toml:2: limits.jobs: .*\n.*toml:4: chains.a: ") as caught:
        read("[limits]\njobs = 0\n[chains]\na = 7\n", strict=True)
    assert len(caught.value.problems) == 2


def test_secrets_come_from_the_environment_or_a_file(read, tmp_path):
    """Secrets are merged into a provider's settings, from a variable or from a file beside the
    configuration."""
    (tmp_path / "token").write_text("from a file\n")
    settings = read(
        '[providers.x]\nmodule = "m"\nsettings = {a = 1}\nkey_env = "KEY"\n'
        'secrets = {api_key = "env:API", token = "file:token"}',
        strict=True,
        API="from outside",
        KEY="shared",
    )
    provider = settings.providers["x"]
    assert provider.settings == {"a": 1, "api_key": "from outside", "token": "from a file"}
    assert provider.key == "shared"


@pytest.mark.parametrize("source", ["sk-123", "env:", "env:NONE", "file:none", 7])
def test_a_secret_that_cannot_be_had_leaves_its_provider_out(read, source):
    """A provider without its key is not started, and the message does not repeat what may be the key
    itself."""
    settings = read(f'[providers.x]\nmodule = "m"\n[providers.x.secrets]\napi_key = {source!r}')
    assert "x" not in settings.providers
    assert [problem.line for problem in settings.problems] == [4]
    assert "sk-123" not in settings.problems[0].reason


def test_lines_are_found_behind_strings_and_inline_tables(read):
    """Texts of several lines and tables in one line do not confuse the line numbers."""
    settings = read('[pronunciations]\na = """\n[limits]\njobs = 5\n"""\nb.c = 1\n"d e" = 2\n')
    assert [(line, where) for line, where, _ in problems(settings)] == [
        (6, "pronunciations.b"),
        (7, "pronunciations.d e"),
    ]


def test_the_document_lists_exactly_the_keys_that_are_read():
    """docs/configuration.md describes every key of every section, and no other."""
    documented, section = {}, ""
    for line in (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").splitlines():
        if header := re.match(r"## `\[([a-z]+)", line):
            section = header[1]
            documented[section] = []
        elif line.startswith("## "):
            section = ""
        elif section and (key := re.match(r"\| `([a-z_]+)` ", line)):
            documented[section].append(key[1])
    assert {name: sorted(keys) for name, keys in documented.items()} == {
        name: sorted(keys) for name, keys in KEYS.items()
    }


def test_budgets_of_devices_are_numbers_of_bytes(read):
    """`vram_budget_bytes` is a table from device to bytes; what is no number is left out and named, with its place."""
    settings = read('[limits]\nmemory_budget_bytes = 7\nvram_budget_bytes = { "cuda:0" = 5, "cuda:1" = "much" }\n')
    assert settings.limits.memory_budget_bytes == 7
    assert settings.limits.vram_budget_bytes == {"cuda:0": 5}
    assert [(p.where, p.line, p.reason) for p in settings.problems] == [
        ("limits.vram_budget_bytes.cuda:1", 3, "must be a whole number")
    ]
    assert read("[limits]\nvram_budget_bytes = 5\n").problems[0].reason == "must be a table"


def test_sleeping_and_recycling_are_off_unless_asked_for(read):
    """No provider is unloaded or recycled by default, espeak included; the keys take zero for never."""
    settings = read('[providers.big]\nmodule = "m"\nidle_unload_s = 300\nkeep_warm = 1\nrecycle_rss_bytes = 0\n')
    espeak, big = settings.providers["espeak"], settings.providers["big"]
    assert (espeak.idle_unload_s, espeak.recycle_jobs, espeak.recycle_rss_bytes) == (0, 0, 0)
    assert (big.idle_unload_s, big.keep_warm, big.recycle_rss_bytes) == (300.0, 1, 0)
    assert settings.problems == ()
