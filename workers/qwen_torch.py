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
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _qwen_files, _qwen_package, _qwen_voices
from ._qwen_guards import Length, Loop, Silence
from .engine import Capabilities, Chunk, Engine, EngineError, Progress, Request, Voice

if TYPE_CHECKING:
    from ._qwen_decoder import Window
    from ._qwen_talker import Plan, Utterance

DESIGNED = Voice("designed", description="the voice that `instruct` describes")
_PLAIN_DESIGN = "A calm adult voice, clear and even, at a moderate pace."

_OPTIONS: dict[str, tuple[Callable[[Any], float], float, float]] = {
    "temperature": (float, 0.05, 2.0),
    "top_p": (float, 0.05, 1.0),
    "top_k": (int, 1, 2048),
}
"""Names in a request's options, with their types and bounds."""

_FIRST_FRAMES, _MOST_FRAMES = 1, 2048

_WARM_FRAMES = 2

_TEST, _TEST_FRAMES = "self-test", 25
"""The self-test stops after two seconds, end or no end: on a processor each of them takes five, and a model that misses
the end of a sentence once in 200 is in order. No capability names the option, so no client can ask for it."""

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
        self._prompts = self._cloned() if self._files.kind == "base" else {}
        self._voices = self._listed()
        self._packets()
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

    def _packets(self) -> None:
        told = self._settings
        usual = 12 if self._device.kind == "cpu" else 4
        self._first = max(1, int(told.get("first_frames", _FIRST_FRAMES)))
        self._packet = max(1, int(told.get("packet_frames", usual)))
        self._context = max(0, int(told.get("context_frames", 25)))
        self._most = max(1, int(told.get("max_frames", _MOST_FRAMES)))

    def _cloned(self) -> dict[str, Any]:
        from . import _qwen_prompts

        told = self._settings.get("voices", {})
        if not isinstance(told, dict) or not told:
            raise EngineError(
                "load_failed",
                f"{self._files.name} is a base model, which speaks with cloned voices only; set "
                'voices = { anna = { sample = "/path/anna.wav", text = "what is said in it" } }',
            )
        made = {}
        for name, row in told.items():
            if not isinstance(row, dict) or not row.get("sample"):
                raise EngineError("load_failed", f'voices.{name} must be {{ sample = "...", text = "..." }}')
            recording = _qwen_prompts.read(Path(str(row["sample"])).expanduser())
            with _qwen_package.quiet(), _translated():
                prompt = _qwen_prompts.make(self._tts, recording, str(row.get("text", "")))
            made[str(name)] = _qwen_prompts.item(prompt, self._talker.device)
        return made

    def _listed(self) -> list[Voice]:
        tags = self._languages.tags
        if self._files.kind == "base":
            return [Voice(name, tags, description="cloned") for name in self._prompts]
        if self._files.kind == "voice_design":
            told = self._settings.get("designs", {})
            self._designs = {str(name): str(words) for name, words in told.items()} | {DESIGNED.name: ""}
            named = self._designs.items()
            return [Voice(name, tags, description=words or DESIGNED.description) for name, words in named]
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

    # -------------------------------------------------------------------------------------------- telling

    def voices(self) -> list[Voice]:
        return self._voices

    def capabilities(self) -> Capabilities:
        return Capabilities(
            seed=True,
            instruct=self._takes_instruct(),
            cloning=self._files.kind == "base",
            options=tuple(_OPTIONS),
            default_voices=_qwen_voices.defaults(self._voices, self._languages),
        )

    def _takes_instruct(self) -> bool:
        # The package drops it without a word for the small model, and Base models were not trained for it.
        small = self._files.size == _qwen_files.SIZES["0.6B"]
        return self._files.kind == "voice_design" or (self._files.kind == "custom_voice" and not small)

    def self_test(self) -> Request:
        return Request("one two three four", self._voices[0].name, options={_TEST: True})

    def device(self) -> dict[str, Any]:
        return {**self._device.told(), "model": self._files.name, "size": self._files.size}

    # ------------------------------------------------------------------------------------------- speaking

    def synthesize(self, request: Request) -> Generator[Chunk, None, None]:
        if not any(char.isalnum() for char in request.text):
            self._known(request.voice)
            return  # There is nothing to say, and a model that is asked to say nothing says anything.
        utterance, window = self._begin(request)
        try:
            most = _TEST_FRAMES if request.options.get(_TEST) else 0
            yield from self._packed(utterance, window, request.text, most)
        finally:
            del utterance, window
            self._release()

    def _packed(self, utterance: Utterance, window: Window, text: str, most: int) -> Generator[Chunk, None, None]:
        length, loop, silence = Length(text, self._most), Loop(), Silence(self.sample_rate)
        wanted = self._first
        while not most or length.made < most:
            length.add()
            with _translated():
                codes = utterance.frame()
            if codes is None:
                break
            loop.add(int(codes[0]))
            window.add(codes)
            if window.waiting < wanted:
                yield Chunk(b"")  # A place to be stopped at: the GPU is not to go on for a whole packet.
                continue
            yield _decoded(window, silence)
            wanted = self._packet
        if window.waiting:
            yield _decoded(window, silence)

    def _begin(self, request: Request) -> tuple[Utterance, Window]:
        from ._qwen_decoder import Window
        from ._qwen_talker import Utterance

        prompt = self._prompts.get(self._known(request.voice))
        with _translated():
            utterance = Utterance(self._talker, self._plan(request), request.seed & (2**63 - 1))
            return utterance, Window(self._decoder, self._context, prompt.ref_code if prompt else None)

    def _known(self, name: str) -> str:
        if name and name not in {voice.name for voice in self._voices}:
            raise EngineError("invalid_input", f"{self._files.name} has no voice {name!r}")
        return name or self._voices[0].name

    def _plan(self, request: Request) -> Plan:
        """The package's own preparation of a request, by its public methods."""
        from ._qwen_talker import plan

        voice, language = self._known(request.voice), self._languages.name(request.language)
        text = request.text.encode("utf-8", "replace").decode()  # An unpaired surrogate has no token.
        asked = {"language": language, **_options(request.options)}
        tts = self._tts
        calls: dict[str, Callable[[], Any]] = {
            "custom_voice": lambda: tts.generate_custom_voice(text, voice, instruct=request.instruct or None, **asked),
            "voice_design": lambda: tts.generate_voice_design(text, self._design(voice, request.instruct), **asked),
            "base": lambda: tts.generate_voice_clone(text, voice_clone_prompt=[self._prompts[voice]], **asked),
        }
        with _qwen_package.quiet():
            return plan(tts.model, calls[self._files.kind])

    def _design(self, voice: str, instruct: str) -> str:
        words = (self._designs[voice], instruct)
        return " ".join(word for word in words if word) or _PLAIN_DESIGN

    def _release(self) -> None:
        """The model's memory of what was said is gone with the utterance; what the device keeps for it goes too."""
        from ._qwen_device import release

        gc.collect(0)
        release(self._device)

    def close(self) -> None:
        del self._tts, self._talker, self._decoder
        self._prompts = {}
        gc.collect()
        self._release()


def _decoded(window: Window, silence: Silence) -> Chunk:
    with _translated():
        samples = window.decode()
    silence.add(len(samples), float(samples.abs().max()))
    pcm = (samples.clamp(-1.0, 1.0) * 32767.0).round().numpy().astype("<i2")
    return Chunk(bytes(pcm.tobytes()))


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
