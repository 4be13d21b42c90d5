"""espeak-ng through ctypes: the C functions that the espeak engine needs, made safe to call.

Owns: the foreign types, the one callback, and the process-wide lock (the library is one set of globals: two threads
in it at once mix their audio without any error). Must not know: requests, voices by their public names, the bus.
Invariant: no exception ever passes through C, and no string of a client reaches a function that opens a file.

espeak-ng is Copyright (C) 2005-2007 Jonathan Duddington and (C) 2015-2024 Reece H. Dunn and others, under
GPL-3.0-or-later. A process that loads it is, when distributed, a work under GPL-3.0-or-later as a whole; that is why
it is loaded in this worker's process and nowhere else.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

WORD, SENTENCE, MARK = 1, 2, 3
RATE, VOLUME, PITCH, PUNCTUATION = 1, 2, 3, 5

_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_UTF8, _SSML, _END_PAUSE = 0x1, 0x10, 0x1000
_BUFFER_MS = 60  # the least that the library accepts


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


class _Voice(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
_UriCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens at a sample. position: 1-based, in characters as the library counts them."""

    type: int
    sample: int
    position: int
    length: int
    name: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One voice as the library lists it. languages: tag and priority, lower is better. gender: 1 male, 2 female."""

    name: str
    identifier: str
    languages: tuple[tuple[str, int], ...]
    gender: int


Sink = Callable[[bytes, list[Event]], bool]
"""Gets a run of PCM with what happens in it; says whether to go on."""


class Library:
    """The loaded library. Use `library()`: a process can have only one."""

    def __init__(self, path: str, data: str) -> None:
        self._lock = threading.Lock()
        self._sink: Sink | None = None
        self._error: BaseException | None = None
        self._lib = ctypes.CDLL(path)
        self._declare()
        self.sample_rate = int(self._lib.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data.encode() or None, _DONT_EXIT))
        if self.sample_rate <= 0:
            raise OSError(f"espeak-ng found no usable data in {data or 'its default place'}")
        # Both callbacks are kept, or they would be freed while C still calls them.
        self._synth_callback = _SynthCallback(self._on_audio)
        self._uri_callback = _UriCallback(_refuse)
        self._lib.espeak_SetSynthCallback(self._synth_callback)
        self._lib.espeak_SetUriCallback(self._uri_callback)

    def _declare(self) -> None:
        lib = self._lib
        lib.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        lib.espeak_Info.argtypes = [ctypes.POINTER(ctypes.c_char_p)]
        lib.espeak_Info.restype = ctypes.c_char_p
        lib.espeak_ListVoices.argtypes = [ctypes.POINTER(_Voice)]
        lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        lib.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        lib.espeak_SetPunctuationList.argtypes = [ctypes.c_wchar_p]
        lib.espeak_SetSynthCallback.argtypes = [_SynthCallback]
        lib.espeak_SetSynthCallback.restype = None
        lib.espeak_SetUriCallback.argtypes = [_UriCallback]
        lib.espeak_SetUriCallback.restype = None
        lib.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.POINTER(ctypes.c_uint),
            ctypes.c_void_p,
        ]

    @property
    def version(self) -> str:
        """The library's own word on it, as "1.52.0"."""
        return str(self._lib.espeak_Info(None).decode().split(":")[-1].split()[0])

    @property
    def data(self) -> str:
        """The folder of its data."""
        path = ctypes.c_char_p()
        self._lib.espeak_Info(ctypes.byref(path))
        return (path.value or b"").decode()

    def voices(self, language: str = "") -> list[Listed]:
        """All voices; with "variant" or "mbrola", those instead, which a plain list leaves out."""
        wanted = None
        if language:
            wanted = _Voice()
            tags = ctypes.create_string_buffer(language.encode() + b"\0\0")
            wanted.languages = ctypes.cast(tags, ctypes.c_void_p)
            wanted = ctypes.byref(wanted)  # type: ignore[assignment]
        with self._lock:
            found = self._lib.espeak_ListVoices(wanted)
            listed: list[Listed] = []
            while found[len(listed)]:
                listed.append(_listed(found[len(listed)].contents))
        return listed

    def set_voice(self, identifier: str) -> bool:
        """Speak with this voice from now on; the identifier must come from `voices`. Says whether it worked."""
        with self._lock:
            return bool(self._lib.espeak_SetVoiceByName(identifier.encode()) == 0)

    def set_parameter(self, which: int, value: int) -> None:
        """Set one of RATE (words a minute), VOLUME, PITCH, PUNCTUATION."""
        with self._lock:
            self._lib.espeak_SetParameter(which, value, 0)

    def set_punctuation_list(self, characters: str) -> None:
        """What "some" punctuation is."""
        with self._lock:
            self._lib.espeak_SetPunctuationList(characters)

    def speak(self, text: str, sink: Sink, *, ssml: bool) -> None:
        """Speak, calling `sink` on this thread until all is said or it returns False; raises what it raised."""
        data = text.encode("utf-8", "replace") + b"\0"
        # The pause after a sentence belongs to it: without it, the sentences of a book run into each other.
        flags = _UTF8 | _END_PAUSE | (_SSML if ssml else 0)
        with self._lock:
            self._sink, self._error = sink, None
            try:
                self._lib.espeak_Synth(data, len(data), 0, 1, 0, flags, None, None)
            finally:
                self._sink, error, self._error = None, self._error, None
        if error is not None:
            raise error

    def _on_audio(self, wave: Any, count: int, events: Any) -> int:
        """The callback: 0 to go on, 1 to stop. espeak_Cancel does nothing in this mode, so this is the only way."""
        if self._sink is None:
            return 1
        try:
            pcm = ctypes.string_at(wave, 2 * count) if wave and count > 0 else b""
            if self._sink(pcm, _events(events)):
                return 0
        except BaseException as error:  # noqa: BLE001 - whatever it is, it must not unwind C frames
            self._error = error
        self._sink = None
        return 1


def _refuse(_kind: int, _uri: bytes, _base: bytes) -> int:
    """Says no to every `<audio>`: the library would crash on a file that is no WAV, or run a shell on its name."""
    return 1


def _events(pointer: Any) -> list[Event]:
    found = []
    index = 0
    while (event := pointer[index]).type != 0:
        index += 1
        if event.type in (WORD, SENTENCE, MARK):
            name = (event.id.name or b"").decode("utf-8", "replace") if event.type == MARK else ""
            found.append(Event(event.type, event.sample, event.text_position, event.length, name))
    return found


def _listed(voice: Any) -> Listed:
    languages = []
    at = voice.languages or 0
    # Each is a byte of priority and a C string; a priority of 0 ends the list.
    while at and (priority := ctypes.string_at(at, 1)[0]):
        tag = ctypes.string_at(at + 1)
        languages.append((tag.decode(), priority))
        at += len(tag) + 2
    return Listed((voice.name or b"").decode(), (voice.identifier or b"").decode(), tuple(languages), voice.gender)


@cache
def library(path: str = "", data: str = "") -> Library:
    """The library of this process: from the given places, else from the `espeakng_loader` package, else the system's.

    Raises OSError where there is none.
    """
    if not path:
        try:
            import espeakng_loader
        except ImportError:
            path = "libespeak-ng.so.1"
        else:
            path, data = str(espeakng_loader.get_library_path()), str(espeakng_loader.get_data_path())
    if data and not Path(data).is_dir():
        raise OSError(f"no espeak-ng data in {data}")
    return Library(path, data)
