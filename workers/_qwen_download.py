"""Downloads a model from a hub, and tells how far it is.

Owns: the download, its progress. Must not know: settings, models' contents, the bus. Invariant: what was downloaded is
kept when it breaks off, by an error or by the end of the process, and the next time goes on from there; whoever loads
hears of the progress on his own thread.

The library tells its progress to a terminal only. So its folder is watched: what is there of the files, whole or not.
Which hub is asked is the library's affair (`HF_ENDPOINT`), as is where the files are (`HF_HOME`).
"""

from __future__ import annotations

import threading
from pathlib import Path

from .engine import Progress

LOOK_S = 0.5
"""Between two looks at how far it is."""

FROM, TO = 10.0, 20.0
"""Percent of the loading that the download is, where there is one."""


def fetch(model: str, revision: str, progress: Progress) -> Path:
    """The folder with a model's files, newly downloaded where they are not here. Raises OSError or ValueError, which is
    what all of the library's errors are."""
    from huggingface_hub import HfApi, constants

    progress(FROM, f"asking for {model}")
    told = HfApi().model_info(model, revision=revision or None, files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in told.siblings or ()}
    blobs = Path(constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}" / "blobs"
    worker = _Download(model, revision)
    while not worker.over.wait(LOOK_S):
        _tell(model, sum(sizes.values()), _here(blobs), progress)
    if worker.error is not None:
        raise worker.error
    return worker.folder


class _Download:
    """The download in a thread of its own, which dies with the process."""

    def __init__(self, model: str, revision: str) -> None:
        self.over = threading.Event()
        self.folder = Path()
        self.error: Exception | None = None
        self._what = model, revision
        threading.Thread(target=self._run, name="download", daemon=True).start()

    def _run(self) -> None:
        from huggingface_hub import snapshot_download

        model, revision = self._what
        try:
            # By the name that was asked for, which the library writes down: without a hub it is looked up there.
            self.folder = Path(snapshot_download(model, revision=revision or None))
        except Exception as error:  # noqa: BLE001 - it is raised again where it is waited for
            self.error = error
        finally:
            self.over.set()


def _here(blobs: Path) -> int:
    """Bytes of a model's files that are here, of half ones too."""
    found = 0
    for path in blobs.glob("*"):
        try:
            found += path.stat().st_size
        except OSError:  # It has been given its own name just now.
            continue
    return found


def _tell(model: str, wanted: int, here: int, progress: Progress) -> None:
    if not wanted:
        progress(FROM, f"downloading {model}")
        return
    part = min(1.0, here / wanted)
    progress(FROM + (TO - FROM) * part, f"downloading {model}: {part:.0%} of {_size(wanted)}")


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6))} MB"
