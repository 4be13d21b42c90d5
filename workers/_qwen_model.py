"""One loaded checkpoint: its weights, its voices, and the rows in which it speaks.

Owns: what is made of a model's files and of the settings that concern them; the preparation of a request by the
package. Must not know: which other models are loaded, packets, guards, the bus. Invariant: a voice, a language or an
option that is not there is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _qwen_files, _qwen_package, _qwen_request, _qwen_voices
from ._qwen_errors import translated
from ._qwen_files import Files
from .engine import EngineError, Request, Voice

if TYPE_CHECKING:
    from ._qwen_decoder import Window
    from ._qwen_device import Device
    from ._qwen_plan import Plan
    from ._qwen_utterance import Utterance

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
        self._designs = _qwen_voices.Designs(settings.get("designs", {}))
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

        made = {}
        for name, (path, text) in _qwen_prompts.told(self._settings.get("voices", {}), self.files.name).items():
            recording = _qwen_prompts.read(path)
            with _qwen_package.quiet(), translated():
                prompt = _qwen_prompts.make(self._tts, recording, text)
            made[name] = _qwen_prompts.item(prompt, self.rows.talker.device)
        return made

    def _listed(self) -> list[Voice]:
        tags = self.languages.tags
        if self.files.kind == "base":
            return [Voice(name, tags, description="cloned") for name in self.prompts]
        if self.files.kind == "voice_design":
            return self._designs.voices(tags)
        found = _qwen_voices.presets(self._tts.model.get_supported_speakers(), self.languages)
        if not found:
            raise EngineError("load_failed", f"{self.files.name} is a CustomVoice model without any voice")
        return found

    def known(self, name: str) -> str:
        """A voice by its name, the default for "". Raises EngineError("invalid_input")."""
        return _qwen_voices.known(name, self.voices, self.files.name)

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
        text = _qwen_request.readable(request.text)
        words = self._designs.words(voice, request.instruct) if self.files.kind == "voice_design" else ""
        asked = {"language": language, **_qwen_request.options(request.options)}
        tts = self._tts
        calls: dict[str, Callable[[], Any]] = {
            "custom_voice": lambda: tts.generate_custom_voice(text, voice, instruct=request.instruct or None, **asked),
            "voice_design": lambda: tts.generate_voice_design(text, words, **asked),
            "base": lambda: tts.generate_voice_clone(text, voice_clone_prompt=[self.prompts[voice]], **asked),
        }
        with _qwen_package.quiet():
            return plan(tts.model, calls[self.files.kind])
