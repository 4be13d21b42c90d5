"""``voicebus.toml``: from text to `Settings`, saying what is wrong and on which line.

Owns: the names of all keys (`KEYS`; ``docs/configuration.md`` describes each). Must not know: which values they may
have (`config_bounds`), what the daemon does with them. Invariant: at start `load` gives settings that work, whatever
the file holds, the bad parts being left out and listed as problems; on reload (`strict`) a file with any problem
changes nothing, but an engine in the folder beside it that cannot be taken costs that engine only.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..bus.endpoints import PROVIDER_VARIABLE, WORKERS_VARIABLE
from ..bus.messages import Choice
from . import engines
from .config_bounds import checked
from .config_text import Lines, syntax_line
from .config_values import Bad, choice, unknown
from .core.settings import Breaking, History, Limits, Problem, Provider, Restart, Settings

ESPEAK = Provider(
    name="espeak",
    module="voicebus.workers.espeak",
    workers=2,
    rate=22050,
    load_s=20.0,
    first_chunk_s=3.0,
    chunk_s=1.5,
)
"""The provider that is there without any configuration; ``[providers.espeak]`` changes parts of it."""

WHISPER = "whisper"
"""The provider that transcribes where the configuration says nothing else."""

_EXTRA = ("secrets", "key_env")
_NOT_KEYS = ("name", "digest")
_PROGRAMS = ("module", "script", "command")
KEYS: dict[str, tuple[str, ...]] = {
    "daemon": ("idle_exit_s",),
    "limits": tuple(field.name for field in fields(Limits)),
    "restart": tuple(field.name for field in fields(Restart)),
    "breaking": tuple(field.name for field in fields(Breaking)),
    "history": tuple(field.name for field in fields(History)),
    "defaults": ("chain", "transcribe", "language"),
    "providers": (*(field.name for field in fields(Provider) if field.name not in _NOT_KEYS), *_EXTRA),
    "chains": (),
    "pronunciations": (),
}
"""All sections and their keys; a provider's for ``providers``, none where the user chooses the names."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NOT_FOR_WORKERS = re.compile(rf"(NOTIFY_SOCKET|WATCHDOG_.*|LISTEN_.*|{WORKERS_VARIABLE}|{PROVIDER_VARIABLE})\Z")

T = TypeVar("T", Limits, Restart, Breaking, History)


class ConfigError(Exception):
    """A file that is not taken over; `problems` says why, all of them."""

    def __init__(self, path: Path, problems: tuple[Problem, ...]) -> None:
        self.path = path
        self.problems = problems
        super().__init__("\n".join(describe(path, problem) for problem in problems))


def describe(path: Path, problem: Problem) -> str:
    """A problem in one line, as compilers write theirs."""
    line = f":{problem.line}" if problem.line else ""
    return f"{path}{line}: {problem.where + ': ' if problem.where else ''}{problem.reason}"


def load(
    path: Path, *, strict: bool = False, environ: Mapping[str, str] | None = None, shared: bool = False
) -> Settings:
    """The settings in a file, and the engines in the folder beside it; the defaults if there is none. Raises
    ConfigError only if `strict`, and never for an engine in that folder. shared: they are for every user's daemon."""
    read = partial(parse, base=path.parent, environ=os.environ if environ is None else environ, shared=shared)
    try:
        settings = read(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        settings = read("")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text in UTF-8"
        default = read("")
        settings = replace(default, problems=(Problem("", 0, f"cannot be read: {reason}"), *default.problems))
    if strict and not all(problem.alone for problem in settings.problems):
        raise ConfigError(path, settings.problems)
    return settings


def parse(text: str, *, base: Path, environ: Mapping[str, str], shared: bool = False) -> Settings:
    """The settings in a text; relative paths in it count from `base`, and the folder of engines is there."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        default = _Reader({}, "", base, environ, shared=shared).settings()
        wrong = Problem("", syntax_line(error), f"not TOML: {error}")
        return replace(default, problems=(wrong, *default.problems))
    return _Reader(data, text, base, environ, shared=shared).settings()


class _Reader:
    """One reading of one file."""

    def __init__(
        self, data: dict[str, Any], text: str, base: Path, environ: Mapping[str, str], *, shared: bool
    ) -> None:
        self._data = data
        self._shared = shared
        self._lines = Lines(text)
        self._base = base
        self._environ = environ
        self._problems: list[Problem] = []

    def settings(self) -> Settings:
        for name in self._data:
            if name not in KEYS:
                self._problem((name,), unknown("section", name, KEYS))
        daemon = self._section("daemon")
        idle = self._value(("daemon", "idle_exit_s"), daemon.get("idle_exit_s", 0.0), 0.0)
        providers = self._providers()
        defaults = self._section("defaults")
        chain = self._default_chain(defaults, providers)
        usual = [WHISPER] if WHISPER in providers else None
        asked = defaults.get("transcribe", usual)
        hears = () if asked is None else self._chain(("defaults", "transcribe"), asked, providers)
        language = self._value(("defaults", "language"), defaults.get("language", "en"), "en")
        chains = {}
        for name, entries in self._section("chains").items():
            if found := self._chain(("chains", name), entries, providers):
                chains[name] = found
        return Settings(
            providers=providers,
            chain=chain,
            transcribe=hears,
            chains=chains,
            language=language,
            pronunciations=self._strings(("pronunciations",), self._section("pronunciations")),
            limits=self._budgets(self._numbers("limits", Limits())),
            restart=self._numbers("restart", Restart()),
            breaking=self._numbers("breaking", Breaking()),
            history=self._numbers("history", History()),
            idle_exit_s=idle,
            problems=tuple(sorted(self._problems, key=lambda problem: problem.line)),
        )

    # ---------------------------------------------------------------------------------------- small parts

    def _problem(self, path: tuple[str, ...], reason: str) -> None:
        where = ".".join(path)
        self._problems.append(Problem(where, self._lines.of(path), reason))

    def _section(self, name: str) -> dict[str, Any]:
        """A section without its unknown keys, empty if it is missing or no table."""
        found = self._data.get(name, {})
        if not isinstance(found, dict):
            self._problem((name,), f"is a section: write [{name}]")
            return {}
        known = KEYS[name]
        if not known or name == "providers":
            return found
        for key in found.keys() - set(known):
            self._problem((name, key), unknown("key", key, known))
        return {key: value for key, value in found.items() if key in known}

    def _value(self, path: tuple[str, ...], value: Any, default: Any) -> Any:
        """The value if it is of the default's type and within bounds, else the default and a problem."""
        try:
            return checked(path[-1], value, default)
        except Bad as bad:
            self._problem(path, str(bad))
            return default

    def _numbers(self, section: str, default: T) -> T:
        found = self._section(section)
        values = {key: self._value((section, key), value, getattr(default, key)) for key, value in found.items()}
        return replace(default, **values)

    def _budgets(self, limits: Limits) -> Limits:
        """The limits, with only those devices whose budget is a number of bytes."""
        path, found = ("limits", "vram_budget_bytes"), limits.vram_budget_bytes.items()
        checked = {device: self._value((*path, device), value, 0) for device, value in found}
        return replace(limits, vram_budget_bytes={device: value for device, value in checked.items() if value})

    def _strings(self, path: tuple[str, ...], table: Mapping[str, Any]) -> dict[str, str]:
        for key, value in table.items():
            if not isinstance(value, str):
                self._problem((*path, key), "must be a string")
        return {key: value for key, value in table.items() if isinstance(value, str)}

    # ------------------------------------------------------------------------------------------- chains

    def _default_chain(self, defaults: dict[str, Any], providers: dict[str, Provider]) -> tuple[Choice, ...]:
        if "chain" in defaults and (chain := self._chain(("defaults", "chain"), defaults["chain"], providers)):
            return chain
        if ESPEAK.name in providers:
            return (Choice(ESPEAK.name),)
        return tuple(Choice(name) for name in providers)

    def _chain(self, path: tuple[str, ...], entries: Any, providers: dict[str, Provider]) -> tuple[Choice, ...]:
        if not isinstance(entries, list) or not entries:
            self._problem(path, 'must be a list of providers or "provider/voice"')
            return ()
        chain = []
        for entry in entries:
            try:
                chain.append(choice(entry, providers))
            except Bad as bad:
                self._problem(path, str(bad))
        return tuple(chain)

    # ---------------------------------------------------------------------------------------- providers

    def _providers(self) -> dict[str, Provider]:
        """All providers that are in order and in use: those of the file, then those of the folder of engines."""
        tables = {ESPEAK.name: {}, **self._section("providers")}
        scripts = self._scripts(tables)
        found = {}
        for name, table in (tables | {name: tables.get(name, {}) for name in scripts}).items():
            # Whatever is wrong with its table, the default engine is there: a typo must not make the machine mute.
            provider = self._provider(name, table, scripts.get(name))
            provider = provider or (ESPEAK if name == ESPEAK.name else None)
            # Without workers of its own, a provider needs a key with which others' can come in.
            if provider is not None and (provider.workers or provider.key):
                found[name] = provider
        return found

    def _scripts(self, tables: Mapping[str, Any]) -> dict[str, engines.Found]:
        """The files in the folder of engines; a table without a program of its own may add to one."""
        taken, refused = engines.look(self._base / engines.FOLDER, shared=self._shared)
        for name in taken.keys() & tables.keys():
            table = tables[name]
            if name == ESPEAK.name or not isinstance(table, dict) or any(key in table for key in _PROGRAMS):
                del taken[name]
                refused[f"{name}.py"] = f"there is a provider {name} without it; give the file another name"
        for file, reason in refused.items():
            where = f"{engines.FOLDER}/{file}"
            self._problems.append(Problem(where, 0, f"{reason} (it is left out)", alone=True))
        return taken

    def _provider(self, name: str, table: Any, script: engines.Found | None) -> Provider | None:
        path = ("providers", name)
        before = len(self._problems)
        if not isinstance(table, dict):
            self._problem(path, f"is a section: write [providers.{name}]")
            return None
        if not engines.NAME.match(name):
            self._problem(path, "a provider's name is of lower case letters, digits, _ and -")
        default = ESPEAK if name == ESPEAK.name else Provider(name)
        if script is not None:
            default = replace(default, script=str(script.path), digest=script.digest)
        if "command" in table or "script" in table:
            default = replace(default, module="")
        values = {}
        for key, value in table.items():
            if key not in KEYS["providers"]:
                self._problem((*path, key), unknown("key", key, KEYS["providers"]))
            elif key not in _EXTRA:
                values[key] = self._value((*path, key), value, getattr(default, key))
        provider = replace(default, **values)
        provider = self._environment(path, provider)
        provider = self._with_secrets(path, table, provider)
        if "script" in values:
            provider = self._named_script(path, provider)
        programs = sum(bool(getattr(provider, key)) for key in _PROGRAMS)
        if programs > 1 or (not programs and provider.workers):
            self._problem(path, f"needs one of {', '.join(_PROGRAMS)}")
        # With a mistake anywhere in it, a provider is left out: half of one might speak in the wrong voice.
        return provider if len(self._problems) == before else None

    def _named_script(self, path: tuple[str, ...], provider: Provider) -> Provider:
        """With the file that its table names, from this file's directory."""
        try:
            found = engines.examine(self._base / Path(provider.script).expanduser(), shared=self._shared)
        except (engines.UnfitError, RuntimeError) as error:
            self._problem((*path, "script"), str(error))
            return provider
        return replace(provider, script=str(found.path), digest=found.digest)

    def _environment(self, path: tuple[str, ...], provider: Provider) -> Provider:
        values: dict[str, Any] = dict(provider.env)
        for name, value in values.items():
            if not isinstance(value, str):
                self._problem((*path, "env", name), "must be a string")
            elif not _VARIABLE.match(name) or "\0" in value:
                self._problem((*path, "env", name), "cannot be an environment variable")
            elif _NOT_FOR_WORKERS.match(name):
                self._problem((*path, "env", name), "is the daemon's to set")
        return provider

    def _with_secrets(self, path: tuple[str, ...], table: dict[str, Any], provider: Provider) -> Provider:
        secrets = table.get("secrets", {})
        settings = dict(provider.settings)
        if not isinstance(secrets, dict):
            self._problem((*path, "secrets"), "must be a table")
            secrets = {}
        for name, source in secrets.items():
            settings[name] = self._try((*path, "secrets", name), partial(self._secret, source))
        key = provider.key
        if "key_env" in table:
            key = self._try((*path, "key_env"), lambda: self._variable(checked("key_env", table["key_env"], "")))
        return replace(provider, settings=settings, key=key)

    def _try(self, path: tuple[str, ...], get: Callable[[], str]) -> str:
        try:
            return get()
        except Bad as bad:
            self._problem(path, str(bad))
            return ""

    def _secret(self, source: Any) -> str:
        kind, _, rest = source.partition(":") if isinstance(source, str) else ("", "", "")
        if kind == "env" and rest:
            return self._variable(rest)
        if kind == "file" and rest:
            try:
                return (self._base / Path(rest).expanduser()).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError, RuntimeError) as error:
                raise Bad(f"{rest} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        raise Bad('must be "env:NAME" or "file:PATH": secrets do not stand in this file')

    def _variable(self, name: str) -> str:
        value = self._environ.get(name, "")
        if not value:
            raise Bad(f"the daemon's environment has no {name}")
        return value
