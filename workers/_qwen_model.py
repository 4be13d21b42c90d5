"""One loaded checkpoint: its weights, its voices, and the rows in which it speaks.

Owns: what is made of a model's files and of the settings that concern them; the preparation of a request by the
package. Must not know: which other models are loaded, packets, guards, the bus. Invariant: a voice, a language or an
option that is not there is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _qwen_files, _qwen_package, _qwen_voices
from ._qwen_errors import translated
from ._qwen_files import Files
from .engine import EngineError, Request, Voice

if TYPE_CHECKING:
    from ._qwen_decoder import Window
    from ._qwen_device import Device
    from ._qwen_plan import Plan
    from ._qwen_utterance import Utterance

DESIGNED = Voice("designed", description="the voice that `instruct` describes")
_PLAIN_DESIGN = "A calm adult voice, clear and even, at a moderate pace."

_OPTIONS: dict[str, tuple[Callable[[Any], float], float, float]] = {
    "temperature": (float, 0.05, 2.0),
    "top_p": (float, 0.05, 1.0),
    "top_k": (int, 1, 2048),
}
"""Names in a request's options, with their types and bounds."""

OPTIONS = tuple(_OPTIONS)

_NOT_RECORDED = 1536
"""Tokens of a prompt for which a recorded model has room beside its longest utterance: a minute of a cloned voice's
recording, and a long text."""


class Model:
    """A checkpoint on a device. rows: how many utterances at once. most: frames of the longest."""

    def __init__(self, files: Files, device: Device, settings: dict[str, Any], rows: int, most: int) -> None:
        from ._qwen_utterance import Rows

        self.files = files
        self.size = next((name for name, size in _qwen_files.SIZES.items() if size == files.size), files.size)
        self._device = device
        self._settings = settings
        self._tts = self._weights(_qwen_package.load())
        self.rows = Rows(self._talker(rows, most))
        self.decoder = self._tts.model.speech_tokenizer.model.decoder
        self.rate = int(self._tts.model.speech_tokenizer.get_output_sample_rate())
        self.languages = _qwen_voices.Languages(self._tts.model.get_supported_languages())
        self.prompts = self._cloned() if files.kind == "base" else {}
        self._designs: dict[str, str] = {}
        self.voices = self._listed()

    def _weights(self, package: Any) -> Any:
        from safetensors import SafetensorError

        chosen = self._device
        with _qwen_package.quiet(), translated():
            try:
                return package.from_pretrained(
                    str(self.files.folder),
                    device_map=chosen.name,
                    dtype=chosen.dtype,
                    attn_implementation=chosen.attention,
                )
            except (OSError, ValueError, ImportError, KeyError, SafetensorError) as error:
                raise EngineError("load_failed", f"{self.files.folder} cannot be loaded: {error}") from error

    def _talker(self, rows: int, most: int) -> Any:
        """The networks, with what is proven of them here and now."""
        from . import _qwen_graphs, _qwen_proofs
        from ._qwen_talker import Talker

        record = _qwen_graphs.recorder(self._device.name) if self._settings.get("graphs", True) else None
        with translated():
            talker = Talker(self._tts.model, rows, most + _NOT_RECORDED if record else 0)
            talker.alike = rows > 1 and _qwen_proofs.alike(talker)
            self.graphs = "none on this device" if record is None else ""
            if record is not None:
                talker.recorded, self.graphs = _qwen_proofs.recorded(talker, record)
        return talker

    def _cloned(self) -> dict[str, Any]:
        from . import _qwen_prompts

        told = self._settings.get("voices", {})
        if not isinstance(told, dict) or not told:
            raise EngineError(
                "load_failed",
                f"{self.files.name} is a base model, which speaks with cloned voices only; set "
                'voices = { anna = { sample = "/path/anna.wav", text = "what is said in it" } }',
            )
        made = {}
        for name, row in told.items():
            if not isinstance(row, dict) or not row.get("sample"):
                raise EngineError("load_failed", f'voices.{name} must be {{ sample = "...", text = "..." }}')
            recording = _qwen_prompts.read(Path(str(row["sample"])).expanduser())
            with _qwen_package.quiet(), translated():
                prompt = _qwen_prompts.make(self._tts, recording, str(row.get("text", "")))
            made[str(name)] = _qwen_prompts.item(prompt, self.rows.talker.device)
        return made

    def _listed(self) -> list[Voice]:
        tags = self.languages.tags
        if self.files.kind == "base":
            return [Voice(name, tags, description="cloned") for name in self.prompts]
        if self.files.kind == "voice_design":
            told = self._settings.get("designs", {})
            self._designs = {str(name): str(words) for name, words in told.items()} | {DESIGNED.name: ""}
            named = self._designs.items()
            return [Voice(name, tags, description=words or DESIGNED.description) for name, words in named]
        found = _qwen_voices.presets(self._tts.model.get_supported_speakers(), self.languages)
        if not found:
            raise EngineError("load_failed", f"{self.files.name} is a CustomVoice model without any voice")
        return found

    @property
    def instruct(self) -> bool:
        """Whether it does as it is told. The package drops instructions without a word for the small presets' model,
        and Base models were not trained for them."""
        small = self.files.size == _qwen_files.SIZES["0.6B"]
        return self.files.kind == "voice_design" or (self.files.kind == "custom_voice" and not small)

    def known(self, name: str) -> str:
        """A voice by its name, the default for "". Raises EngineError("invalid_input")."""
        if name and name not in {voice.name for voice in self.voices}:
            raise EngineError("invalid_input", f"{self.files.name} has no voice {name!r}")
        return name or self.voices[0].name

    def utterance(self, request: Request, frames: int) -> Utterance:
        """A request, prepared. frames: at most. Raises EngineError."""
        from ._qwen_utterance import Utterance

        with translated():
            seed = request.seed & (2**63 - 1)
            return Utterance(self.rows, self._plan(request), seed, frames, seeded=request.seeded)

    def window(self, voice: str, context: int) -> Window:
        """Where the frames of a voice are decoded."""
        from ._qwen_decoder import Window

        prompt = self.prompts.get(self.known(voice))
        return Window(self.decoder, context, prompt.ref_code if prompt else None)

    def _plan(self, request: Request) -> Plan:
        """The package's own preparation of a request, by its public methods."""
        from ._qwen_plan import plan

        voice, language = self.known(request.voice), self.languages.name(request.language)
        text = request.text.encode("utf-8", "replace").decode()  # An unpaired surrogate has no token.
        asked = {"language": language, **_options(request.options)}
        tts = self._tts
        calls: dict[str, Callable[[], Any]] = {
            "custom_voice": lambda: tts.generate_custom_voice(text, voice, instruct=request.instruct or None, **asked),
            "voice_design": lambda: tts.generate_voice_design(text, self._design(voice, request.instruct), **asked),
            "base": lambda: tts.generate_voice_clone(text, voice_clone_prompt=[self.prompts[voice]], **asked),
        }
        with _qwen_package.quiet():
            return plan(tts.model, calls[self.files.kind])

    def _design(self, voice: str, instruct: str) -> str:
        words = (self._designs[voice], instruct)
        return " ".join(word for word in words if word) or _PLAIN_DESIGN


def _options(told: dict[str, str | int | float | bool]) -> dict[str, float]:
    """How to draw, checked. Raises EngineError("invalid_input")."""
    found = {}
    for name, value in told.items():
        if name not in _OPTIONS:
            continue
        kind, least, most = _OPTIONS[name]
        try:
            number = kind(value)
        except (TypeError, ValueError):
            number = most + 1
        if not least <= number <= most:
            raise EngineError("invalid_input", f"the option {name} is {value!r}; it goes from {least:g} to {most:g}")
        found[name] = number
    return found
