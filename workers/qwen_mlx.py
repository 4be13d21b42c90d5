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
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

from . import _qwen_files, _qwen_libraries, _qwen_mlx_package, _qwen_request, _qwen_voices
from ._qwen_packets import Packets, frames_at_most, packed
from .engine import Capabilities, Chunk, Engine, EngineError, Progress, Request, Voice

if TYPE_CHECKING:
    from ._qwen_mlx_frames import Utterance, Window
    from ._qwen_mlx_prompts import Item

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
        self._prompts = self._cloned() if self._files.kind == "base" else {}
        self._voices = self._listed()
        progress(90.0, "the first frames")
        self._warm()

    # ------------------------------------------------------------------------------------------- loading

    def _cloned(self) -> dict[str, Item]:
        from . import _qwen_mlx_prompts, _qwen_prompts

        made = {}
        for name, (path, text) in _qwen_prompts.told(self._settings.get("voices", {}), self._files.name).items():
            recording = _qwen_prompts.read(path)
            with _qwen_libraries.quiet(), _translated():
                prompt = _qwen_mlx_prompts.make(self._model, self._codec, recording, text)
            made[name] = _qwen_mlx_prompts.item(prompt)
        return made

    def _listed(self) -> list[Voice]:
        tags = self._languages.tags
        if self._files.kind == "base":
            return [Voice(name, tags, description="cloned") for name in self._prompts]
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

    # -------------------------------------------------------------------------------------------- telling

    def voices(self) -> list[Voice]:
        return self._voices

    def capabilities(self) -> Capabilities:
        return Capabilities(
            seed=True,
            instruct=self._files.takes_instruct,
            cloning=self._files.kind == "base",
            options=tuple(_qwen_request.OPTIONS),
            default_voices=_qwen_voices.defaults(self._voices, self._languages),
        )

    def self_test(self) -> Request:
        return _qwen_request.self_test(self._voices[0].name)

    def device(self) -> dict[str, Any]:
        return {**self._device.told(), **self._numbers, "model": self._files.name, "size": self._files.size}

    def memory(self) -> int:
        """Bytes that MLX has of a GPU's memory, 0 on a processor. An Apple GPU's is the machine's, but what is in it
        does not count to the process, so nothing else would see it grow. May be called on any thread."""
        from . import _qwen_mlx_device

        return _qwen_mlx_device.held() if self._device.kind != "cpu" else 0

    # ------------------------------------------------------------------------------------------- speaking

    def synthesize(self, request: Request) -> Generator[Chunk, None, None]:
        if not _qwen_request.sayable(request.text):
            self._known(request.voice)
            return
        utterance, window = self._begin(request)
        try:
            with _translated():
                most = _qwen_request.most_frames(request)
                yield from packed(utterance.frame, window, request.text, self._packets, self.sample_rate, most)
        finally:
            del utterance, window
            self._release()

    def _begin(self, request: Request) -> tuple[Utterance, Window]:
        from ._qwen_mlx_frames import Tap, Utterance, Window

        call = self._call(request)
        prompt = self._prompts.get(self._known(request.voice))
        seed = request.seed & (2**64 - 1)
        if prompt is None:
            return Utterance(self._model, call, seed, Tap()), Window(self._decoder)
        utterance = Utterance(self._model, call, seed, Tap(prompt.codes), prompt.speaker)
        return utterance, Window(self._decoder, prompt.last(self._packets.context))

    def _known(self, name: str) -> str:
        return _qwen_voices.known(name, self._voices, self._files.name)

    def _call(self, request: Request) -> Callable[[], Iterator[Any]]:
        """What the package is asked for: its one public method, in packets of a frame, and one frame more than the
        guards let pass, since it ends at its own limit without a word."""
        from ._qwen_mlx_frames import FRAME_S, NO_RECORDING

        voice, language = self._known(request.voice), self._languages.name(request.language)
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
            asked |= {"ref_audio": NO_RECORDING, "ref_text": self._prompts[voice].text, "split_pattern": ""}
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
        self._prompts = {}
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
