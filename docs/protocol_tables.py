"""The tables of messages in ``protocol.md``, made from ``bus/messages.py`` and what it names.

Owns: everything in that file between ``<!-- table: ... -->`` and ``<!-- end -->``; the rest is written by hand. A
test compares the two; run ``python docs/protocol_tables.py`` after changing a message.
"""

from __future__ import annotations

import inspect
import re
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from voicebus.bus import archived, errors, messages

DOCUMENT = Path(__file__).with_name("protocol.md")

# Fields that mean the same wherever they occur; what a message's own docstring says goes before this.
COMMON = {
    "v": "protocol version in which this message is written",
    "epoch": "which run of the daemon this belongs to",
    "job": "the job's name, chosen by the client",
    "segment": "number of the segment in the job, from 0",
    "take": "name of the take: the attempt that made this audio",
    "attempt": "name of the attempt, from WORK",
    "session": "the worker's session, from WELCOME",
    "request": "a word of the client's own, 1 to 256 characters, repeated in the answer",
    "n": "number of the piece, from 0",
    "name": "of the program, for people to read",
    "version": "of the program, for people to read",
    "count": "how many",
    "pid": "process number as the sender sees it, for people to read",
    "low": "oldest protocol version that the sender speaks",
    "high": "newest protocol version that the sender speaks",
    "message": "for a person: what happened, to what, what to do",
    "provider": "name of the provider",
    "voice": "name of the voice",
    "state": "of the job",
    "rate": "samples a second",
    "kind": "of what sort",
    "offset": "position in the job's audio, samples",
    "start": "position in the text, code points",
    "length": "code points of text",
    "language": "BCP 47",
    "reason": "why, as a failure class or a word from the table of reasons",
    "what": "name of the list",
    "samples": "number of samples in the whole take",
    "ssml": "whether the body is SSML and not plain text",
    "complete": "whether the body is the whole text",
    "existing": "whether the job was there before",
    "priority": "class of the job, most urgent first",
    "pace": "`listen`: made so far ahead of its listener; `render`: made to its end",
    "keep": "what stays: nothing (in memory only), the job for a while, the job in the history; empty: as configured",
    "read": "how to read the audio, if at all",
    "style": "how to say it",
    "seed": "of the engine's randomness, where it takes one",
    "credit": "audio may come up to this offset, samples",
    "limit": "most rows wanted in a page; the daemon gives fewer where it must, and never more than 1000",
    "data": "particulars",
    "options": "whatever one provider alone understands",
    "up_to": "audio may come up to this offset, samples",
    "heard": "audio up to this offset has been heard, samples",
    "sample": "offset in the take, samples",
    "pinned": "whether the job is exempt from retention",
    "retry_after": "seconds, 0 where retrying is no use",
    "code": "name of the reason",
    "size": "of the whole, bytes",
    "action": "as in VOICE",
    "found": "whether it was there",
    "text": "the words",
}

# Where a field means something else than elsewhere, and its class does not say so.
OWN = {
    ("end", "n"): "how many pieces there are",
    ("appended", "n"): "number of the piece that is kept; of the last one in answer to END",
    ("cancelled_all", "count"): "how many jobs",
    ("welcome", "epoch"): "the name of this run of the daemon: put it into every message from here on",
    ("attach", "take"): "the take of the sample before `offset`",
    ("attach", "read"): "how to read the audio; `none` only for the notices and the terminal",
    ("attach", "offset"): "the first sample wanted",
    ("attached", "offset"): "where audio goes on, samples",
    ("attached", "rate"): "samples a second of this job; 0 while nobody knows it",
    ("audio", "offset"): "of the body's first sample in the job, samples",
    ("rewind", "offset"): "where the segment begins, samples: everything from here on is void",
    ("error", "job"): 'the job that it is about, ""',
    ("error", "request"): 'the request that it is about, ""',
    ("page", "what"): "as in QUERY",
    ("beat", "note"): "what is being done, for people to read",
    ("beat", "state"): '"loading", "ready" or "busy"',
    ("begun", "attempt"): "as in WORK",
    ("work", "attempt"): "its name: say it in everything about it",
    ("work", "kind"): "`speak`, `transcribe`: for a job; `prompt`: to make a voice prompt; `probe`: the daemon's own "
    "trial, treated alike",
    ("submit", "kind"): "`speak` a text, or `transcribe` a recording",
    ("work", "ssml"): "whether the body is SSML",
    ("work", "seed"): "of the engine's randomness",
    ("terminal", "samples"): "length of the audio; of a transcript, rows",
    ("done", "samples"): "length of the take (of a transcript: rows); what was sent must be as much",
    ("done", "peak"): "largest absolute sample, 0 to 32768",
    ("done", "rms"): "root mean square of all samples, 0 to 32768",
    ("done", "work_s"): "seconds that the engine worked, waits for credit left out",
    ("failed", "code"): "a failure class",
    ("notice", "kind"): "one of the kinds below",
    ("notice", "segment"): "number of the segment, -1: the whole job",
    ("feed", "key"): "as in NEED",
    ("accepted", "keep"): "what will stay of it, never empty",
    ("accepted", "rate"): "samples a second of this job; 0 while nobody knows it, and ATTACHED tells it then",
    ("accepted", "pieces"): "how many pieces of its text have come",
    ("accepted", "existing"): "whether the job was there before this SUBMIT",
}

BODIES = {
    "submit": "text, UTF-8, or a recording (the first piece of it, unless `complete`); empty only as a first piece",
    "append": "text, UTF-8, or a recording's bytes",
    "audio": "PCM",
    "marks": "MessagePack array of mark rows",
    "page": "MessagePack array of maps",
    "ready": "MessagePack map",
    "chunk": "PCM",
    "take_marks": "MessagePack array of mark rows",
    "work": "text, UTF-8",
    "transcript": "a row, MessagePack array",
    "heard": "a row, MessagePack array, or none",
    "feed": "bytes",
}

GROUPS = {
    "client to daemon": messages.ClientMessage,
    "daemon to client": messages.ToClient,
    "worker to daemon": messages.WorkerMessage,
    "daemon to worker": messages.ToWorker,
}

PARTS = {
    "voice_spec": messages.VoiceSpec,
    "sample_spec": messages.SampleSpec,
    "origin": messages.Origin,
    "consent": messages.Consent,
    "choice": messages.Choice,
    "style": messages.Style,
    "mark_row": messages.MarkRow,
    "hearing": messages.Hearing,
    "heard_row": messages.HeardRow,
    "word_row": messages.WordRow,
    "archived_job": archived.ArchivedJob,
    "archived_segment": archived.ArchivedSegment,
    "archived_request": archived.ArchivedRequest,
}


def type_name(hint: Any) -> str:
    """A type as the document writes it."""
    for alias, text in (
        (messages.Count, "uint"),
        (messages.Seconds, "float ≥ 0, s"),
        (messages.Factor, "float ≥ 0"),
        (messages.Name, "str ≤ 256"),
        (int, "int"),
        (str, "str"),
        (bool, "bool"),
        (float, "float"),
        (types.NoneType, "nil"),
        (Any, "any"),
    ):
        if hint == alias:
            return text
    if get_origin(hint) is Annotated:
        inner, meta = get_args(hint)
        limits = (("≥", meta.ge), ("≤", meta.le), ("at most", meta.max_length))
        bounds = [f"{word} {limit:g}" for word, limit in limits if limit is not None]
        return f"{type_name(inner)}, {', '.join(bounds)}"
    arguments = get_args(hint)
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(f"`{value}`" if value else '""' for value in arguments)
    if get_origin(hint) is list:
        return f"array of {type_name(arguments[0])}"
    if get_origin(hint) is dict:
        return f"map, {type_name(arguments[0])} to {type_name(arguments[1])}"
    if get_origin(hint) in {Union, types.UnionType}:
        return " or ".join(type_name(argument) for argument in arguments)
    return f"map *{hint.__name__}*"


def default_text(value: Any) -> str:
    """A default as the document writes it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nil"}[value]
    if isinstance(value, str):
        return f'"{value}"'
    if value in ([], {}) or isinstance(value, msgspec.Struct):
        return "[]" if isinstance(value, list) else "{}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def meanings(cls: type) -> tuple[str, dict[str, str]]:
    """A class docstring as its plain sentences and what it says of each field (``field: text. other, third: text``)."""
    doc = " ".join((inspect.getdoc(cls) or "").replace("``", "`").split())
    names = "|".join(sorted(cls.__struct_fields__, key=len, reverse=True))  # type: ignore[attr-defined]
    found: dict[str, str] = {}
    pattern = re.compile(rf"(?:^|(?<=[.)`\"] ))((?:{names})(?:, (?:{names}))*): ")
    spans = [*pattern.finditer(doc)]
    ends = [*(span.start() for span in spans[1:]), len(doc)] if spans else []
    for match, end in zip(spans, ends, strict=True):
        found.update(dict.fromkeys(match[1].split(", "), doc[match.end() : end].strip().rstrip(".")))
    return doc[: spans[0].start()].strip() if spans else doc, found


def table(cls: type) -> str:
    """The fields of one message or nested map."""
    _, said = meanings(cls)
    hints = get_type_hints(cls, include_extras=True)
    config = cls.__struct_config__  # type: ignore[attr-defined]
    rows = ["| # | field | type | default | meaning |", "|---|---|---|---|---|"]
    first = 0 if config.tag is None else 1
    for index, field in enumerate(msgspec.structs.fields(cls), first):
        if field.name in {"v", "epoch"} and (config.tag, field.name) not in OWN:
            continue
        meaning = OWN.get((config.tag, field.name)) or said.get(field.name) or COMMON[field.name]
        default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory
        value = default() if callable(default) else default
        shown = "required" if field.required else default_text(value)
        place = str(index) if config.array_like else "key"
        rows.append(f"| {place} | {field.name} | {type_name(hints[field.name])} | {shown} | {meaning} |")
    return "\n".join(rows) if len(rows) > 2 else "No fields of its own."


def message_section(cls: type) -> str:
    """One message: its name, what it says, what its body is, its fields."""
    tag = cls.__struct_config__.tag  # type: ignore[attr-defined]
    body = BODIES.get(tag)
    about = meanings(cls)[0]
    if body and "body" not in about:
        about += f" Body: {body}."
    return f"#### {tag.upper()}\n\n{about}\n\n{table(cls)}"


def made(name: str) -> str:
    """The text that belongs under the marker of this name."""
    if name in GROUPS:
        above = get_args(messages.ToClient) if name == "daemon to worker" else ()
        shown = [cls for cls in get_args(GROUPS[name]) if cls not in above]
        return "\n\n".join(message_section(cls) for cls in shown)
    if name == "failures":
        rows = [f"| `{code}` | {meaning} |" for code, meaning in errors.FAILURES.items()]
        return "\n".join(["| class | meaning |", "|---|---|", *rows])
    return table(PARTS[name])


def renewed(text: str) -> str:
    """The document with every table as the code has it."""
    return re.sub(
        r"(<!-- table: ([\w ]+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}\n{made(match[2])}\n\n{match[3]}",
        text,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    DOCUMENT.write_text(renewed(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
