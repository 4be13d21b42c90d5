"""Names that a person types: near ones for a wrong one, formats by extension, values with a range."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any

import click

from ..saving import EXTENSIONS, FORMATS


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """A sentence with the names nearest to a wrong one, with a space before it; empty where none is near."""
    from difflib import get_close_matches

    by_lower = {name.lower(): name for name in names}
    near = [by_lower[name] for name in get_close_matches(word.lower(), list(by_lower), n=3, cutoff=0.6)]
    if not near:
        return ""
    return f" Did you mean {' or '.join(near)}?"


def format_for(path: str, wanted: str | None) -> str:
    """The format to write to `path` ("-" is standard output). Raises UsageError for one that nobody knows."""
    if wanted is not None:
        return wanted
    if path == "-":
        return "wav"
    extension = PurePath(path).suffix.lstrip(".").lower()
    if extension in EXTENSIONS:
        return EXTENSIONS[extension]
    hint = did_you_mean(extension, EXTENSIONS) if extension else ""
    what = f"The extension .{extension} of {path} names no audio format" if extension else f"{path} has no extension"
    raise click.UsageError(f"{what}.{hint} Use one of {', '.join(FORMATS)}, or say which with --format.")


class Name(click.Choice):  # type: ignore[type-arg]  # generic only in newer releases
    """One of a few words, with the near one suggested for a wrong one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        choices = [str(choice) for choice in self.choices]
        word = str(value).lower()
        if word not in choices:
            self.fail(f"{value!r} is not one of {', '.join(choices)}.{did_you_mean(word, choices)}", param, ctx)
        return word


class Factor(click.ParamType):  # type: ignore[type-arg]  # as above
    """A factor to the normal value: `1.5`, `1.5x` and `150%` are the same."""

    name = "factor"

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.high = high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value).strip().lower()
        try:
            number = float(text[:-1]) / 100 if text.endswith("%") else float(text.removesuffix("x"))
        except ValueError:
            self.fail(f"{value!r} is not a factor such as 1.5 or 150%.", param, ctx)
        if not self.low <= number <= self.high:
            self.fail(f"{value} is out of range: {self.low:g} to {self.high:g}, where 1 is normal.", param, ctx)
        return number


class Option(click.ParamType):  # type: ignore[type-arg]  # as above
    """`NAME=VALUE`, the value a number where it is one, a yes or no as `true` or `false`, else a text."""

    name = "option"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str | int | float | bool]:
        name, given, text = str(value).partition("=")
        if not given or not name.strip():
            self.fail(f"{value!r} is not NAME=VALUE, such as temperature=0.7.", param, ctx)
        return name.strip(), _read(text.strip())


def _read(text: str) -> str | int | float | bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(text)
    return text


Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def complete(function: str) -> Completer:
    """A completer from the module `completing`, imported when a shell asks."""

    def ask(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from . import completing

        found: list[str] = getattr(completing, function)(incomplete)
        return found

    return ask
