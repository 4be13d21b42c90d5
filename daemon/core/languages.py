"""Languages: their tags, their scripts and their commonest words.

Owns: how BCP 47 tags fall back to each other, which letters a language is written with, a guess at a text's language.
Must not know: voices, providers, jobs. Invariant: the same text and tags give the same answer; nothing here costs more
than the length of the text.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

_SPELLINGS = (
    ("zh", "cmn"),
    ("no", "nb", "nn"),
    ("he", "iw"),
    ("id", "in"),
    ("yi", "ji"),
    ("ro", "mo"),
    ("fil", "tl"),
    ("fa", "prs"),
)
"""Tags of one language: whoever asks for one is served by a voice that claims another."""

_ALIKE: dict[str, tuple[str, ...]] = {tag: group for group in _SPELLINGS for tag in group}

_WRITTEN: dict[str, str] = {
    "LATIN": "af an az bs ca cs cy da de en eo es et eu fi fil fo fr fy ga gd gl ha hr ht hu id is it jbo "
    "ku la lb lt lv mi ms mt nl no om pl pt qu rm ro sk sl so sq sv sw tk tn tr uz vi wo xh yo zu sr",
    "CYRILLIC": "ru uk be bg mk mn kk ky tg tt ba cv sr",
    "GREEK": "el grc",
    "ARABIC": "ar fa ur ps sd ug ckb",
    "HEBREW": "he yi",
    "DEVANAGARI": "hi mr ne kok sa",
    "BENGALI": "bn as bpy",
    "GURMUKHI": "pa",
    "GUJARATI": "gu",
    "ORIYA": "or",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "SINHALA": "si",
    "THAI": "th",
    "LAO": "lo",
    "KHMER": "km",
    "MYANMAR": "my shn",
    "TIBETAN": "bo",
    "ETHIOPIC": "am ti",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy hyw",
    "CHEROKEE": "chr",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "BOPOMOFO": "zh",
    "CJK": "zh ja ko yue hak nan wuu",
}

_SUBTAGS = {"latn": "LATIN", "cyrl": "CYRILLIC", "arab": "ARABIC"}
"""Script subtags that overrule the language's own, as in ``sr-Latn``."""

_SCRIPTS: dict[str, set[str]] = {}
for _name, _languages in _WRITTEN.items():
    for _language in _languages.split():
        _SCRIPTS.setdefault(_language, set()).add(_name)

# Frequent words that are rare in the others, and the letters that only this one (of those listed) has.
_WORDS: dict[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the and of to is that it was for you with are this "
        "have not be what i good morning evening hello thank please today how",
        "de": "der die das und ist nicht ein eine ich sie mit den von zu "
        "auf es wir auch dem guten tag morgen abend danke bitte heute wie geht",
        "fr": "le la les et est un une des que je pas vous nous dans "
        "il elle du pour ce c'est bonjour bonsoir merci comment allez aujourd'hui oui êtes",
        "es": "el los las y es que un una de por con no para está "
        "muy pero como se lo del hola gracias buenos días buenas cómo hoy me",
        "it": "il che di è non un una per con sono gli della anche "
        "ma come si lo questo ho i ciao grazie buongiorno buonasera oggi come",
        "pt": "o os as e que não um uma de do da em para "
        "com é você mais mas eu muito olá obrigado obrigada bom dia hoje",
        "nl": "de het een en van ik niet is dat je op te "
        "zijn met voor maar ook we wij aan goedemorgen dank vandaag hoe",
        "sv": "och det att är som en på jag inte för med har av till den vi ett om du hej god morgon tack idag hur",
        "pl": "i nie w się na to jest z że do jak co ale tak czy po jestem dla dzień dobry cześć dziękuję dziś",
        "tr": "ve bir bu da de için çok ne ben o ama "
        "gibi var değil mi daha ile merhaba günaydın teşekkürler bugün nasıl",
        "cs": "a se je na že to v jsem není s jako ale by tak jsou pro co dobrý den ahoj děkuji dnes",
        "ru": "и в не на что я с он как это по но она мы вы из все так за здравствуйте спасибо сегодня",
        "uk": "і в не на що я з він як це та але вона ми ви із все так за до привіт дякую сьогодні добрий",
        "ar": "في من على أن إلى هذا لا ما هو التي كان مع عن هل أنا",
        "fa": "و در به از که این را است با برای آن من یک می تو",
        "ur": "اور کے کی میں ہے یہ سے کو نہیں کا ہیں آپ",
    }.items()
}
_LETTERS: dict[str, str] = {
    "de": "äöüß",
    "fr": "êèçùœ",
    "es": "ñ¿¡",
    "pt": "ãõ",
    "sv": "åäö",
    "pl": "łąęśżźń",
    "tr": "ğışöü",
    "cs": "řěůčž",
    "ru": "ыэъё",
    "uk": "іїєґ",
    "fa": "پچژگ",
    "ur": "ٹڈڑےںھ",
}


def primary(tag: str) -> str:
    """The language of a tag, without region and script, in its commonest spelling: ``cmn-Hans`` is ``zh``."""
    language = tag.replace("_", "-").partition("-")[0].lower()
    return _ALIKE.get(language, (language,))[0]


def fallbacks(tag: str) -> Iterator[str]:
    """A tag and what it may fall back to, the nearest first, in lower case: ``de-AT`` gives ``de-at``, ``de``.

    Shortened from the end (RFC 4647, 3.4), with every spelling of a language whose tag has several.
    """
    parts = tag.replace("_", "-").lower().split("-")
    while parts and parts[0]:
        for language in dict.fromkeys([parts[0], *_ALIKE.get(parts[0], ())]):
            yield "-".join([language, *parts[1:]])
        parts.pop()
        if parts and len(parts[-1]) == 1:
            parts.pop()


def language_matches(tag: str, tags: Iterable[str]) -> str:
    """The one of `tags` that serves `tag` best, as it is written there; "" if none does.

    First what `fallbacks` gives, in its order, then any other region of the same language (``en-AU`` is served by
    ``en-GB``), in the order of `tags`.
    """
    known = {known.replace("_", "-").lower(): known for known in reversed(list(tags))}
    for wanted in fallbacks(tag):
        if wanted in known:
            return known[wanted]
    language = primary(tag)
    return next((known for known in reversed(known.values()) if language and primary(known) == language), "")


# -------------------------------------------------------------------------------------------------------- scripts


def _script(char: str) -> str:
    """The script of a letter or digit, by the name that Unicode gives it; "" for one of none."""
    name = unicodedata.name(char, "").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ")
    return next((script for script in _WRITTEN if name.startswith(script)), "")


def scripts(language: str) -> frozenset[str]:
    """The scripts that a language is written with; empty for one that is not known."""
    for part in language.replace("_", "-").lower().split("-")[1:]:
        if part in _SUBTAGS:
            return frozenset({_SUBTAGS[part]})
    return frozenset(_SCRIPTS.get(primary(language), ()))


def speakable(text: str, language: str) -> bool:
    """Whether silence would be wrong for this text: it has a letter of a script that the language is written with, or
    a digit (0 to 9, or of such a script). Of a language that is not known, any letter or digit will do.

    That it is false does not mean that no voice says anything: many spell letters of other scripts.
    """
    claimed = scripts(language)
    if not claimed:
        return any(char.isalnum() for char in text)
    for char in text:
        if char.isascii():
            if char.isdecimal() or (char.isalpha() and "LATIN" in claimed):
                return True
        elif (char.isalpha() or char.isdecimal()) and _script(char) in claimed:
            return True
    return False


# ---------------------------------------------------------------------------------------------------- recognition


def detect_language(text: str, candidates: Sequence[str] = ()) -> str:
    """Which of `candidates` (BCP 47; none: all that can be told apart here) the text is in, "" where nothing tells.

    By script first, then by common words and letters; looks at no more than 2,000 characters. A short text without
    any common word stays undecided rather than guessed at.
    """
    sample = text[:2000].lower()
    counts = Counter(_script(char) for char in sample if char.isalpha())
    counts.pop("", None)
    if not counts:
        return ""
    script = _writing(counts)
    known = candidates or list(_SCRIPTS)
    plausible = [tag for tag in known if script in scripts(tag)]
    words = Counter(word.strip(".,;:!?\"'()«»“”…؟،") for word in sample.split())
    scores = {tag: _score(primary(tag), words, sample) for tag in plausible}
    best = max(scores.values(), default=0)
    leading = [tag for tag in plausible if scores[tag] == best]
    if not best:
        leading = [tag for tag in plausible if _own(script, tag)] or plausible
    return leading[0] if len({primary(tag) for tag in leading}) == 1 else ""


def _writing(counts: Counter[str]) -> str:
    """The script that tells most. A tenth of kana makes it Japanese, however many Chinese characters there are."""
    kana = counts["HIRAGANA"] + counts["KATAKANA"]
    if kana * 10 > kana + counts["CJK"]:
        counts = Counter(counts)
        counts["HIRAGANA"] = kana + counts.pop("CJK", 0)
    return max(counts, key=lambda script: counts[script])


def _own(script: str, tag: str) -> bool:
    """Whether a script is first of all this language's, so that no word needs to be known."""
    return _WRITTEN[script].split()[0] == primary(tag) and script not in ("LATIN", "CYRILLIC", "ARABIC")


def _score(language: str, words: Counter[str], sample: str) -> int:
    common = sum(words[word] for word in _WORDS.get(language, ()))
    return 2 * common + sum(sample.count(letter) for letter in _LETTERS.get(language, ""))
