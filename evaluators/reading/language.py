"""What a language says about an answer: its cue phrases and words, read from `languages/*.yaml`.

Example:
    >>> [language.name for language in spoken("答案是C，不是B。")]
    ['Japanese', 'Chinese']
    >>> sorted(spoken("It is B.")[0].words("pronouns"))
    ['I']

A phrase of a language written with spaces is a row of words: `a/b` either word, `word?` may be absent, `...` up to
three more words, a final `,` where a pause must follow. One of a language written without is a plain string.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

from evaluators.reading.text import PLAIN

Kind = Literal[
    "final", "answer", "declare", "declared", "plain", "conclude", "correct", "but", "reject", "rejected", "except",
    "consider", "hedge", "suppose", "other", "naming", "ignore", "part", "total", "lasting", "measure", "refuse",
    "evidence", "revise", "inverted",
]  # fmt: skip
"""What a cue says: of the mention after it (`declare`, `reject`, ...), before it (`declared`, `rejected`) or about."""
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]{1,2}(?![^\W\d_]))?")
HAN, KANA, HANGUL = r"\u4e00-\u9fff", r"\u3040-\u30ff", r"\uac00-\ud7af"
_SCRIPTS = {
    "han": re.compile(f"[{HAN}]"), "kana": re.compile(f"[{KANA}]"), "hangul": re.compile(f"[{HANGUL}]"),
    "cyrillic": re.compile(r"[\u0400-\u04ff]"), "arabic": re.compile(r"[\u0620-\u065f]"),
    "devanagari": re.compile(r"[\u0900-\u0965]"), "thai": re.compile(r"[\u0e00-\u0e4f]"),
}  # fmt: skip
_SPACED = ("latin", "cyrillic")
"""Scripts whose phrases are rows of words."""
ALPHABETS = "\u0530"
"""Where the characters end that are written in words, with nothing joined on."""
_PAUSE = r"(?=\s*(?:[.,;:!?\u2026\u3002\u2013\u2014-]|\n|\Z))"
_MORE = r"(?:[\s,]{1,3}[^\W\d_]{2,}){0,3}"
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # libyaml where it is there: ten times as fast
SAMPLE = 20_000
"""Characters from which the language of a text is told."""


@dataclass(frozen=True, eq=False)
class Language:
    """One language; `phrases` are its cues by kind, `data` everything else of its file."""

    name: str
    script: str
    phrases: Mapping[Kind, tuple[str, ...]]
    data: Mapping[str, Any]
    starts: Mapping[str, tuple[tuple[Kind, re.Pattern[str]], ...]] = field(default_factory=dict)
    strings: re.Pattern[str] | None = None
    kinds: Mapping[str, tuple[Kind, ...]] = field(default_factory=dict)

    def ranks(self, name: str = "firsts") -> dict[str, int]:
        """ "third" -> 3, in every form of the words listed under `name`."""
        listed = str(self.data.get(name) or "").split()
        return {form.replace("_", " "): at for at, forms in enumerate(listed, start=1) for form in forms.split("/")}

    def words(self, name: str) -> frozenset[str]:
        """The words listed under `name`, none where the language has no such list."""
        return frozenset(str(self.data.get(name) or "").split())


def spoken(text: str) -> tuple[Language, ...]:
    """The languages whose cues count in `text`: by its scripts, and of those in Latin script the one it has most words
    of. A text of Chinese characters alone may be Japanese."""
    found = []
    if not text.isascii():
        has = {name: script.search(text) is not None for name, script in _SCRIPTS.items()}
        scripts = {**has, "han": has["han"] and not has["kana"]}
        if scripts["han"]:
            scripts["kana"] = True
        found = [language for language in languages() if scripts.get(language.script)]
    words = set(WORD.findall(text[:SAMPLE]))
    if not found or any(len(word) > 1 and word.isascii() for word in words):
        found.append(_most_words({word.lower() for word in words if len(word) > 1 or word.islower()}))
    return tuple(found)


def _most_words(words: Iterable[str]) -> Language:
    latin = [language for language in languages() if language.script == "latin"]
    votes = Counter(name for word in words for name in _speakers().get(word, ()))
    return max(latin, key=lambda language: (votes[language.name], language.name == "English"))


@cache
def _speakers() -> dict[str, tuple[str, ...]]:
    """Word -> the languages in Latin script that have it among their common words."""
    speakers: dict[str, list[str]] = defaultdict(list)
    for language in languages():
        if language.script == "latin":
            phrases = " ".join(phrase for kind in language.phrases.values() for phrase in kind)
            phrases += " ".join(
                str(language.data[name]) for name in ("times", "nouns", "fillers", "then", "shapes", "slots")
            )
            named = {word.lower() for word in WORD.findall(phrases)} | language.words("yes") | language.words("no")
            for word in named | language.words("common"):
                speakers[word].append(language.name)
    return {word: tuple(names) for word, names in speakers.items()}


def words_of(spoken: Iterable[Language], name: str) -> frozenset[str]:
    """The words listed under `name` in any of the languages."""
    return frozenset().union(*(language.words(name) for language in spoken))


@cache
def grammar_words() -> frozenset[str]:
    """The words that may stand beside a number without being what it counts, of all languages in Latin script."""
    names = ("common", "fillers", "copulas", "or", "closers", "followers", "then")
    found = set().union(*(words_of(languages(), name) for name in names))
    for language in languages():
        times = language.data["times"]
        for name in ("from", "to", "between", "and", "beside"):
            found |= set(str(times[name]).split())
    things = words_of(languages(), "clips").union(*(str(one.data["shapes"]).split() for one in languages()))
    return frozenset(found - things)


@cache
def languages() -> tuple[Language, ...]:
    """Every language there is a file of, by file name."""
    folder = files("evaluators.reading") / "languages"
    paths = sorted((path for path in folder.iterdir() if path.name.endswith(".yaml")), key=lambda path: path.name)
    return tuple(_made(yaml.load(path.read_text(encoding="utf-8"), _Loader)) for path in paths)  # noqa: S506  (text alone)


def _made(data: dict[str, Any]) -> Language:
    phrases = {kind: tuple(map(str, data.get(kind) or ())) for kind in KINDS}
    name, script = data["language"], data["script"]
    if script in _SPACED:
        return Language(name, script, phrases, data, starts=_starts(phrases, data))
    kinds: dict[str, list[Kind]] = defaultdict(list)
    for kind, strings in phrases.items():
        for string in strings:
            kinds[string.translate(PLAIN)].append(kind)
    pattern = re.compile("|".join(map(re.escape, sorted(kinds, key=len, reverse=True))))
    return Language(name, script, phrases, data, strings=pattern, kinds={key: tuple(k) for key, k in kinds.items()})


def _starts(
    phrases: Mapping[Kind, Sequence[str]], data: Mapping[str, Any]
) -> dict[str, tuple[tuple[Kind, re.Pattern[str]], ...]]:
    """First word of a phrase -> the phrases it begins, each a pattern that matches from there."""
    patterns: dict[str, list[tuple[Kind, re.Pattern[str]]]] = defaultdict(list)
    for kind, several in phrases.items():
        for phrase in several:
            first, *rest = phrase.removesuffix(",").split()
            pause = _PAUSE if phrase.endswith(",") else ""
            for word in first.split("/"):
                key = WORD.match(word)
                if key is None:
                    raise ValueError(f"{data['language']}: the phrase {phrase!r} does not begin with a word")
                whole = re.escape(word) + "".join(map(_rest, rest)) + r"(?![^\W\d_])" + pause
                patterns[key[0].lower()].append((kind, re.compile(whole, re.IGNORECASE)))
    return {word: tuple(found) for word, found in patterns.items()}


def _rest(token: str) -> str:
    """The pattern of a phrase's word that is not its first."""
    if token in ("...", "...?"):
        return _MORE
    optional = token.endswith("?")
    words = "|".join(map(re.escape, sorted(token.removesuffix("?").split("/"), key=len, reverse=True)))
    return rf"(?:\s{{1,3}}(?:{words})(?![^\W\d_]))" + ("?" if optional else "")


@cache
def declarations(language: Language, nouns: str) -> Mapping[str, re.Pattern[str]]:
    """First word -> pattern of "the answer is" and the like: a noun for an answer of the kind `nouns`, and a verb or a
    colon within its sentence. What stands between holds no letter by itself and no figure."""
    listed = language.data["nouns"]
    copulas = str(language.data["copulas"]).split()
    verb = "|".join(map(re.escape, sorted({v for c in copulas for v in c.split("/")}, key=len, reverse=True)))
    denials = {word for kind in ("reject", "rejected") for phrase in language.phrases[kind] for word in _alone(phrase)}
    denied = "|".join(map(re.escape, sorted(denials)))
    gap = rf"(?:[ ,]{{1,2}}(?!(?:{denied})(?![^\W\d_]))(?:[^\W\d_]{{2,}}|(?-i:a|à|y))(?:'[^\W\d_]+)?){{0,9}}?"
    tail = rf"(?:'s|{gap}\s{{1,2}}(?:{verb})(?![^\W\d_])(?:\s?[:：])?|(?:\s?\([^()\n]{{0,60}}\))?{gap}\s{{0,2}}[:=])"
    by_word: dict[str, list[str]] = defaultdict(list)
    for noun in f"{listed.get('any', '')} {listed.get(nouns, '')}".split():
        by_word[noun.lower()].append(re.escape(noun))
    return {word: re.compile(rf"(?:{'|'.join(same)}){tail}", re.IGNORECASE) for word, same in by_word.items()}


def _alone(phrase: str) -> list[str]:
    """The words that may be all of a phrase: "can't" and "cannot" of `can't/cannot be?`."""
    first, *rest = phrase.split()
    return [] if phrase.endswith(",") or not all(token.endswith("?") for token in rest) else first.split("/")


def any_of(words: Iterable[str]) -> str:
    """A pattern of any of the words, the longest first; one that matches nothing where there are none."""
    return "|".join(map(re.escape, sorted(set(words), key=len, reverse=True))) or "(?!)"


def any_whole(words: Iterable[str]) -> str:
    """A pattern of any of the words; one in Latin letters only by itself."""
    listed = set(words)
    latin = {word for word in listed if word[0] < ALPHABETS}
    return rf"(?:(?<![^\W_])(?:{any_of(latin)})(?![^\W_])|{any_of(listed - latin)})"
