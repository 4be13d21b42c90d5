"""The models that are loaded side by side, by their size, and which of them a request means.

Owns: the settings `sizes` and `models`, the suffix of a voice (``ryan+1.7B``) and the option `size`. Must not know:
torch, how a model speaks. Invariant: a size that is not loaded is refused by name; another one never stands in for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .engine import EngineError, Request, Voice

if TYPE_CHECKING:
    from ._qwen_model import Model

OPTION = "size"


def wanted(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The settings of each model that is to be loaded, the default first. Raises EngineError("load_failed")."""
    found = []
    for name, key in (("sizes", "size"), ("models", "model")):
        told = settings.get(name)
        if told is None:
            continue
        if not isinstance(told, list) or not told or not all(isinstance(each, str) and each for each in told):
            raise EngineError(
                "load_failed", f'{name} is {told!r}; set it to a list, as in {name} = ["...", "..."]', lasting=True
            )
        found += [{**settings, key: each} for each in told]
    if "sizes" in settings and "models" in settings:
        raise EngineError("load_failed", "both sizes and models are set; set the one or the other", lasting=True)
    return found or [settings]


class Models:
    """What is loaded. Raises EngineError("load_failed") where two would be meant by the same words."""

    def __init__(self, models: list[Model]) -> None:
        self.all = models
        self.default = models[0]
        self._by_size = {model.size: model for model in models}
        if len(self._by_size) < len(models) or len({model.files.kind for model in models}) > 1:
            told = ", ".join(f"{model.files.name} ({model.files.kind}, {model.size})" for model in models)
            raise EngineError(
                "load_failed", f"models of one kind and of different sizes go together, not {told}", lasting=True
            )

    def voices(self) -> list[Voice]:
        """The voices, with the sizes that they can be had in where there is a choice."""
        if len(self.all) == 1:
            return self.default.voices
        found: dict[str, Voice] = {}
        for model in self.all:
            for voice in model.voices:
                before = found.get(voice.name, voice)
                found[voice.name] = replace(before, variants=(*before.variants, model.size))
        return list(found.values())

    def of(self, request: Request) -> tuple[Model, Request]:
        """The model that a request means, and the request as it is put to it. Raises EngineError("invalid_input")."""
        name, _, size = request.voice.rpartition("+")
        if not name or size not in self._by_size:
            name, size = request.voice, ""
        asked = str(request.options.get(OPTION, "")) or size
        if size and asked != size:
            raise EngineError("invalid_input", f"the voice asks for the size {size}, and the option for {asked}")
        return self._chosen(asked, name, request), replace(request, voice=name)

    def _chosen(self, size: str, voice: str, request: Request) -> Model:
        if size and size not in self._by_size:
            here = ", ".join(self._by_size)
            raise EngineError("invalid_input", f"the size {size} is not loaded here, but {here}; see the setting sizes")
        able = [model for model in self.all if model.files.takes_instruct or not request.instruct]
        able = [model for model in able if not voice or voice in {each.name for each in model.voices}]
        model = self._by_size[size] if size else next(iter(able), self.default)
        if request.instruct and not model.files.takes_instruct:
            raise EngineError("invalid_input", f"{model.files.name} takes no instructions")
        return model
