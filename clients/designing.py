"""How a voice is made of words: one reference is spoken, and the voice is cloned from it ever after.

Owns: who makes a reference, what it says, what is kept of how it was made. Must not know: sockets, files, who asks.
Invariant: a reference is one sentence spoken by one attempt, since a model that describes is another speaker with each;
what is said of its making is enough to make it again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..bus.errors import DaemonError, InvalidRequest
from ..bus.messages import Origin
from .encoders import wav_header
from .events import Result
from .voicing import Recording, Row

SEEDS = 2**31

TAIL_S = 0.5
"""Silence behind a reference: what ends in the midst of sound is gone on with in what is cloned from it."""

TEXTS = {
    "en": "Every evening, when the shops had closed and the streets grew quiet, she walked down to the river, "
    "listened to the water, and thought about the day.",
    "de": "Jeden Abend, wenn die Läden geschlossen hatten und es still wurde in den Straßen, ging sie hinunter zum "
    "Fluss, hörte dem Wasser zu und dachte über den Tag nach.",
    "fr": "Chaque soir, quand les boutiques avaient fermé et que les rues devenaient calmes, elle descendait jusqu'à "
    "la rivière, écoutait l'eau et repensait à sa journée.",
    "es": "Cada tarde, cuando las tiendas habían cerrado y las calles quedaban en silencio, ella bajaba hasta el río, "
    "escuchaba el agua y pensaba en lo que había traído el día.",
    "it": "Ogni sera, quando i negozi avevano chiuso e le strade si facevano silenziose, lei scendeva fino al fiume, "
    "ascoltava l'acqua e ripensava alla giornata.",
    "pt": "Todas as noites, quando as lojas já tinham fechado e as ruas ficavam quietas, ela descia até ao rio, "
    "escutava a água e pensava no que o dia lhe tinha trazido.",
    "ru": "Каждый вечер, когда магазины закрывались и на улицах становилось тихо, она спускалась к реке, слушала "
    "воду и думала о том, что принёс этот день.",
    "zh": "每天傍晚，等商店都关了门，街道渐渐安静下来，她就慢慢走到河边，听着流水的声音，回想这一天里发生的事情。",
    "ja": "毎晩、店が閉まって通りが静かになると、"
    "彼女は川まで歩いていき、水の音に耳を澄ませながら、その日のことをゆっくりと思い返していました。",
    "ko": "매일 저녁 가게들이 문을 닫고 거리가 조용해지면, "
    "그녀는 강가로 천천히 걸어 내려가 물소리를 들으며 그날 있었던 일을 하나하나 떠올렸습니다.",
}
"""One sentence of eight to ten seconds in each language, in which most of its sounds occur."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A reference that is to be made. text: what it says; options: for `speak`; description, seed: what of."""

    text: str
    description: str
    seed: int
    options: dict[str, Any]

    def recording(self, pcm: bytes, rate: int, result: Result) -> Recording:
        """What was spoken, as a recording that a voice can be made from. pcm: 16-bit mono. Raises InvalidRequest where
        it is no single take."""
        if result.segments != 1:
            raise InvalidRequest(
                f"The reference was spoken in {result.segments} parts, each of which may be another speaker. "
                "Let it say one sentence, without a full stop inside."
            )
        who = result.speakers[0]
        origin = Origin(who["provider"], str(who["version"])[:256], self.seed, self.description)
        pcm += bytes(2 * int(TAIL_S * rate))
        return Recording(wav_header(rate, len(pcm)) + pcm, self.text, origin=origin)


def plan(
    rows: Iterable[Row],
    description: str,
    *,
    text: str = "",
    language: str = "",
    provider: str = "",
    prefer: Iterable[str] = (),
    seed: int | None = None,
) -> Plan:
    """How to make a reference. rows: the providers. provider: who is to make it, "" for whoever can, first those that
    are preferred. seed: None for one by chance. Raises InvalidRequest, and DaemonError where nobody can now."""
    if not description.strip():
        raise InvalidRequest("A designed voice needs a description of how it sounds.")
    row = _maker(list(rows), provider, list(prefer))
    able: Mapping[str, Any] = row["capabilities"]
    said = " ".join(text.split()) or TEXTS.get(language.replace("_", "-").partition("-")[0].lower(), TEXTS["en"])
    if seed is None:
        seed = secrets.randbelow(SEEDS) if able["seed"] else 0
    elif not able["seed"]:
        raise InvalidRequest(f"{row['provider']} takes no seed: what it makes is another voice each time.")
    options: dict[str, Any] = {
        "chain": [(row["provider"], able["designs"])],
        "instruct": description,
        "language": language or ("auto" if text else "en"),
        "keep": "nothing",
        "pace": "render",
        "whole": True,
        **({"seed": seed} if able["seed"] else {}),
    }
    return Plan(said, description, seed, options)


def makers(rows: Iterable[Row]) -> list[Row]:
    """The providers that make a voice from words, those first that can at once."""
    able = [row for row in rows if row["capabilities"].get("designs")]
    return sorted(able, key=lambda row: not row["ready"])


def undecided(rows: Iterable[Row], provider: str = "") -> list[str]:
    """The providers, all or one, of which nobody knows yet what they can."""
    some = [row for row in rows if provider in ("", row["provider"])]
    return [row["provider"] for row in some if not row["capabilities"] and row["state"] == "starting"]


def _maker(rows: list[Row], provider: str, prefer: list[str]) -> Row:
    """Who makes the reference."""
    able = makers(rows)
    if provider:
        able = [row for row in able if row["provider"] == provider]
    able.sort(key=lambda row: prefer.index(row["provider"]) if row["provider"] in prefer else len(prefer))
    if able:
        return able[0]
    if provider and provider not in {row["provider"] for row in rows}:
        raise InvalidRequest(f"There is no provider {provider!r}; see: voicebus providers", code="unknown_provider")
    if loading := undecided(rows, provider):
        what = f"Whether {', '.join(loading)} can make a voice from words is not known before it is ready"
        raise DaemonError(f"{what}; try again then.", retry_after=5.0)
    who = provider or "No provider here"
    raise InvalidRequest(
        f"{who} {'cannot' if provider else 'can'} make a voice from words. See `voicebus providers --all` for one "
        "that can, such as a VoiceDesign model of Qwen3-TTS.",
        code="unsupported",
    )
