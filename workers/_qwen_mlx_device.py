"""Which device MLX computes on, proven before it is used.

Owns: choosing and testing a device, its number type, what of its memory is told and given back. Must not know: models,
the bus. Invariant: a device that was asked for is used or the worker does not start; the processor stands in for a GPU
only where nothing was asked for, and READY says what it is. All of it belongs to the thread that calls: MLX has a
default device and streams for each thread.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from . import _qwen_machine
from .engine import EngineError

GPUS = ("metal", "cuda")

_DTYPES = {"bfloat16": mx.bfloat16, "float16": mx.float16, "float32": mx.float32}


@dataclass(frozen=True, slots=True)
class Device:
    """What was chosen. kind: "metal", "cuda" or "cpu"."""

    kind: str

    def told(self) -> dict[str, Any]:
        """What READY says of it; sizes in bytes. On an Apple machine the GPU's memory is the machine's."""
        found: dict[str, Any] = {"kind": self.kind, "id": self.kind}
        if self.kind == "cpu":
            return found | _qwen_machine.memory()
        about = mx.device_info()
        memory = int(about.get("memory_size", 0) or about.get("total_memory", 0))
        room = int(about.get("max_recommended_working_set_size", 0) or memory)
        found |= {"name": str(about.get("device_name", "")), "memory": memory}
        return found | {"free": max(0, room - mx.get_active_memory() - mx.get_cache_memory())}


def choose(settings: dict[str, Any]) -> Device:
    """The device that the setting `device` asks for ("auto", "metal", "cuda", "cpu"), made this thread's default.
    Raises EngineError."""
    asked = str(settings.get("device", "auto")) or "auto"
    if asked not in ("auto", "cpu", *GPUS):
        raise EngineError("load_failed", f"device is {asked!r}; set it to auto, {', '.join(GPUS)} or cpu", lasting=True)
    kind = _qwen_machine.first_that_works(GPUS, _there, prove) if asked == "auto" else prove(asked)
    mx.set_default_device(_device(kind))
    return Device(kind)


def prove(kind: str) -> str:
    """Run a kernel on a device and look at its result; returns the device's name. Raises EngineError."""
    if kind != "cpu" and not _there(kind):
        raise EngineError("load_failed", f"device {kind} was asked for and is not there: {_why_not(kind)}")
    try:
        made = _kernel(kind)
    except RuntimeError as error:
        raise EngineError("load_failed", f"device {kind} does not compute: {_line(error)}") from None
    if made != _by_hand():
        raise EngineError("load_failed", f"device {kind} computes wrongly: {made}")
    return kind


def _kernel(kind: str) -> list[float]:
    """A product of whole numbers so small that every device must give it exactly."""
    with mx.stream(_device(kind)):
        left = (mx.arange(64) % 7).astype(mx.float32).reshape(8, 8)
        made = (left @ left.T).sum(axis=0)
        mx.eval(made)
    found: list[float] = made.tolist()
    return found


def _by_hand() -> list[float]:
    rows = [[float((8 * row + column) % 7) for column in range(8)] for row in range(8)]
    return [sum(left * right for row in rows for left, right in zip(row, other, strict=True)) for other in rows]


def _device(kind: str) -> Any:
    return mx.Device(mx.cpu if kind == "cpu" else mx.gpu, 0)


def _there(kind: str) -> bool:
    return bool(mx.metal.is_available() if kind == "metal" else mx.cuda.is_available())


def _why_not(kind: str) -> str:
    if kind == "metal":
        return "MLX finds no Apple GPU" if sys.platform == "darwin" else "only Apple machines have it"
    return f"this MLX {mx.__version__} is built without it (pip install 'mlx[cuda13]'), or there is no device"


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def dtype(settings: dict[str, Any]) -> Any:
    """The number type that the setting `dtype` asks for, None for that of the files. Raises EngineError."""
    asked = str(settings.get("dtype", "auto")) or "auto"
    if asked not in ("auto", *_DTYPES):
        raise EngineError("load_failed", f"dtype is {asked!r}; set it to auto, {', '.join(_DTYPES)}", lasting=True)
    return _DTYPES.get(asked)


def converted(module: Any, wanted: Any) -> dict[str, Any]:
    """Make a module's numbers of a type (None: leave them); what READY says of them: "dtype", and "bits" of those that
    are quantised."""
    if wanted is not None:
        module.set_dtype(wanted)
        mx.eval(module.parameters())
    there = {array.dtype for _, array in tree_flatten(module.parameters())}
    found = next((name for name, kind in _DTYPES.items() if kind in there), "")
    bits = [layer.bits for _, layer in module.named_modules() if hasattr(layer, "bits")]
    return {"dtype": found, **({"bits": min(bits)} if bits else {})}


def release() -> None:
    """Give back what MLX keeps for the next arrays: gigabytes after a long utterance."""
    mx.clear_cache()


def held() -> int:
    """Bytes of the device's memory that MLX has, in use or kept."""
    return int(mx.get_active_memory() + mx.get_cache_memory())
