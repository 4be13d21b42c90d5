"""The audio of the tone engine, as a function: what anybody can compute who wants to know whether he got all of it.

Owns: the samples. Must not know: engines, time. Invariant: a sample depends on the utterance and on its own place
only, so any part can be made alone, and the same twice.

Sample ``i`` is, as signed 16-bit little-endian:

- high byte: ``round(24 * sin(2 pi (i mod P) / P))``, a tone with a period of ``P`` samples;
- low byte: byte ``i mod 4096`` of ``shake_128(seed + (i // 4096).to_bytes(8, "little"))``, faint noise that is
  different at every place and for every utterance.

``seed`` is the SHA-256 of salt, voice, seed number and text, each in UTF-8 behind its length (4 bytes, little). ``P``
is 40 to 103, from its first byte, divided by the pitch. A volume other than 1 scales the sine and leaves the noise.
Whatever is shifted, left out, repeated or taken from another utterance does not compare equal.
"""

from __future__ import annotations

import hashlib
import math

BLOCK = 4096
"""Samples in a block of noise."""


class Tone:
    """The endless audio of one utterance."""

    def __init__(
        self, text: str, *, voice: str = "", seed: int = 0, salt: str = "", pitch: float = 1.0, volume: float = 1.0
    ) -> None:
        parts = [part.encode("utf-8", "surrogatepass") for part in (salt, voice, str(seed), text)]
        digest = hashlib.sha256(b"".join(len(part).to_bytes(4, "little") + part for part in parts))
        self._seed = digest.digest()
        period = max(2, round((40 + self._seed[0] % 64) / pitch))
        height = 24 * min(max(volume, 0.0), 4.0)
        sine = bytes(round(height * math.sin(2 * math.pi * i / period)) % 256 for i in range(period))
        # Two blocks long, so that a block's worth can be cut from any phase in one slice.
        self._sine = sine * (2 * BLOCK // period + 2)
        self._period = period
        self._silent = volume <= 0
        self._noise = (-1, b"")

    def samples(self, start: int, stop: int) -> bytes:
        """The samples from `start` up to `stop`, as PCM."""
        if self._silent:
            return bytes(2 * max(0, stop - start))
        return b"".join(
            self._block(block, max(start, block * BLOCK), min(stop, (block + 1) * BLOCK))
            for block in range(start // BLOCK, -(-stop // BLOCK))
        )

    def _block(self, block: int, start: int, stop: int) -> bytes:
        if self._noise[0] != block:
            digest = hashlib.shake_128(self._seed + block.to_bytes(8, "little")).digest(BLOCK)
            self._noise = block, digest
        noise = self._noise[1]
        phase = start % self._period
        made = bytearray(2 * (stop - start))
        made[0::2] = noise[start - block * BLOCK : stop - block * BLOCK]
        made[1::2] = self._sine[phase : phase + stop - start]
        return bytes(made)
