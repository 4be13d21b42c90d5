"""What must not stand in a report, taken out: texts, secrets, names of people and machines.

Owns: the rules for each kind of line and value. Must not know: where they come from. Invariant: what somebody else
wrote (a worker's output, an engine's message) is let through only where its form is known to hold nothing private; all
else is replaced by its length. Rather too little is told than too much.
"""

from __future__ import annotations

import getpass
import json
import os
import pwd
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...bus.errors import FAILURES
from ...bus.wording import counted

SECRET_NAME = re.compile(
    r"key|secret|token|passw|passphrase|credential|auth|cookie|private|signature|\bpin\b", re.IGNORECASE
)
"""Names of settings and variables whose values nobody is to see."""

_SHORTEST = 4
"""A shorter value is no secret, and replacing it everywhere would make the report unreadable."""

_LONG = 8
"""From this length on any variable of a worker's environment is taken for one."""

_SHAPES = tuple(
    (re.compile(pattern, re.IGNORECASE), with_)
    for pattern, with_ in (
        (r"\b(?:sk|pk|rk|hf|gh[pousr]|xox[a-z]|glpat|eyJ)[-_A-Za-z0-9.]{12,}", "<secret>"),
        (r"\bAKIA[0-9A-Z]{12,}", "<secret>"),
        (r"\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{6,}", r"\1 <secret>"),
        (
            r"\b([a-z0-9_.-]*(?:key|secret|token|password|passwd)[a-z0-9_]*)(\"?\s*[=:]\s*\"?)[^\s\",}]{4,}",
            r"\1\2<secret>",
        ),
        (r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)", "<secret>"),
        (r"\b(?=[A-Za-z+_-]*[0-9])[A-Za-z0-9+_-]{32,}={0,2}", "<secret>"),
        (r"\b[\w.+-]+@[\w-]+\.[\w.-]+\b", "<mail>"),
        (r"(?<=/home/)[^/\s\"']+|(?<=/Users/)[^/\s\"']+", "<user>"),
        (r"(?<=/run/user/)[0-9]+", "<uid>"),
    )
)

_KNOWN = re.compile(
    r"exited with code \d+|was ended by signal \d+|could not be started|was not ready within [\d.]+ s"
    r"|did not (?:stop|finish) within [\d.]+ s|made no progress for [\d.]+ s|(?:was )?silent for [\d.]+ s"
    r"|lost its connection and did not come back|it is not needed any more|the daemon (?:stops|leaves)"
    r"|broke the protocol|it is started when it is asked for|it is no longer configured"
    r"|(?:\S+ )?(?:is not ready yet|has failed too often lately and rests|died too often before it was ready"
    r"|cannot work as it is configured)"
    r"|the last time it (?:exited with code \d+|was ended by signal \d+|could not be started)"
    r"|(?:ModuleNotFoundError|ImportError)|No module named '[\w.]+'|CUDA out of memory|protocol|no worker is connected"
    r"|Permission denied|No such file or directory|No space left on device|Cannot allocate memory"
    r"|\d+ characters? gave [\d.]+ s of silence|[\d.]+ s for a text that usually takes [\d.]+ s|\d+ of \d+ samples came"
)
"""What the daemon says in its own words, and what systems say that holds no text."""

_LOADING = re.compile(r"((?:.*exited with code \d+(?:: | \())?)(cannot load: [a-z_]+: .*)\Z", re.DOTALL)
"""Why an engine could not be loaded, in its own words: it has not been given a text by then."""

_PARTS = re.compile(r"(: |; | \(|\))")
_FRAME = re.compile(r'\s*File "[^"]+", line \d+(, in [\w<>.]+)?\Z|Traceback \(most recent call last\):\Z'
                    r"|(Current thread|Thread) 0x[0-9a-f]+ .*\(most recent call first\):\Z"
                    r"|Fatal Python error: [A-Z][\w ]{0,40}\Z")  # fmt: skip
_ERROR = re.compile(r"((?:\w+\.)*\w*(?:Error|Exception|Warning|Interrupt))(: ?(.*))?\Z")
_STAMPED = re.compile(r"(\d{4}-\d\d-\d\d [\d:,]+ [A-Z]+ +)(.*)\Z", re.DOTALL)
_WORKER = re.compile(r"([\w-]+/x?\d+(?: \(pid \d+\))?)(: | )(.*)\Z", re.DOTALL)
_COUNTED = re.compile(
    r"((?:failed|fenced) attempts|protocol breaks of workers|refused workers|bad (?:worker|client) messages"
    r"|takes that could not be written)(: )(.*)\Z",
    re.DOTALL,
)
_OWN = re.compile(
    r"voicebus [\w.+-]+ starts as process \d+|leaving with code \d+|[\w-]+ is ready after [\d.]+ s"
    r"|stopping: takes in hand are finished, readers may fetch what is made|(?:the )?configuration (?:was )?read again"
    r"|idle for [\d.]+ s|removed \d+ files that an earlier run left|the daemon stops on an error of its own"
    r"|had nothing to do for [\d.]+ s and is unloaded"
    r"|(?:has made \d+ takes|uses \d+ MB more memory(?: on its device)? "
    r"than when it was ready); "
    r"(?:[\w-]+/\d+ is made ready to take its place|it finishes what it has and is started anew)"
)
_REMARK = re.compile(r" \(further ones are only counted\)\Z")


class Redaction:
    """Takes private things out of lines. secrets: values that must not appear anywhere. names: of providers."""

    def __init__(self, secrets: Iterable[str] = (), names: Iterable[str] = ()) -> None:
        # Longest first, so that nothing is left of one that begins with another.
        values = {value for value in secrets if len(value) >= _SHORTEST}
        values |= {json.dumps(value, ensure_ascii=False)[1:-1] for value in values}
        self._secrets = sorted(values, key=len, reverse=True)
        self._names = frozenset(names) | FAILURES.keys()
        self._people = [*_people()]

    def clean(self, text: str) -> str:
        """The text without secrets, home directories, and names of this user and machine."""
        for secret in self._secrets:
            text = text.replace(secret, "<secret>")
        for home in _homes():
            text = re.sub(rf"{re.escape(home)}(?=[/\s\"':,)]|\Z)", "~", text, flags=re.MULTILINE)
        for pattern, with_ in _SHAPES:
            text = pattern.sub(with_, text)
        for pattern, with_ in self._people:
            text = pattern.sub(with_, text)
        return text

    def output(self, line: str) -> str:
        """A line that a worker wrote: where in a program, and which kind of error, but no words of its own."""
        if _FRAME.match(line) or line.startswith("cannot load: load_failed: "):
            return line
        error = _ERROR.match(line)
        if error is None:
            return _length(line)
        said = error[3] or ""
        return f"{error[1]}: {said if _KNOWN.fullmatch(said) else _length(said)}" if said else error[1]

    def failure(self, line: str) -> str:
        """Why something failed: the daemon's own words for it, and the lengths of all others."""
        loading = _LOADING.fullmatch(line)
        if loading is not None:
            return self.failure(loading[1]) + loading[2]
        kept = []
        for part in _PARTS.split(line):
            known = not part or _PARTS.fullmatch(part) or part in self._names or _KNOWN.fullmatch(part)
            kept.append(part if known else self.output(part))
        return "".join(kept)

    def log_line(self, line: str) -> str:
        """A line of the daemon's log, or one that belongs to the line before."""
        stamped = _STAMPED.match(line)
        if stamped is None:
            return self.output(line)
        said = stamped[2]
        remark = _REMARK.search(said)
        said = _REMARK.sub("", said)
        return stamped[1] + self._message(said) + (remark[0] if remark else "")

    def _message(self, said: str) -> str:
        if _OWN.fullmatch(said):
            return said
        found = _WORKER.match(said) or _COUNTED.match(said)
        if found is None:
            return self.failure(said)
        own = _OWN.fullmatch(found[3])
        return found[1] + found[2] + (found[3] if own else self.failure(found[3]))


def _length(text: str) -> str:
    return f"<{counted(len(text), 'character')}>"


def _homes() -> Iterator[str]:
    with suppress(RuntimeError):
        home = Path.home()
        yield from dict.fromkeys([str(home), str(home.resolve())])


def _people() -> Iterator[tuple[re.Pattern[str], str]]:
    """This user's and this machine's names, as whole words."""
    users, hosts = set(), set()
    with suppress(OSError, KeyError):
        users |= {getpass.getuser(), os.environ.get("SUDO_USER", "")}
    with suppress(KeyError):
        about = pwd.getpwuid(os.getuid())
        users |= {about.pw_name, about.pw_gecos.split(",")[0]}
    with suppress(OSError):
        name = socket.gethostname()
        hosts |= {name, name.partition(".")[0]}
    for names, with_ in ((hosts, "<host>"), (users, "<user>")):
        for name in sorted(filter(None, names), key=len, reverse=True):
            if name not in {"localhost", "voicebus"}:
                yield re.compile(rf"(?<![\w]){re.escape(name)}(?![\w])", re.IGNORECASE), with_


# ----------------------------------------------------------------------------------------------------- configuration


def blanked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without values that may be secret, and without words that somebody says: of pronunciations only
    how many there are."""
    shown = {name: _blanked(name, value) for name, value in settings.items() if name != "pronunciations"}
    words = settings.get("pronunciations")
    if isinstance(words, dict):
        shown["pronunciations"] = f"<{counted(len(words), 'word')}>"
    return shown


def _blanked(name: str, value: Any) -> Any:
    if name == "env" and isinstance(value, dict):
        return dict.fromkeys(value, "<value>")
    if name == "secrets" and isinstance(value, dict):
        return {key: str(source).partition(":")[0] + ":<name>" for key, source in value.items()}
    if isinstance(value, dict):
        return {key: _blanked(key, inner) for key, inner in value.items()}
    if SECRET_NAME.search(name) and not isinstance(value, bool | int | float):
        return "<secret>"
    if isinstance(value, list):
        options = ["", *(item if _is_option(item) else "" for item in value)]
        return [_blanked(before, inner) for before, inner in zip(options, value, strict=False)]
    return value


def _is_option(item: Any) -> bool:
    """Whether what follows in a command line is its value."""
    return isinstance(item, str) and item.startswith("-") and "=" not in item


def secrets_of(settings: Mapping[str, Any], environ: Mapping[str, str], base: Path) -> list[str]:
    """All secret values that a configuration has or names, and those of the environment that are called so."""
    found = [value for name, value in environ.items() if SECRET_NAME.search(name)]
    for name, value in _leaves(settings):
        if not isinstance(value, str):
            continue
        if name[-2:-1] == ("secrets",) or name[-1] == "key_env":
            found += _named(value if name[-1] != "key_env" else f"env:{value}", environ, base)
        elif SECRET_NAME.search(name[-1]) or ("env" in name and len(value) >= _LONG):
            found.append(value)
    return found


def _named(source: str, environ: Mapping[str, str], base: Path) -> Iterator[str]:
    kind, _, rest = source.partition(":")
    if kind == "env":
        yield environ.get(rest, "")
    elif kind == "file":
        with suppress(OSError, UnicodeDecodeError, RuntimeError):
            yield (base / Path(rest).expanduser()).read_text(encoding="utf-8").strip()
    else:
        yield source


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, str(name)))
    elif isinstance(value, list):
        options = ["", *(item if _is_option(item) else "" for item in value)]
        for before, inner in zip(options, value, strict=False):
            yield from _leaves(inner, (*path, before) if before else path)
    elif path:
        yield path, value
