"""One loaded checkpoint: its weights, its voices, and the rows in which it speaks.

Owns: what is made of a model's files and of the settings that concern them; the preparation of a request by the
package. Must not know: which other models are loaded, packets, guards, the bus. Invariant: a voice, a language or an
option that is not there is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..bus.prompts import VoicePrompt
from . import _qwen_files, _qwen_package, _qwen_request, _qwen_voices
from ._qwen_errors import translated
from ._qwen_files import Files
from .engine import EngineError, Request, Sample, Voice, hum

if TYPE_CHECKING:
    from ._qwen_cloning import Clones
    from ._qwen_decoder import Window
    from ._qwen_device import Device
    from ._qwen_plan import Plan
    from ._qwen_prompts import Prompt
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
        self.clones = self._cloned() if files.kind == "base" else None
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

    def _cloned(self) -> Clones[Any]:
        from . import _qwen_cloning, _qwen_prompts

        self.made_for = _qwen_cloning.made_for(
            self.files.size, self.files.folder, f"qwen-tts {_qwen_package.version()}"
        )
        named = {}
        for name, (path, text) in _qwen_prompts.told(self._settings.get("voices", {}), self.files.name).items():
            named[name] = self._item(self._prompt_of(_qwen_prompts.read(path), text))
        # A voice of nobody's: its dimensions are every voice's, and a model without any other is tested with it.
        nobody = self._prompt_of(_qwen_cloning.joined([Sample(hum(2.0, 24_000))])[0], "")
        self._trial = _qwen_cloning.neutral(nobody)
        books = int(self._tts.model.config.talker_config.num_code_groups)
        return _qwen_cloning.Clones(self._item, len(nobody.speaker), books, named)

    def _prompt_of(self, recording: Any, text: str) -> Prompt:
        from . import _qwen_prompts

        with _qwen_package.quiet(), translated():
            return _qwen_prompts.make(self._tts, recording, text)

    def _item(self, prompt: Prompt) -> Any:
        from . import _qwen_prompts

        return _qwen_prompts.item(prompt, self.rows.talker.device)

    def _listed(self) -> list[Voice]:
        tags = self.languages.tags
        if self.clones is not None:
            return [Voice(name, tags, description="cloned") for name in self.clones.named]
        if self.files.kind == "voice_design":
            return self._designs.voices(tags)
        found = _qwen_voices.presets(self._tts.model.get_supported_speakers(), self.languages)
        if not found:
            raise EngineError("load_failed", f"{self.files.name} is a CustomVoice model without any voice")
        return found

    def clone(self, samples: Sequence[Sample]) -> VoicePrompt:
        """A voice prompt from recordings. Raises EngineError("invalid_input")."""
        from . import _qwen_cloning

        if self.clones is None:
            raise EngineError("invalid_input", f"{self.files.name} is no base model, and cannot clone voices")
        return _qwen_cloning.neutral(self._prompt_of(*_qwen_cloning.joined(samples)))

    def self_test(self) -> Request:
        """What shows that it works."""
        if self.clones is not None:
            return _qwen_request.self_test("", self._trial)
        return _qwen_request.self_test(self.voices[0].name)

    def speaker(self, request: Request) -> Any:
        """Who speaks: a prompt on the device, or the name of a voice of the model's own. Raises EngineError."""
        if self.clones is None and request.prompt is None:
            return _qwen_voices.known(request.voice, self.voices, self.files.name)
        found = self.clones.of(request) if self.clones is not None else None
        if found is None:
            raise EngineError("invalid_input", f"{self.files.name} has no voice {request.voice!r}")
        return found

    def utterance(self, request: Request, frames: int) -> Utterance:
        """A request, prepared. frames: at most. Raises EngineError."""
        from ._qwen_utterance import Utterance

        with translated():
            seed = request.seed & (2**63 - 1)
            return Utterance(self.rows, self._plan(request), seed, frames, seeded=request.seeded)

    def window(self, request: Request, context: int) -> Window:
        """Where the frames of a request are decoded."""
        from ._qwen_decoder import Window

        codes = self.speaker(request).ref_code if self.clones is not None else None
        return Window(self.decoder, context, codes)

    def _plan(self, request: Request) -> Plan:
        """The package's own preparation of a request, by its public methods."""
        from ._qwen_plan import plan

        voice, language = self.speaker(request), self.languages.name(request.language)
        text = _qwen_request.readable(request.text)
        words = self._designs.words(voice, request.instruct) if self.files.kind == "voice_design" else ""
        asked = {"language": language, **_qwen_request.options(request.options)}
        tts = self._tts
        calls: dict[str, Callable[[], Any]] = {
            "custom_voice": lambda: tts.generate_custom_voice(text, voice, instruct=request.instruct or None, **asked),
            "voice_design": lambda: tts.generate_voice_design(text, words, **asked),
            "base": lambda: tts.generate_voice_clone(text, voice_clone_prompt=[voice], **asked),
        }
        with _qwen_package.quiet():
            return plan(tts.model, calls[self.files.kind])
