"""How a provider speaks with a user's own voice.

Owns: which entries of a chain such a voice stands for, and what a provider must be able to do for it. Must not know:
whether a provider is well, how voice prompts are made. Invariant: nobody speaks with another voice in place of one that
it cannot do; a voice's name means the same whatever provider it is asked of.
"""

from __future__ import annotations

import msgspec

from ...bus.messages import Choice, Style
from . import personal
from .catalogue import Catalogue, Problem
from .personal import digest, prompt_file, voice_key
from .records import VoiceSaved
from .state import Entry, ProviderState
from .world import World

_SEE = "See `voicebus providers --all` for one that can."


def voice(world: World, uid: int, choice: Choice) -> VoiceSaved | None:
    """The user's own voice that a choice names, if it names one."""
    return world.voices.get(voice_key(uid, choice.voice)) if choice.voice else None


def entries(world: World, own: VoiceSaved, provider: str) -> list[Entry] | Problem:
    """Whom a voice may be spoken by, best first: the provider that was named with it, else those of its chain, else
    whoever can, first those of the daemon's own chain, and last whoever made a voice out of words, who may know no
    other way to speak it."""
    if provider:
        return [Entry(provider, own.name, own=own)]
    if own.spec.chain:
        return _chain(world, own)
    order = dict.fromkeys((*(choice.provider for choice in world.settings.chain), *world.providers))
    able = [name for name in order if name in world.providers and _may(world, own, name)]
    if not able:
        what = "speak with a cloned voice" if own.spec.kind == "cloned" else "make a voice from a description"
        return Problem("unsupported", f"No provider here can {what}, which {own.name} is. {_SEE}")
    made_by = {each.origin.provider for each in own.spec.samples}
    able.sort(key=lambda name: name in made_by)
    return [Entry(name, own.name, own=own, chosen=False) for name in able]


def _chain(world: World, own: VoiceSaved) -> list[Entry] | Problem:
    """A voice may have come from elsewhere: whoever is not here is passed over."""
    here = [choice for choice in own.spec.chain if choice.provider in world.providers]
    if not here:
        named = ", ".join(dict.fromkeys(choice.provider for choice in own.spec.chain))
        known = ", ".join(sorted(world.providers)) or "none"
        return Problem(
            "unknown_provider",
            f"{own.name} is spoken by {named}, which is not here; there is {known}. "
            f"Choose another: voicebus voices change {own.name} --provider NAME",
        )
    return [Entry(choice.provider, choice.voice or own.name, own=None if choice.voice else own) for choice in here]


def ability(world: World, entry: Entry) -> bool | Problem | None:
    """Whether an entry can be spoken: True, or why it cannot; None as long as its provider has not told what it can."""
    catalogue = world.providers[entry.provider].catalogue
    if entry.own is None:
        return True
    if catalogue is None:
        return None
    found = realize(entry.own, entry.provider, catalogue)
    if isinstance(found, Problem):
        return found
    return True if found[1] else stands_in(world, entry) or True


def _may(world: World, own: VoiceSaved, provider: str) -> bool:
    catalogue = world.providers[provider].catalogue
    return catalogue is None or not isinstance(realize(own, provider, catalogue), Problem)


def realize(own: VoiceSaved, provider: str, catalogue: Catalogue) -> tuple[str, str] | Problem:
    """What a provider is asked for to speak with a voice: the name of a voice of its own ("" for none), and the key of
    the voice prompt ("" for none)."""
    if own.spec.samples and catalogue.capabilities["cloning"]:
        return "", prompt_key(own, catalogue)
    if own.spec.kind == "designed":
        if catalogue.capabilities["designs"]:
            return catalogue.capabilities["designs"], ""
        return Problem("unsupported", f"{provider} cannot make a voice from a description. {_SEE}")
    return Problem("unsupported", f"{provider} cannot speak with a cloned voice. {_SEE}")


def stands_in(world: World, entry: Entry) -> Problem | None:
    """Why an entry that can only describe a voice is not to speak it: nobody chose it, somebody clones, and what is
    described is another speaker with each sentence. None where it is as good as anybody."""
    if entry.chosen or entry.own is None or not entry.own.spec.samples:
        return None
    told = {name: provider.catalogue for name, provider in world.providers.items() if provider.catalogue is not None}
    cloner = next((name for name, catalogue in told.items() if catalogue.capabilities["cloning"]), "")
    why = f"{entry.provider} can only describe {entry.own.name}, which {cloner} clones"
    return Problem("unsupported", why) if cloner else None


def prompt_key(own: VoiceSaved, catalogue: Catalogue) -> str:
    """The name of what a provider makes of a voice's recordings: another one whenever a recording, what is said in it,
    the model, its revision or the way of making it is another."""
    words = [word for each in own.spec.samples for word in (each.sample, each.text)]
    return digest([*words, *catalogue.prompts])


def prompt_of(entry: Entry) -> tuple[int, str]:
    """Which voice prompt an entry needs: of whom, and in which file."""
    assert entry.own is not None
    return entry.own.uid, prompt_file(entry.own.spec, entry.prompt)


def origin(entry: Entry) -> str:
    """What the voice of an entry sounds like, in short; "" for a provider's own."""
    return personal.origin(entry.own.spec) if entry.own is not None else ""


def equipped(world: World, entry: Entry) -> bool:
    """Whether all is there that a worker needs to speak with this voice."""
    return not entry.prompt or prompt_of(entry) in world.prompts


def startable(world: World, entry: Entry) -> bool:
    """Whether a worker can be given something to do for this entry: to speak, or first to make what that needs."""
    if equipped(world, entry):
        return True
    making = world.makings.get(prompt_of(entry))
    return making is None or making.open


def renew(entry: Entry, provider: ProviderState) -> None:
    """The prompt that an entry needs now: a worker with another model may have taken the place of one since."""
    if entry.prompt and entry.own is not None and provider.catalogue is not None:
        entry.prompt = prompt_key(entry.own, provider.catalogue)


def refused(world: World, entry: Entry) -> Problem | None:
    """Why this voice is not made any more for this entry, None if it may be."""
    making = world.makings.get(prompt_of(entry)) if entry.prompt else None
    if making is not None and making.refusal:
        return Problem(making.code, making.refusal)
    missing = (
        [each.sample for each in entry.own.samples if (entry.own.uid, each.sample) not in world.uploads]
        if entry.own is not None and not equipped(world, entry)
        else []
    )
    if missing:
        name = entry.own.name if entry.own is not None else ""
        return Problem("not_found", f"A recording of {name} is missing from the disk; add it again.")
    return None


def style(entry: Entry, asked: Style) -> Style:
    """How to say it with this voice: what describes a designed one goes before the caller's own words."""
    if entry.own is None or entry.prompt or not entry.own.spec.description:
        return asked
    words = (entry.own.spec.description, asked.instruct)
    return msgspec.structs.replace(asked, instruct=" ".join(word for word in words if word))


def language(world: World, uid: int, asked: list[Choice]) -> str:
    """The language of the voice that is asked for first, where it is one's own and knows one."""
    first = voice(world, uid, asked[0]) if asked else None
    return first.spec.languages[0] if first is not None and first.spec.languages else ""
