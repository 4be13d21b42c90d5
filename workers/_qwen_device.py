"""Which device a model runs on, proven before it is used.

Owns: choosing and testing a device, its number type and attention. Must not know: models, the bus. Invariant: a device
that was asked for is used or the worker does not start; the processor stands in for a GPU only where nothing was
asked for, and READY says what it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from . import _qwen_machine
from .engine import EngineError

ACCELERATORS = ("cuda", "xpu", "mps")
"""In the order in which they are tried where nothing is asked for."""

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
SLACK = 1024**3
"""Bytes of a device's memory that may stay reserved between two utterances."""

_FAST_CPU = ("avx512_bf16", "amx_bf16", "bf16")


@dataclass(frozen=True, slots=True)
class Device:
    """What was chosen. name: as torch calls it, "cuda:0". dtype: a torch type. attention: as transformers calls it."""

    name: str
    dtype: Any
    attention: str

    @property
    def kind(self) -> str:
        """The name without its number."""
        return self.name.partition(":")[0]

    def told(self) -> dict[str, Any]:
        """What READY says of it; sizes in bytes."""
        found: dict[str, Any] = {
            "kind": self.kind,
            "id": self.name,
            "dtype": str(self.dtype).removeprefix("torch."),
            "attention": self.attention,
        }
        if self.kind == "cuda":
            free, memory = torch.cuda.mem_get_info(self.name)
            found |= {"name": torch.cuda.get_device_name(self.name), "memory": memory, "free": free}
        elif self.kind == "cpu":
            found |= {"threads": torch.get_num_threads(), **_qwen_machine.memory()}
        return found


def choose(settings: dict[str, Any]) -> Device:
    """The device, number type and attention that the settings ask for: `device` ("auto", "cpu", "cuda", "cuda:1",
    "mps", "xpu"), `dtype` ("auto", "bfloat16", "float16", "float32"), `attention`. Raises EngineError."""
    asked = str(settings.get("device", "auto")) or "auto"
    name = _qwen_machine.first_that_works(ACCELERATORS, _there, prove) if asked == "auto" else prove(asked)
    dtype = str(settings.get("dtype", "auto")) or "auto"
    if dtype not in ("auto", *_DTYPES):
        raise EngineError("load_failed", f"dtype is {dtype!r}; set it to auto, {', '.join(_DTYPES)}", lasting=True)
    attention = str(settings.get("attention", "sdpa"))
    return Device(name, _fitting(name) if dtype == "auto" else _DTYPES[dtype], attention)


def _there(kind: str) -> bool:
    return bool(_module(kind).is_available())


def prove(asked: str) -> str:
    """Run a kernel on a device and look at its result; returns the device's full name. Raises EngineError."""
    kind, _, number = asked.partition(":")
    if kind not in ("cpu", *ACCELERATORS) or (number and not number.isdecimal()):
        raise EngineError(
            "load_failed", f"device is {asked!r}; set it to auto, cpu, cuda, cuda:1, mps or xpu", lasting=True
        )
    if kind != "cpu" and not _there(kind):
        why = f"device {asked} was asked for and is not there: {_why_not(kind)}"
        raise EngineError("load_failed", why, lasting=not _built(kind))
    if kind in ("cuda", "xpu"):
        count, number = _module(kind).device_count(), number or "0"
        if int(number) >= count:
            raise EngineError("load_failed", f"device {asked} was asked for, and this machine has {count} of its kind")
    name = f"{kind}:{number}" if number and kind != "cpu" else kind
    try:
        made = _kernel(name)
    except RuntimeError as error:
        raise EngineError("load_failed", f"device {name} does not compute: {str(error).splitlines()[0]}") from None
    if made != _kernel("cpu"):
        raise EngineError("load_failed", f"device {name} computes wrongly: {made}")
    return name


def _kernel(name: str) -> list[float]:
    """A product of whole numbers so small that every device must give it exactly."""
    left = torch.arange(64, dtype=torch.float32, device=name).reshape(8, 8) % 7
    found: list[float] = (left @ left.T).sum(0).cpu().tolist()
    return found


def _module(kind: str) -> Any:
    return torch.backends.mps if kind == "mps" else getattr(torch, kind)


def _built(kind: str) -> bool:
    """Whether this torch knows such devices at all; a driver may be there later, which nobody can know."""
    built = {"cuda": torch.version.cuda or torch.version.hip, "mps": torch.backends.mps.is_built(), "xpu": True}
    return bool(built[kind])


def _why_not(kind: str) -> str:
    if not _built(kind):
        return f"torch {torch.__version__} is built without it; install a torch that is built for this machine's GPU"
    return "no such device, or no driver for it"


def _fitting(name: str) -> Any:
    """The number type for a device: half the memory and the bandwidth wherever the hardware computes with it."""
    if name.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if name == "cpu":
        told: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return torch.bfloat16 if any(told.get(feature) for feature in _FAST_CPU) else torch.float32
    return torch.bfloat16


def release(device: Device) -> None:
    """Give memory that no tensor uses any more back to the device, once there is much of it: taking it again costs
    milliseconds, so what one utterance needs is left for the next."""
    if device.kind == "mps":
        torch.mps.empty_cache()
    elif device.kind in ("cuda", "xpu"):
        module = _module(device.kind)
        if module.memory_reserved(device.name) - module.memory_allocated(device.name) > SLACK:
            module.empty_cache()


def memory(device: Device) -> int:
    """Bytes of the device's own memory that this process has, 0 for a device that uses the machine's. What torch has
    taken, whether or not a tensor is in it; without the driver's own part, which does not grow."""
    if device.kind in ("cuda", "xpu"):
        return int(_module(device.kind).memory_reserved(device.name))
    return 0
