"""A request to speak, from the words of a caller to the message, checked.

Owns: names, defaults and ranges of the options of `speak`. Must not know: sockets, how the answer is read. Invariant:
what leaves here is within the protocol's limits, so that a mistake is an exception here that says what to do, and not
a connection that the daemon cut.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypedDict

from ..bus.codec import BODY_BYTES, HEADER_BYTES, JOB_NAME, VOICE_NAME, encode
from ..bus.errors import InvalidRequest
from ..bus.messages import PRIORITIES, Choice, Consent, Keep, Pace, Priority, Style, Submit, Terminal, VoiceSpec

Entry = Choice | tuple[str, str] | str
"""An entry of a chain: (provider, voice), or "provider", or "provider:voice", or "provider/voice"."""

CHAIN_ENTRIES = 32
SSML_CHARS = 60_000
NAME_CHARS = 256
LOWEST_RATE, HIGHEST_RATE = 4000, 192_000
LONGEST_PATIENCE_S = 86_400.0


class Options(TypedDict, total=False):
    """How to speak; all of them can be left out.

    voice, provider: whom to ask, one way or the other; or chain: several, best first. language: BCP 47, "auto" to
    find out. rate (0.25 to 6), pitch (0.5 to 2), volume (0 to 2): factors, 1.0 is the voice's own. punctuation: how
    much of it is read aloud. instruct, options: for engines that take such. ssml: the text is SSML. priority: class,
    "important" first, then "message", "text", "notification", "progress". pace: "listen" (made as far ahead as a
    listener needs) or "render" (to its end, at once). keep: what stays, "nothing", the "job" for a while, the job in
    the "history", or "" for what is configured. patience: seconds to wait for a better entry of the chain. seed: for
    engines that throw dice.
    skip_bad: leave out a sentence that nobody can say instead of failing. sample_rate: samples a second, 0 for the
    voice's own. job: a name, 1 to 64 of A-Z a-z 0-9 _ . -, made up if left out. whole: hear only finished takes,
    later and never rewound, for what can take nothing back.
    """

    voice: str
    provider: str
    chain: Iterable[Entry]
    language: str
    rate: float
    pitch: float
    volume: float
    punctuation: Literal["", "none", "some", "all"]
    instruct: str
    options: Mapping[str, str | int | float | bool]
    ssml: bool
    priority: Priority
    pace: Pace
    keep: Keep
    patience: float
    seed: int | None
    skip_bad: bool
    sample_rate: int
    job: str
    whole: bool


def submit_for(options: Mapping[str, Any], *, complete: bool) -> Submit:
    """The message for these options. complete: whether the text is there as a whole. Raises InvalidRequest."""
    given = dict(options)
    known = Options.__annotations__
    unknown = [name for name in given if name not in known]
    if unknown:
        raise TypeError(f"speak() has no option {unknown[0]!r}; there are {', '.join(known)}")
    given = {name: value for name, value in given.items() if value is not None}
    submit = Submit(
        job=job_name(given.get("job") or new_job_name()),
        chain=_chain(given),
        language=_name("language", given.get("language", "")),
        complete=complete,
        ssml=bool(given.get("ssml", False)),
        rate=_sample_rate(given.get("sample_rate", 0)),
        style=_style(given),
        priority=_one_of("priority", given.get("priority", "text"), PRIORITIES),
        pace=_one_of("pace", given.get("pace", "listen"), ("listen", "render")),
        keep=_one_of("keep", given.get("keep", "job"), ("", "nothing", "job", "history")),
        patience_s=_within("patience", given.get("patience", 20.0), 0.0, LONGEST_PATIENCE_S),
        seed=_seed(given.get("seed")),
        read="whole" if given.get("whole") else "live",
        skip_bad=bool(given.get("skip_bad", False)),
    )
    if len(encode(submit)) > HEADER_BYTES - 64:
        raise InvalidRequest(f"The options are longer than {HEADER_BYTES} bytes: shorten `instruct` or `options`.")
    return submit


def new_job_name() -> str:
    """A name that nobody made before."""
    return f"j{secrets.token_hex(8)}"


def job_name(name: str) -> str:
    """A job's name, checked. Raises InvalidRequest."""
    if not JOB_NAME.match(name):
        raise InvalidRequest(f"{name!r} cannot be the name of a job: use 1 to 64 of A-Z a-z 0-9 _ . -")
    return name


def text_bytes(text: str) -> bytes:
    """A text in UTF-8. Raises InvalidRequest for half characters (lone surrogates)."""
    if not isinstance(text, str):
        raise TypeError(f"a text or an iterable of texts is wanted, not {type(text).__name__}")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"Character {error.start} of the text cannot be sent: {error.reason}.") from None


def checked_text(text: str, *, ssml: bool) -> bytes:
    """A whole text in UTF-8, of which there is something. Raises InvalidRequest."""
    data = text_bytes(text)
    if not text.strip():
        raise InvalidRequest("There is nothing to say: the text is empty.", code="empty_text")
    if ssml and (len(text) > SSML_CHARS or len(data) > BODY_BYTES):
        raise InvalidRequest(f"An SSML document may have {SSML_CHARS} characters; cut it up.", code="too_long")
    return data


def ended(end: Terminal) -> dict[str, Any]:
    """What `cancel` tells of the end of a job."""
    return {name: getattr(end, name) for name in ("job", "state", "code", "message", "samples")}


def _chain(given: Mapping[str, Any]) -> list[Choice]:
    if "chain" not in given:
        voice, provider = given.get("voice", ""), given.get("provider", "")
        return [Choice(_name("provider", provider), _name("voice", voice))] if voice or provider else []
    if given.get("voice") or given.get("provider"):
        raise InvalidRequest("Give either `chain` or `voice` and `provider`, not both.")
    chain = [_choice(entry) for entry in given["chain"]]
    if len(chain) > CHAIN_ENTRIES:
        raise InvalidRequest(f"A chain has at most {CHAIN_ENTRIES} entries, this one {len(chain)}.")
    return chain


def _choice(entry: Entry) -> Choice:
    if isinstance(entry, Choice):
        return entry
    provider, voice = re.split("[:/]", f"{entry}:", maxsplit=1) if isinstance(entry, str) else entry
    voice = voice.removesuffix(":") if isinstance(entry, str) else voice
    return Choice(_name("provider", provider), _name("voice", voice))


def voice_name(name: str) -> str:
    """A voice's name, checked as far as it can be here. Raises InvalidRequest."""
    if not VOICE_NAME.match(name):
        raise InvalidRequest(
            f"{name!r} cannot be the name of a voice: use up to 64 letters, digits and _ . - after a letter or digit."
        )
    return name


def voice_spec(
    cloned: bool, description: str, languages: Iterable[str], chain: Iterable[Entry], consent: Consent
) -> VoiceSpec:
    """A voice without its recordings. cloned: somebody is heard in them. Raises InvalidRequest."""
    kind: Literal["cloned", "designed"] = "cloned" if cloned else "designed"
    if cloned and not consent.statement.strip():  # before anything is sent
        raise InvalidRequest("Recordings need the word of whoever is heard, or may speak for them (`consent`).")
    tags = [_name("language", tag) for tag in languages]
    return VoiceSpec(kind, description, tags, [_choice(entry) for entry in chain], [], consent)


def voice_changes(
    keep: Iterable[str] | None,
    description: str | None,
    languages: Iterable[str] | None,
    chain: Iterable[Entry] | None,
) -> dict[str, Any]:
    """What of a voice is to be another. Raises InvalidRequest."""
    new: dict[str, Any] = {
        "keep": list(keep) if keep is not None else None,
        "description": description,
        "languages": [_name("language", tag) for tag in languages] if languages is not None else None,
        "chain": [_choice(entry) for entry in chain] if chain is not None else None,
    }
    return {name: value for name, value in new.items() if value is not None}


def _style(given: Mapping[str, Any]) -> Style:
    return Style(
        rate=_within("rate", given.get("rate", 1.0), 0.25, 6.0),
        pitch=_within("pitch", given.get("pitch", 1.0), 0.5, 2.0),
        volume=_within("volume", given.get("volume", 1.0), 0.0, 2.0),
        punctuation=_one_of("punctuation", given.get("punctuation", ""), ("", "none", "some", "all")),
        instruct=str(given.get("instruct", "")),
        options=dict(given.get("options", {})),
    )


def _name(what: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > NAME_CHARS:
        raise InvalidRequest(f"{what} must be a text of at most {NAME_CHARS} characters.")
    return value


def _one_of(what: str, value: Any, choices: tuple[Any, ...]) -> Any:
    if value not in choices:
        words = ", ".join(repr(choice) for choice in choices if choice)
        raise InvalidRequest(f"{what} is {value!r}; it can be {words}.")
    return value


def _within(what: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidRequest(f"{what} is {value!r}; it can be {low:g} to {high:g}.")
    return float(value)


def _sample_rate(value: Any) -> int:
    if value and (not isinstance(value, int) or not LOWEST_RATE <= value <= HIGHEST_RATE):
        raise InvalidRequest(
            f"sample_rate is {value!r}; it can be {LOWEST_RATE} to {HIGHEST_RATE}, or 0 for the voice's own. "
            "(How fast it is spoken is `rate`.)"
        )
    return int(value)


def _seed(value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31):
        raise InvalidRequest(f"seed is {value!r}; it can be 0 to {2**31 - 1}.")
    return value


LISTS = ("status", "workers", "providers", "voices", "jobs", "segments", "history", "text")
"""What can be listed."""


def where(**fields: str | None) -> dict[str, str]:
    """What a list is narrowed by, less what was left out."""
    return {name: _name(name, value) for name, value in fields.items() if value}
