"""Qwen3-TTS on PyTorch: one engine for the processor and for GPUs (CUDA, ROCm, XPU, Apple's MPS).

Owns: the mapping of a request to the model, the packets in which audio leaves, the guards around it. Must not know:
the bus, how the model steps (`_qwen_talker`) or decodes (`_qwen_decoder`). Invariant: a voice, a language or a device
that is not there is refused by name; audio leaves as it is made; one frame (80 ms of audio) is the longest that a stop
waits; with the same seed the same model on the same device says the same.

It is slow on a processor (five times slower than speech for the 0.6B model on two cores), which READY's measured
factor tells the daemon. The models' weights are under the Apache licence and are not part of this package.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..bus.prompts import VoicePrompt
from . import _qwen_files, _qwen_package, _qwen_request, _qwen_voices
from ._qwen_packets import Packets, Packing, packed
from .engine import Capabilities, Chunk, Engine, EngineError, Progress, Request, Sample, Voice, hum

if TYPE_CHECKING:
    from ._qwen_cloning import Clones
    from ._qwen_decoder import Window
    from ._qwen_prompts import Prompt
    from ._qwen_talker import Plan, Utterance

_WARM_FRAMES = 2

Frames = Iterator[Any]


class QwenEngine(Engine):
    """Qwen3-TTS 12 Hz, by the package `qwen-tts`.

    Settings, all optional: model (a folder, or a hub's id; by default the published one of `kind` and `size`), kind
    ("custom_voice", "voice_design", "base"), size ("0.6B", "1.7B"), revision, offline (true: never download), device,
    dtype, attention, threads (of the processor), first_frames (in the first packet, 1), packet_frames (in the others:
    4, on a processor 12), context_frames (25), max_frames (2048), voices (of a base model: name to {sample, text}),
    designs (of a voice_design model: name to description).
    """

    name = "qwen-torch"

    def load(self, settings: dict[str, Any], progress: Progress) -> None:
        self._settings = settings
        if settings.get("offline", True):
            os.environ["HF_HUB_OFFLINE"] = "1"  # Before the libraries are imported: they look at it once.
        progress(0.0, "the libraries")
        package = _qwen_package.load()
        import torch

        from . import _qwen_device, _qwen_talker

        if threads := int(settings.get("threads", 0)):
            torch.set_num_threads(threads)
        progress(10.0, "the device")
        self._device = _qwen_device.choose(settings)
        self._files = _qwen_files.find(settings, progress)
        progress(20.0, f"the weights of {self._files.name} on {self._device.name}")
        self._tts = self._weights(package)
        self._talker = _qwen_talker.Talker(self._tts.model)
        self._decoder = self._tts.model.speech_tokenizer.model.decoder
        self.sample_rate = int(self._tts.model.speech_tokenizer.get_output_sample_rate())
        self.version = f"{_qwen_package.version()}/{self._files.name}"
        self._languages = _qwen_voices.Languages(self._tts.model.get_supported_languages())
        progress(80.0, "the voices")
        self._clones = self._cloned() if self._files.kind == "base" else None
        self._voices = self._listed()
        self._packets = Packets.told(settings, usual=12 if self._device.kind == "cpu" else 4)
        progress(90.0, "the first frames")
        self._warm()

    # ------------------------------------------------------------------------------------------- loading

    def _weights(self, package: Any) -> Any:
        from safetensors import SafetensorError

        chosen = self._device
        with _qwen_package.quiet(), _translated():
            try:
                return package.from_pretrained(
                    str(self._files.folder),
                    device_map=chosen.name,
                    dtype=chosen.dtype,
                    attn_implementation=chosen.attention,
                )
            except (OSError, ValueError, ImportError, KeyError, SafetensorError) as error:
                raise EngineError("load_failed", f"{self._files.folder} cannot be loaded: {error}") from error

    def _cloned(self) -> Clones[Any]:
        from . import _qwen_cloning, _qwen_prompts

        self._made_for = _qwen_cloning.made_for(
            self._files.size, self._files.folder, f"qwen-tts {_qwen_package.version()}"
        )
        named = {}
        for name, (path, text) in _qwen_prompts.told(self._settings.get("voices", {}), self._files.name).items():
            named[name] = self._item(self._prompt_of(_qwen_prompts.read(path), text))
        books = int(self._tts.model.config.talker_config.num_code_groups)
        return _qwen_cloning.Clones(self._item, len(self._trial_prompt().speaker), books, named)

    def _prompt_of(self, recording: Any, text: str) -> Prompt:
        from . import _qwen_prompts

        with _qwen_package.quiet(), _translated():
            return _qwen_prompts.make(self._tts, recording, text)

    def _item(self, prompt: Prompt) -> Any:
        from . import _qwen_prompts

        return _qwen_prompts.item(prompt, self._talker.device)

    def _listed(self) -> list[Voice]:
        tags = self._languages.tags
        if self._clones is not None:
            return [Voice(name, tags, description="cloned") for name in self._clones.named]
        if self._files.kind == "voice_design":
            self._designs = _qwen_voices.Designs(self._settings.get("designs", {}))
            return self._designs.voices(tags)
        found = _qwen_voices.presets(self._tts.model.get_supported_speakers(), self._languages)
        if not found:
            raise EngineError("load_failed", f"{self._files.name} is a CustomVoice model without any voice")
        return found

    def _warm(self) -> None:
        """Make a frame and its audio before anybody waits for one: libraries compile and allocate at the first call."""
        utterance, window = self._begin(self.self_test())
        with _translated():
            for _ in range(_WARM_FRAMES):
                if (codes := utterance.frame()) is not None:
                    window.add(codes)
            if not window.waiting:
                raise EngineError("load_failed", f"{self._files.name} makes no frame on {self._device.name}")
            window.decode()

    def _trial_prompt(self) -> Any:
        """A voice of nobody's: its dimensions are every voice's, and a model without any other is tested with it."""
        from . import _qwen_cloning

        prompt = self._prompt_of(_qwen_cloning.joined([Sample(hum(2.0, 24_000))])[0], "")
        self._trial = _qwen_cloning.neutral(prompt)
        return prompt

    # ------------------------------------------------------------------------------------------- cloning

    def create_voice_prompt(self, samples: Sequence[Sample]) -> VoicePrompt:
        from . import _qwen_cloning

        if self._clones is None:
            raise EngineError("invalid_input", f"{self._files.name} is no base model, and cannot clone voices")
        return _qwen_cloning.neutral(self._prompt_of(*_qwen_cloning.joined(samples)))

    def prompts_for(self) -> tuple[str, str, str]:
        if self._clones is None:
            return super().prompts_for()
        return self._made_for

    # -------------------------------------------------------------------------------------------- telling

    def voices(self) -> list[Voice]:
        return self._voices

    def capabilities(self) -> Capabilities:
        return Capabilities(
            seed=True,
            instruct=self._files.takes_instruct,
            cloning=self._clones is not None,
            designs=_qwen_voices.DESIGNED.name if self._files.kind == "voice_design" else "",
            options=tuple(_qwen_request.OPTIONS),
            default_voices=_qwen_voices.defaults(self._voices, self._languages),
        )

    def self_test(self) -> Request:
        if self._clones is not None:
            return _qwen_request.self_test("", self._trial)
        return _qwen_request.self_test(self._voices[0].name)

    def device(self) -> dict[str, Any]:
        return {**self._device.told(), "model": self._files.name, "size": self._files.size}

    # ------------------------------------------------------------------------------------------- speaking

    def synthesize(self, request: Request) -> Generator[Chunk, None, None]:
        self._speaker(request)
        if request.instruct and not self._files.takes_instruct:
            raise EngineError("invalid_input", f"{self._files.name} takes no instructions")
        if not _qwen_request.sayable(request.text):
            return
        utterance, window = self._begin(request)
        try:
            most = _qwen_request.most_frames(request)
            packing = Packing(request.text, window, self._packets, self.sample_rate, most)
            with _translated():
                yield from packed(utterance.frame, packing)
        finally:
            del utterance, window, packing
            self._release()

    def _begin(self, request: Request) -> tuple[Utterance, Window]:
        from ._qwen_decoder import Window
        from ._qwen_talker import Utterance

        speaker = self._speaker(request)
        with _translated():
            utterance = Utterance(self._talker, self._plan(request, speaker), request.seed & (2**63 - 1))
            codes = speaker.ref_code if self._clones is not None else None
            return utterance, Window(self._decoder, self._packets.context, codes)

    def _speaker(self, request: Request) -> Any:
        """Who speaks: a prompt on the device, or the name of a voice of the model's own. Raises EngineError."""
        if self._clones is None and request.prompt is None:
            return _qwen_voices.known(request.voice, self._voices, self._files.name)
        found = self._clones.of(request) if self._clones is not None else None
        if found is None:
            raise EngineError("invalid_input", f"{self._files.name} has no voice {request.voice!r}")
        return found

    def _plan(self, request: Request, voice: Any) -> Plan:
        """The package's own preparation of a request, by its public methods."""
        from ._qwen_talker import plan

        language = self._languages.name(request.language)
        text = _qwen_request.readable(request.text)
        words = self._designs.words(voice, request.instruct) if self._files.kind == "voice_design" else ""
        asked = {"language": language, **_qwen_request.options(request.options)}
        tts = self._tts
        calls: dict[str, Callable[[], Any]] = {
            "custom_voice": lambda: tts.generate_custom_voice(text, voice, instruct=request.instruct or None, **asked),
            "voice_design": lambda: tts.generate_voice_design(text, words, **asked),
            "base": lambda: tts.generate_voice_clone(text, voice_clone_prompt=[voice], **asked),
        }
        with _qwen_package.quiet():
            return plan(tts.model, calls[self._files.kind])

    def _release(self) -> None:
        """The model's memory of what was said is gone with the utterance; what the device keeps for it goes too."""
        from ._qwen_device import release

        gc.collect(0)
        release(self._device)

    def close(self) -> None:
        del self._tts, self._talker, self._decoder
        self._clones = None
        gc.collect()
        self._release()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """What torch says when memory ends, in our words."""
    try:
        yield
    except RuntimeError as error:
        line = (str(error).splitlines() or [""])[0]
        if type(error).__name__ == "OutOfMemoryError" or "out of memory" in line or "can't allocate memory" in line:
            raise EngineError("out_of_memory", line) from error
        raise


engine = QwenEngine

if __name__ == "__main__":
    from .runtime import main

    raise SystemExit(main(QwenEngine))
