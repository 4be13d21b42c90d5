"""Qwen3-TTS on MLX: Apple's GPUs, and (slowly) any processor.

Owns: the mapping of a request to the model. Must not know: the bus, how the package is stopped between frames and how
codes become sound (`_qwen_mlx_frames`), in which packets audio leaves (`_qwen_packets`). Invariant: a voice, a language
or a device that is not there is refused by name; audio leaves as it is made; one frame (80 ms of audio) is the longest
that a stop waits; with the same seed the same model on the same device says the same. All of MLX is on the thread that
loads: its streams belong to threads.

The models' weights are under the Apache licence and are not part of this package.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..bus.prompts import VoicePrompt
from . import _qwen_files, _qwen_libraries, _qwen_mlx_package, _qwen_request, _qwen_voices
from ._qwen_packets import Packets, Packing, frames_at_most, packed
from .engine import Capabilities, Chunk, Engine, EngineError, Progress, Request, Sample, Voice, hum

if TYPE_CHECKING:
    from ._qwen_cloning import Clones
    from ._qwen_mlx_frames import Utterance, Window
    from ._qwen_mlx_prompts import Item
    from ._qwen_prompts import Prompt

_WARM_FRAMES = 2


class QwenMlxEngine(Engine):
    """Qwen3-TTS 12 Hz, by the package `mlx-audio`.

    Settings, all optional: model (a folder, or a hub's id, also of a quantised conversion; by default the published one
    of `kind` and `size`), kind ("custom_voice", "voice_design", "base"), size ("0.6B", "1.7B"), revision, offline
    (true: never download), device ("auto", "metal", "cuda", "cpu"), dtype ("auto": as in the files), first_frames (in
    the first packet, 1), packet_frames (in the others, 4), context_frames (of a cloned voice's recording, decoded
    before the first packet, 25), max_frames (2048), voices (of a base model: name to {sample, text}), designs (of a
    voice_design model: name to description).
    """

    name = "qwen-mlx"

    def load(self, settings: dict[str, Any], progress: Progress) -> None:
        self._settings = settings
        if settings.get("offline", True):
            os.environ["HF_HUB_OFFLINE"] = "1"  # Before the libraries are imported: they look at it once.
        progress(0.0, "the libraries")
        _qwen_mlx_package.load()
        from . import _qwen_mlx_device
        from ._qwen_mlx_frames import Decoder

        progress(10.0, "the device")
        self._device = _qwen_mlx_device.choose(settings)
        dtype = _qwen_mlx_device.dtype(settings)
        self._files = _qwen_files.find(settings, progress)
        progress(20.0, f"the weights of {self._files.name} on {self._device.kind}")
        with _translated():
            self._model = _qwen_mlx_package.weights(self._files.folder)
            self._numbers = _qwen_mlx_device.converted(self._model.talker, dtype)
        self._codec = self._model.speech_tokenizer
        self._decoder = Decoder(self._codec)
        self.sample_rate = int(self._model.sample_rate)
        self.version = f"{_qwen_mlx_package.version()}/{self._files.name}"
        self._languages = _qwen_voices.Languages(self._model.get_supported_languages())
        self._packets = Packets.told(settings, usual=4)
        progress(80.0, "the voices")
        self._clones = self._cloned() if self._files.kind == "base" else None
        self._voices = self._listed()
        progress(90.0, "the first frames")
        self._warm()

    # ------------------------------------------------------------------------------------------- loading

    def _cloned(self) -> Clones[Item]:
        from . import _qwen_cloning, _qwen_mlx_prompts, _qwen_prompts

        self._made_for = _qwen_cloning.made_for(
            self._files.size, self._files.folder, f"mlx-audio {_qwen_mlx_package.version()}"
        )
        named = {}
        for name, (path, text) in _qwen_prompts.told(self._settings.get("voices", {}), self._files.name).items():
            named[name] = _qwen_mlx_prompts.item(self._prompt_of(_qwen_prompts.read(path), text))
        books = int(self._model.config.talker_config.num_code_groups)
        width = len(self._trial_prompt().speaker)
        return _qwen_cloning.Clones(_qwen_mlx_prompts.item, width, books, named)

    def _prompt_of(self, recording: Any, text: str) -> Prompt:
        from . import _qwen_mlx_prompts

        with _qwen_libraries.quiet(), _translated():
            return _qwen_mlx_prompts.make(self._model, self._codec, recording, text)

    def _listed(self) -> list[Voice]:
        tags = self._languages.tags
        if self._clones is not None:
            return [Voice(name, tags, description="cloned") for name in self._clones.named]
        if self._files.kind == "voice_design":
            self._designs = _qwen_voices.Designs(self._settings.get("designs", {}))
            return self._designs.voices(tags)
        found = _qwen_voices.presets(self._model.get_supported_speakers(), self._languages)
        if not found:
            raise EngineError("load_failed", f"{self._files.name} is a CustomVoice model without any voice")
        return found

    def _warm(self) -> None:
        """Make a frame and its audio before anybody waits for one: kernels are compiled at the first call."""
        utterance, window = self._begin(self.self_test())
        with _translated():
            for _ in range(_WARM_FRAMES):
                if (codes := utterance.frame()) is not None:
                    window.add(codes)
            if not window.waiting:
                raise EngineError("load_failed", f"{self._files.name} makes no frame on {self._device.kind}")
            window.decode()
        self._release()

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

    def forget(self, key: str) -> None:
        if self._clones is not None:
            self._clones.forget(key)
        self._release()

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
        return {**self._device.told(), **self._numbers, "model": self._files.name, "size": self._files.size}

    def memory(self) -> int:
        """Bytes that MLX has of a GPU's memory, 0 on a processor. An Apple GPU's is the machine's, but what is in it
        does not count to the process, so nothing else would see it grow. May be called on any thread."""
        from . import _qwen_mlx_device

        loaded = hasattr(self, "_device") and self._device.kind != "cpu"
        return _qwen_mlx_device.held() if loaded else 0

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
        from ._qwen_mlx_frames import Tap, Utterance, Window

        prompt = self._speaker(request)
        call = self._call(request, prompt)
        seed = request.seed & (2**64 - 1)
        if self._clones is None:
            return Utterance(self._model, call, seed, Tap()), Window(self._decoder)
        utterance = Utterance(self._model, call, seed, Tap(prompt.codes), prompt.speaker)
        return utterance, Window(self._decoder, prompt.last(self._packets.context))

    def _speaker(self, request: Request) -> Any:
        """Who speaks: a prompt on the device, or the name of a voice of the model's own. Raises EngineError."""
        if self._clones is None and request.prompt is None:
            return _qwen_voices.known(request.voice, self._voices, self._files.name)
        found = self._clones.of(request) if self._clones is not None else None
        if found is None:
            raise EngineError("invalid_input", f"{self._files.name} has no voice {request.voice!r}")
        return found

    def _call(self, request: Request, voice: Any) -> Callable[[], Iterator[Any]]:
        """What the package is asked for: its one public method, in packets of a frame, and one frame more than the
        guards let pass, since it ends at its own limit without a word."""
        from ._qwen_mlx_frames import FRAME_S, NO_RECORDING

        language = self._languages.name(request.language)
        asked: dict[str, Any] = {
            "text": _qwen_request.readable(request.text),
            "lang_code": language,
            "stream": True,
            "streaming_interval": FRAME_S,
            "max_tokens": frames_at_most(request.text, self._packets) + 1,
            **_qwen_request.options(request.options),
        }
        if self._files.kind == "custom_voice":
            asked |= {"voice": voice, "instruct": request.instruct or None}
        elif self._files.kind == "voice_design":
            asked |= {"instruct": self._designs.words(voice, request.instruct)}
        else:
            asked |= {"ref_audio": NO_RECORDING, "ref_text": voice.text, "split_pattern": ""}
        return lambda: iter(self._model.generate(**asked))

    def _release(self) -> None:
        """What was said is forgotten, and the memory that MLX kept for it goes back."""
        from . import _qwen_mlx_device

        self._decoder.end()
        gc.collect(0)
        _qwen_mlx_device.release()

    def close(self) -> None:
        from . import _qwen_mlx_device

        del self._model, self._codec, self._decoder
        self._clones = None
        gc.collect()
        _qwen_mlx_device.release()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """What MLX says when memory ends, in our words."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        if isinstance(error, MemoryError) or "malloc" in line or "nsufficient Memory" in line or "ut of memory" in line:
            raise EngineError("out_of_memory", line) from error
        raise


engine = QwenMlxEngine

if __name__ == "__main__":
    from .runtime import main

    raise SystemExit(main(QwenMlxEngine))
