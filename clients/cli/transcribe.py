"""`transcribe`: recordings in, text or subtitles out.

Owns: the options, and what is printed while it is heard. Must not know: formats (`transcripts`), the bus. Invariant: a
file appears under its name when the transcript is complete; Ctrl-C cancels what this command asked for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...bus.wording import counted
from ..events import About, Notice, Passage, Rewound
from ..placing import placed
from ..transcripts import FORMATS, as_map
from . import hearing, hint, leaving
from .exits import USAGE, Failure
from .names import Name, complete, did_you_mean
from .output import duration
from .telling import Teller

if TYPE_CHECKING:
    from ..sync import Client
    from ..transcribing import Transcript, Transcription


@click.command()
@click.argument("files", nargs=-1, metavar="FILE...", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--job", metavar="JOB", shell_complete=complete("jobs"),
              help="The transcript of a job, running or over, instead of a FILE's.")  # fmt: skip
@click.option("-o", "--output", metavar="FILE", type=click.Path(),
              help="Write a file, its format by the extension; or into a folder, a file for each FILE.")  # fmt: skip
@click.option("--format", "form", type=Name(list(FORMATS)), metavar="FORMAT", help=f"One of {', '.join(FORMATS)}.")
@click.option(
    "--language", "--lang", metavar="TAG", default=None, help="The language: en, de ...; else it is found out."
)
@click.option("--words", is_flag=True, help="Time each word (in json; and subtitles are cut by it).")
@click.option("--translate", is_flag=True, help="Into English.")
@click.option("--prompt", metavar="TEXT", default=None, help="Words that are likely to occur.")
@click.option("--no-vad", is_flag=True, help="Listen also to what is no speech.")
@click.option("-p", "--provider", metavar="NAME", default=None, shell_complete=complete("providers"),
              help="Who listens; see: voicebus providers")  # fmt: skip
@click.option("--model", metavar="NAME", default=None, help="Which of its models.")
@click.option(
    "--keep",
    type=Name(["nothing", "job", "history"]),
    default=None,
    metavar="WHAT",
    help="What stays of the transcript: nothing, the job for a while, or history (default: as configured).",
)
@click.option("--detach", is_flag=True, help="Print the job's name once the recording is kept, and leave.")
@click.option("--no-start", is_flag=True, help="Fail (exit 3) where no daemon runs, instead of starting one.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing on the terminal but what went wrong.")  # fmt: skip
def transcribe(files: tuple[str, ...], job: str | None, output: str | None, form: str | None, detach: bool,
               no_start: bool, quiet: bool, **how: Any) -> None:  # fmt: skip
    """Write down what is said in recordings, of any common audio or video format; - is standard input.

    \b
    voicebus transcribe talk.mp3
    voicebus transcribe film.mkv -o film.srt --language de
    cat talk.ogg | voicebus transcribe - --format json
    """  # noqa: D301 - the \b is for click
    if bool(files) == bool(job):
        raise click.UsageError("Give the recordings, or --job with the name of a job.")
    if detach and (output or job):
        raise click.UsageError("--detach leaves at once; -o and --job do not go with it.")
    chosen = chosen_format(output, form, many=len(files) > 1)
    paths = [_path(name, chosen, output) for name in files or (str(job),)]
    _require(files, paths)
    vad = not how.pop("no_vad")
    how["keep"] = how["keep"] or ""
    options = {**{name: value for name, value in how.items() if value is not None}, "vad": vad}
    with leaving.stoppable(), leaving.connected(start=not no_start and not job) as client:
        for name, path in zip(files or ("",), paths, strict=True):
            transcription = client.transcript(job) if job else client.transcribe(_source(name), **options)
            if detach:
                _detach(transcription)
                continue
            printer = _Printer(name or str(job), chosen, path, many=len(files) > 1, quiet=quiet)
            _follow(client, transcription, printer, ours=not job)
            hint.of_history(transcription.keep, quiet=quiet)


def chosen_format(output: str | None, form: str | None, *, many: bool) -> str:
    """The format to write. Raises UsageError for one that nobody knows."""
    folder = output is not None and (output.endswith(os.sep) or Path(output).is_dir())
    if many and output is not None and not folder:
        raise click.UsageError("Several recordings go to standard output, or into a folder: -o FOLDER/")
    if form or output in (None, "-") or folder:
        return form or "txt"
    extension = Path(str(output)).suffix.lstrip(".").lower()
    if extension in FORMATS:
        return extension
    words = f"The extension .{extension} of {output} names no format of a transcript." if extension else ""
    raise click.UsageError(
        f"{words or f'{output} has no extension.'}{did_you_mean(extension, FORMATS)} "
        f"Use one of {', '.join(FORMATS)}, or say which with --format."
    )


def _path(name: str, form: str, output: str | None) -> Path | None:
    """The file that the transcript of a recording, or of a job, goes into, None for standard output."""
    if output in (None, "-"):
        return None
    path = Path(str(output))
    if not (str(output).endswith(os.sep) or path.is_dir()):
        return path
    path.mkdir(parents=True, exist_ok=True)
    return path / f"{'transcript' if name == '-' else Path(name).stem}.{form}"


def _require(files: Sequence[str], paths: Sequence[Path | None]) -> None:
    """Raise UsageError where two recordings would be written to one file, or Failure where none can be written, before
    anything is asked of the daemon."""
    taken: dict[Path, str] = {}
    for name, path in zip(files, paths, strict=False):
        if path is None:
            continue
        if path in taken:
            raise click.UsageError(
                f"{taken[path]} and {name} would both be written to {path}; "
                "give them one after the other, with a folder or a name for each: -o FILE"
            )
        taken[path] = name
    for path in filter(None, paths[:1]):  # the others are in the same folder
        hearing.require(hearing.Target(str(path), None, None), plays=False)


def _source(name: str) -> Any:
    return sys.stdin.buffer if name == "-" else name


def _detach(transcription: Transcription) -> None:
    if transcription.keep == "nothing":
        transcription.cancel()
        raise Failure("nothing is kept of a job unless you say so (history.keep)", USAGE, "Add: --keep job")
    transcription.wait_kept()
    click.echo(transcription.job)


def _follow(client: Client, transcription: Transcription, printer: _Printer, *, ours: bool) -> None:
    """Print what is heard until there is no more; whoever is interrupted here has his job cancelled."""
    try:
        for event in transcription:
            printer.event(event)
    except BaseException:
        printer.teller.clear()
        if ours and not transcription.over:
            transcription.cancel()
        raise
    printer.finish(transcription.transcript)


class _Printer:
    """What a person sees of one transcription. name: of the recording; path: what to write, None for standard output;
    many: others are transcribed as well."""

    def __init__(self, name: str, form: str, path: Path | None, *, many: bool, quiet: bool) -> None:
        self.teller = Teller(quiet=quiet)
        self._name, self._form, self._many, self._quiet = name, form, many, quiet
        self._path = path
        self._streams = self._path is None and form == "txt"
        self._length = 0.0

    def event(self, event: object) -> None:
        """Something was heard, or told."""
        if isinstance(event, About):
            self._length = event.duration
            if self._streams and self._many:
                self._say(f"{self._name}:")
        elif isinstance(event, Passage):
            if self._streams:
                self._say(event.text.strip())
            else:
                self._progress(event.end)
        elif isinstance(event, Rewound) and self._streams:
            self.teller.line(f"what was heard from row {event.offset} on comes again: it was lost with the daemon")
        elif isinstance(event, Notice):
            if event.kind != "progress":
                self.teller.event(event)
            elif not self._streams:
                self._progress(float(event.data.get("seconds", 0.0)))

    def _say(self, line: str) -> None:
        self.teller.clear()
        click.echo(line)

    def _progress(self, seconds: float) -> None:
        if self._length:
            share = min(seconds / self._length, 1.0)
            self.teller.passing(f"{self._name}: {share:.0%} of {duration(self._length)}")

    def finish(self, transcript: Transcript) -> None:
        """All is heard: write what was not printed yet."""
        self.teller.clear()
        if self._path is not None:
            with placed(self._path) as file:
                file.write(FORMATS[self._form](transcript).encode())
        elif self._form == "json" and self._many:
            import json

            click.echo(json.dumps({"file": self._name, **as_map(transcript)}, ensure_ascii=False))
        elif not self._streams:
            click.echo(FORMATS[self._form](transcript), nl=False)
        if transcript.result is not None and transcript.result.code == "no_speech" and not self._quiet:
            self.teller.line(f"no speech was found in {self._name}")
        elif self._path is not None and not self._quiet:
            where, seconds = click.format_filename(self._path), duration(self._length)
            passages = counted(len(transcript.passages), "passage")
            self.teller.line(f"{where}: {passages} of {seconds} in {transcript.language}")
