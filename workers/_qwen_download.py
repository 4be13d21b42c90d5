"""Gets a model from the hub, telling how far it is.

Owns: the download and what is told of it. Must not know: what is in a model, whether it may be downloaded. Invariant:
it goes on where it was broken off; whoever waits hears of it every second.

The library has a way to follow a download, another one in each of its versions. What has come is looked up on the disk
instead, where every version puts it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from .engine import Progress

LOOK_S = 1.0
"""Between two looks at what has come."""

_FROM, _TO = 10.0, 20.0
"""Per cent of the loading that are the download's."""


def download(model: str, revision: str, progress: Progress) -> Path:
    """The folder of a hub's model. revision: "" for the newest. Raises OSError."""
    try:
        return _downloaded(model, revision or None, progress)
    except Exception as error:  # The library's errors of the network have another root in each of its versions.
        line = (str(error).splitlines() or [""])[0]
        raise OSError(f"{type(error).__name__}: {line}") from error


def _downloaded(model: str, revision: str | None, progress: Progress) -> Path:
    from huggingface_hub import HfApi, constants, snapshot_download

    told = HfApi().model_info(model, revision=revision, files_metadata=True)
    total = sum(file.size or 0 for file in told.siblings or [])
    blobs = Path(constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}" / "blobs"
    with ThreadPoolExecutor(1) as pool:
        # Beside us, so that all is told on the engine's own thread.
        future = pool.submit(snapshot_download, model, revision=revision)
        while not future.done():
            progress(*_so_far(model, _bytes_in(blobs), total))
            wait([future], LOOK_S)
        return Path(future.result())


def _so_far(model: str, found: int, total: int) -> tuple[float, str]:
    share = min(1.0, found / total) if total else 0.0
    return _FROM + (_TO - _FROM) * share, f"downloading {model}: {found / 1e6:.0f} of {total / 1e6:.0f} MB"


def _bytes_in(folder: Path) -> int:
    total = 0
    for file in folder.glob("*"):
        try:
            total += file.stat().st_size
        except FileNotFoundError:  # It is whole now, and has its right name.
            continue
    return total
