"""Multiple choice: one of the item's letters, extracted where it is stated, never from a letter seen somewhere.

Example:
    >>> from evaluators.base import Question
    >>> Choice().parse("A red car.", Question(target="B", options=("a blue car", "a red car"))).value
    'B'

Letters come from `item.params["letters"]` (["yes", "no"] for such a question), else one per option, else A to D.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache, partial
from string import ascii_uppercase
from typing import Any, ClassVar, NamedTuple

from evaluators.base import Answer, Blind, Constraint, Evaluator, Gradable, one_of
from evaluators.extraction import Candidate, Passage, declaration, extract, is_wordless, tokens

MOST_TRIVIAL = 5
_PHRASES = declaration(
    r"(?:options?|choices?|correct\s+(?:one|statement))",
    r"\bI(?:'d|'ll|\s+would|\s+will)?\s+(?:think|believe|choose|pick|select|say|guess|go\s+with|answer)\b"
    r"(?:\s+(?:that|it\s+is|it's|the))?(?:\s+(?:correct|best|right))?(?:\s+(?:answer|option|choice)(?:\s+is)?)?",
)
_LEAD = re.compile(
    r"(?:\s|[\"'(\[<>:,-]|\b(?:the|correct|best|right|answer|option|choice|sentence|caption|letter|clearly|likely|probably"
    r"|definitely|most|therefore|thus|is)\b(?=[^\w]))*",
    re.IGNORECASE,
)
_SURE_AFTER = re.compile(r"\s+(?:is|are|because|since|as|seems|for|due|based|not|rather|instead|so)\b")
_AFTER_NO = re.compile(r"\s+(?:is|because|since|it|he|she|they|there|this|that|the|both|neither)\b", re.IGNORECASE)
_AFTER_A = re.compile(r"\s+(?:is|because|since)\b")
_CLOSED = re.compile(r"\s*(?:[)\]\"'.:,;!?>|]|\n|\Z)|\s*[-–—]\s")
_LOWER_WORD = re.compile(r"\s+[a-z]")
_LETTERED = re.compile(r"\s*[(\[]?([A-Za-z0-9])[)\].:]\s+(.*)", re.DOTALL)
_SENTENCE = re.compile(r"\n|[.!?](?:\s|\Z)")
_NOT_WORD = re.compile(r"[\W_]+")
_ARTICLE = re.compile(r"^(?:a|an|the) ")
_NAMED = re.compile(r"[A-Za-z0-9]+")


class Choice(Evaluator):
    """Accuracy over lettered options, or over yes and no; `parse` is `robust`, or `first_char`: the first character of
    the text and nothing else (the paper's script)."""

    name: ClassVar[str] = "choice"
    metric: ClassVar[str] = "accuracy"
    task_metric: ClassVar[str] = "accuracy"

    def __init__(self, *, parse: str = "robust") -> None:
        self.rule = one_of("parse", parse, ("robust", "first_char"))

    def parse(self, text: str, item: Gradable) -> Answer | None:
        """One of the item's letters. Two letters offered at once ("A or B") are unparsed."""
        letters = _letters(item)
        if self.rule == "robust":
            return extract(text, partial(_find_letters, letters=letters, options=_options(item, letters)), _PHRASES)
        return Answer(text[0], "first_char", (0, 1)) if text[:1] in letters else None

    def score(self, answer: Answer, item: Gradable) -> dict[str, float]:
        return {"accuracy": float(str(answer.value).casefold() == str(item.target).casefold())}

    def guess(self, item: Gradable, rng: random.Random) -> str:
        """One of the letters, each as likely."""
        return rng.choice(_letters(item))

    def chance(self, item: Gradable) -> float:
        return 1 / len(_letters(item))

    def blind(self, items: Sequence[Gradable]) -> Blind:
        """The most frequent true letter of the items; where an item lacks it, the most frequent of its own."""
        counts = Counter(str(item.target) for item in items)
        texts = [max(letters, key=lambda letter: counts[letter]) for letters in map(_letters, items)]
        if not texts:
            return Blind("no items", ())
        letter = max(sorted(counts), key=lambda key: counts[key])
        share = f"{counts[letter] / len(items):.1%} of {len(items)} items"
        return Blind(f"always {letter}, the most frequent true answer ({share})", tuple(texts))

    def trivial(self, items: Sequence[Gradable]) -> dict[str, tuple[str, ...]]:
        """Always the same letter: each of the (at most five) that most items offer; an item without it, its first."""
        offered = [_letters(item) for item in items]
        common = Counter(letter for letters in offered for letter in letters).most_common(MOST_TRIVIAL)
        return {
            f"always {letter}": tuple(letter if letter in letters else letters[0] for letters in offered)
            for letter, _ in common
        }

    def canonical(self, target: Any) -> str:
        return str(target)

    def target(self, text: str) -> str:
        if not _NAMED.fullmatch(text.strip()):
            raise ValueError(f"not an option letter such as B: {text!r}")
        return text.strip()

    def constraint(self, item: Gradable) -> Constraint:
        """One of the letters."""
        return Constraint(choices=_letters(item))


def _letters(item: Gradable) -> tuple[str, ...]:
    """The letters an item may be answered with; ValueError unless they are distinct and at least two."""
    letters = item.params.get("letters") or ascii_uppercase[: len(item.options) or 4]
    if len(letters) < 2 or len(set(letters)) != len(letters) or len(item.options) > len(letters):
        raise ValueError(f"letters {list(letters)!r} do not name {len(item.options)} options")
    return tuple(str(letter) for letter in letters)


def _options(item: Gradable, letters: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(normalised option text, letter) for every option that has a text of its own."""
    named = []
    for letter, option in zip(letters, item.options, strict=False):
        lettered = _LETTERED.fullmatch(option)
        text = lettered[2] if lettered and lettered[1].casefold() == letter.casefold() else option
        named.append((_normal(text), letter))
    often = Counter(text for text, _ in named)
    return tuple((text, letter) for text, letter in named if text and often[text] == 1)


def _normal(text: str) -> str:
    """Words in lower case, without punctuation and a leading article."""
    return _ARTICLE.sub("", _NOT_WORD.sub(" ", text.casefold()).strip())


class _Patterns(NamedTuple):
    """How an item's letters are written: alone, with another one beside or below, and named by a sentence."""

    letter: re.Pattern[str]
    another: re.Pattern[str]
    below: re.Pattern[str]
    named: re.Pattern[str]


@lru_cache(maxsize=256)
def _patterns(letters: tuple[str, ...]) -> _Patterns:
    words = any(len(letter) > 1 for letter in letters)
    one = "(?:" + "|".join(map(re.escape, sorted(letters, key=len, reverse=True))) + r")(?![\w'])"
    between = r"\s*(?:/|\bor\b)\s*" if words else r"\s*[)\]]?\s*(?:[,/&]|\band\b|\bor\b|\s)\s*(?:\bor\s)?\s*"
    not_prose = "" if words else r"(?!(?<=[AI])\s+[a-z])"
    stop = r"[)\]\"']*\s*(?:[.!?]|\n|\Z|\b(?:because|since)\b)"
    cased = f"(?-i:{one})" if not words else one
    named = (
        rf"(?<!not )(?<!n't )\b(?:options?|choice|sentence|caption|letter)\s{{0,3}}[(\[\"']*(?P<after>{cased}){stop}"
        rf"|\b(?:answer|option|choice)\b[^.!?\n]{{0,80}}?\bis\s{{1,3}}[(\[\"']*(?P<stated>{cased}){stop}"
        rf"|(?<![\w'])[(\[]?(?P<before>{cased})[)\]]?\s{{1,3}}(?:is|would\s+be|seems|must\s+be)\s{{1,3}}"
        r"(?:clearly\s|probably\s|likely\s)?(?:the\s)?(?:most\s)?(?:correct|right|best|accurate|likely|answer)\b"
    )
    return _Patterns(
        re.compile(one, re.IGNORECASE),
        re.compile(rf"{between}[(\[]?(?P<other>{cased}){not_prose}", re.IGNORECASE if words else 0),
        re.compile(rf"[^\w\n]*(?:\n[^\w\n]*)+(?P<other>{cased})[^\w\n]*(?:\n|\Z)", re.IGNORECASE if words else 0),
        re.compile(named, re.IGNORECASE),
    )


def _find_letters(passage: Passage, letters: tuple[str, ...], options: tuple[tuple[str, str], ...]) -> list[Candidate]:
    """The letter a passage begins with, else letters it names, else the option whose text it is."""
    leading = _leading(passage, letters, options)
    return leading or _named(passage, letters) or _option_text(passage, options)


def _leading(passage: Passage, letters: tuple[str, ...], options: tuple[tuple[str, str], ...]) -> list[Candidate]:
    text = passage.text
    lead = _LEAD.match(text, passage.start, passage.end)
    at = lead.end() if lead else passage.start
    patterns = _patterns(letters)
    match = patterns.letter.match(text, at, passage.end)
    if match is None:
        return []
    letter = _as_offered(match[0], letters)
    newline = text.find("\n", match.end(), passage.end)
    stop = passage.end if newline < 0 else newline
    if not _is_stated(passage, match, letter, stop, options):
        return []
    if letter == letters[0] and _lists_all(passage, match.end(), letters):
        return [Candidate(None, "leading", at, match.end())]
    another = patterns.another.match(text, match.end(), stop) or patterns.below.match(text, match.end(), passage.end)
    if another and _as_offered(another["other"], letters) != letter:
        return [Candidate(None, "leading", at, another.end())]
    end = stop if (_normal(text[match.end() : stop]), letter) in options else match.end()
    return [Candidate(letter, "leading", at, end)]


def _is_stated(
    passage: Passage, match: re.Match[str], letter: str, stop: int, options: tuple[tuple[str, str], ...]
) -> bool:
    """Whether the letter at the head of a passage is meant as one: "A man" and "I think" are not."""
    text, end = passage.text, match.end()
    if len(letter) > 1:
        no = letter.casefold() == "no"
        return not no or not _LOWER_WORD.match(text, end) or _AFTER_NO.match(text, end) is not None
    if match[0] != letter:  # "b": only where nothing else is said
        return is_wordless(text, end, stop)
    if _CLOSED.match(text, end, passage.end) or (_normal(text[end:stop]), letter) in options:
        return True
    if letter in "AI":
        return _AFTER_A.match(text, end) is not None
    return passage.kind == "phrase" or _SURE_AFTER.match(text, end) is not None


def _lists_all(passage: Passage, at: int, letters: tuple[str, ...]) -> bool:
    """Whether all other letters follow in order as labels: the options repeated, not answered."""
    for letter in letters[1:]:
        label = re.compile(rf"(?<![\w'])[(\[]?{re.escape(letter)}\s?[.):]").search(passage.text, at, passage.end)
        if label is None:
            return False
        at = label.end()
    return True


def _named(passage: Passage, letters: tuple[str, ...]) -> list[Candidate]:
    matches = [(match, str(match.lastgroup)) for match in tokens(_patterns(letters).named, passage)]
    return [Candidate(_as_offered(match[group], letters), "named", *match.span(group)) for match, group in matches]


def _option_text(passage: Passage, options: tuple[tuple[str, str], ...]) -> list[Candidate]:
    """The option that the passage (of a phrase: its first sentence) spells out word by word."""
    text = passage.text[passage.start : passage.end]
    start = passage.start + len(text) - len(text.lstrip())
    stated = text.strip()
    if passage.kind == "phrase":
        stated = _SENTENCE.split(stated, maxsplit=1)[0]
    normal = _normal(stated)
    return [Candidate(letter, "text", start, start + len(stated)) for name, letter in options if name == normal]


def _as_offered(written: str, letters: tuple[str, ...]) -> str:
    return next(letter for letter in letters if letter.casefold() == written.casefold())
