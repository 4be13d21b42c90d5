"""What a start finds on the disk: jobs to go on with, and journals that belong to nobody.

Owns: the order in which database and journals are read. Must not know: what the core makes of it. Invariant: nothing is
removed that some job may still need; a journal that cannot be read costs its job the audio, not the start.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from .core.personal import files_of
from .core.recordings import SUFFIX as SUFFIX_OF_INPUT
from .core.records import SavedJob, TakeFound, Unfinished
from .inputs import Inputs
from .journal import PACKED, SUFFIX, Journals, file_name
from .logs import log
from .shell import Core
from .store import Store
from .voice_files import VoiceFiles

FOLDER = "voices/"


def take_up(core: Core, store: Store, journals: Journals, inputs: Inputs) -> set[str]:
    """Hand the core the jobs that are not over. Returns the names of the files that some job has or may have, as
    `tidy` wants them."""
    condition = store.condition
    owned = store.logs()
    recorded: set[str] = set()
    if condition.mode != "disk":
        log.error("jobs are kept in memory only: %s", condition.reason)
    else:
        if condition.reason:
            log.warning("%s", condition.reason)
        recorded = _restore(core, store, journals)
    names: Iterable[str] = journals.names()
    if owned is None:
        recorded = inputs.names()  # nobody knows whose they are
    else:
        names = (file_name(name, PACKED if audio == "packed" else SUFFIX) for name, audio in owned.items())
    return {f"logs/{name}" for name in (*names, *recorded)}


def take_up_voices(core: Core, store: Store, voices: VoiceFiles) -> set[str]:
    """Hand the core the users' own voices and the sizes of the files beside them. Returns the names of those files that
    some voice has or may have, as `tidy` wants them."""
    found = voices.found()
    if store.condition.mode != "disk" or store.logs() is None:
        return {f"{FOLDER}{uid}/{name}" for uid, name in found}
    saved = store.voices()
    owned = files_of(saved, found)
    core.restore_voices(saved, {key: found[key] for key in owned}, time.monotonic())
    return {f"{FOLDER}{uid}/{name}" for uid, name in owned}


def _restore(core: Core, store: Store, journals: Journals) -> set[str]:
    """Returns the names of the recordings that somebody is still to listen to."""
    order, unfinished = store.load()
    if unfinished:
        log.info("going on with %d jobs of an earlier run", len(unfinished))
    core.restore(order, [_with_takes(saved, journals) for saved in unfinished], store.audio_bytes())
    return {f"{saved.job.log}{SUFFIX_OF_INPUT}" for saved in unfinished if saved.job.submit.kind == "transcribe"}


def _with_takes(saved: SavedJob, journals: Journals) -> Unfinished:
    name = saved.job.log
    try:
        records = journals.take_up(name)
    except OSError as error:
        log.error("journal %s cannot be read, so its audio is made again: %s", name, error)
        return Unfinished(saved)
    takes = tuple(TakeFound(r.meta, r.pcm_at, r.marks_at, r.pcm_at - r.marks_at) for r in records)
    return Unfinished(saved, takes, journals.size(name))
