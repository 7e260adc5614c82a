"""How lmms-eval 0.7.3 scores the benchmarks that reports of 2026 add, from a description of its behaviour.

Example:
    >>> from evaluators import Question
    >>> item = Question("B", ("a lamp", "a cup"), {"letters": ["A", "B"]})
    >>> [TVBENCH.verdict(text, item) for text in ("Both hold it", "a cup, I think", "A cup")]
    [1.0, 0.0, 0.0]

Known faults are kept, as in `evaluators.published.lmms`: the article "a" is option A in TVBench, MotionBench and MMVU.
A reply without a letter is given a random one by EgoSchema, NExT-QA and Video-Holmes; it is wrong here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from string import ascii_uppercase, punctuation

import numpy as np

from evaluators.base import Gradable, grouped
from evaluators.grouped_choice import SIZE, group_score
from evaluators.published.base import Rule, RuleVerdict, mean, mean_of_groups
from evaluators.published.letters import OPENINGS, letter_rule, shared_letter

_a_to_d = partial(shared_letter, letters="ABCD")
MLVU_TEST = letter_rule("lmms-eval/mlvu_test", _a_to_d, aggregate=mean_of_groups("task_type"))
"""Of the six options that a question may have, E and F are never read."""
_ALONE_A_TO_D = re.compile(r"\b[A-D]\b")


def _first_alone(text: str) -> str:
    alone = _ALONE_A_TO_D.search(text)
    return alone[0] if alone else ""


PERCEPTIONTEST_VAL_MC = letter_rule("lmms-eval/perceptiontest_val_mc", _first_alone)


def _letters(item: Gradable) -> Sequence[str]:
    return ascii_uppercase[: len(item.options)] or list(map(str, item.params["letters"]))


def _videoevalpro(text: str, item: Gradable) -> float:
    return float(shared_letter(text, _letters(item)) == item.target)


VIDEOEVALPRO_MCQ = Rule("lmms-eval/videoevalpro_mcq", _videoevalpro)

# --- MMMU's way, in four variants -----------------------------------------------------------------------------


def _trimmed(text: str) -> str:
    for mark in ",.!?;:'":
        text = text.strip(mark)
    return f" {text} "


def _places_of_texts(text: str, options: Sequence[str], letters: Sequence[str]) -> dict[str, int]:
    """Where a reply of more than five words has an option's text last, by letter."""
    low = text.lower()
    known = zip(letters, options, strict=False) if len(text.split()) > 5 else ()
    return {letter: low.rfind(option.lower()) for letter, option in known if option.lower() in low}


def _mmmu(text: str, item: Gradable) -> float:
    """(A), else "A ", else "A.": of several letters written so the last, which is looked for as " A "; else the last
    option's text."""
    text, letters = _trimmed(text), _letters(item)
    for form, place in (("({})", "({})"), ("{} ", " {} "), ("{}.", " {} ")):
        if found := [letter for letter in letters if form.format(letter) in text]:
            places = {letter: text.rfind(place.format(letter)) for letter in found}
            return float(max(places, key=places.__getitem__) == item.target)
    texts = _places_of_texts(text, item.options, letters)
    return float(bool(texts) and max(texts, key=texts.__getitem__) == item.target)


def _egoschema(text: str, item: Gradable) -> float:
    """The same forms together, and the one whose last place comes first."""
    text, letters = _trimmed(text), _letters(item)
    forms = [form.format(letter) for form in ("({})", "{} ", "{}.") for letter in letters]
    places = {form: text.rfind(form) for form in forms if form in text}
    if not places:
        own = [f"{letter}. {option}" for letter, option in zip(letters, item.options, strict=False)]
        places = _places_of_texts(text, own, letters)
    return float(bool(places) and min(places, key=places.__getitem__).strip("(). ") == item.target)


def _tomato(text: str, item: Gradable) -> float:
    """A letter anywhere, be it the initial of a word; of several the last (A), else the first letter of the alphabet;
    else an option's text; A where there is nothing."""
    text, letters = _trimmed(text), _letters(item)
    places = {letter: text.rfind(f"({letter})") for letter in letters if letter in text}
    places = places or _places_of_texts(text, item.options, letters)
    return float((max(places, key=places.__getitem__) if places else "A") == item.target)


NEXTQA_MC_TEST = Rule("lmms-eval/nextqa_mc_test", _mmmu)
VIDEO_HOLMES = Rule("lmms-eval/video_holmes", _mmmu)
EGOSCHEMA_SUBSET = Rule("lmms-eval/egoschema_subset", _egoschema)
TOMATO = Rule("lmms-eval/tomato", _tomato)

# --- letters in any case --------------------------------------------------------------------------------------

_MB_PHRASES = ("THE BEST ANSWER IS", "THE CORRECT ANSWER IS", "THE ANSWER IS", "BEST ANSWER:", "ANSWER:")
_MB_LETTERS = tuple(map(re.compile, (r"\b([A-F])\b", r"([A-F])[.):]", r"([A-F])")))
_TV_ALONE = re.compile(r"\b([A-Z])\b")
_TV_FIRST = re.compile(r"\s*[(\[]?([A-Z])")


def _motionbench(text: str) -> str:
    text = text.rpartition("</think>")[2].strip().upper()
    for phrase in _MB_PHRASES:
        text = text.replace(phrase, "")
    return next((found[1] for pattern in _MB_LETTERS if (found := pattern.search(text))), "")


def _tvbench(text: str, item: Gradable) -> float:
    """The first letter that stands alone, else the first of all, where it is an option's; else the only option whose
    text is in the reply."""
    letters, upper = _letters(item), text.strip().upper()
    for found in (_TV_ALONE.search(upper), _TV_FIRST.match(upper)):
        if found and found[1] in letters:
            return float(found[1] == item.target)
    said, options = _plain(text), [_plain(option) for option in item.options]
    held = [letter for letter, option in zip(letters, options, strict=False) if option and option in said]
    return float(held == [item.target]) if said else 0.0


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _mmvu(text: str, item: Gradable) -> float:
    """The true letter alone anywhere, the true option's text, or the true letter in any word beside a word of that
    text: lenient, and no other letter makes it wrong."""
    true, text = str(item.target), text.strip()
    option = item.options[_letters(item).index(true)].strip().lower() if item.options else ""
    words = [word.strip(punctuation) for word in option.split()]
    beside = true in text.upper() and any(len(word) > 2 and word in text.lower() for word in words)
    alone = re.search(rf"\b{true}\b", text, re.IGNORECASE) is not None
    return float(alone or beside or bool(option and option in text.lower()))


MOTIONBENCH = letter_rule("lmms-eval/motionbench_full", _motionbench)
TVBENCH = Rule("lmms-eval/tvbench", _tvbench)
MMVU_VAL = Rule("lmms-eval/mmvu_val", _mmvu)

# --- Video-MME-v2 ---------------------------------------------------------------------------------------------

_PHRASES = "|".join(map(re.escape, (*OPENINGS, "Final Answer:", "Answer:", "Option:")))
_V2_LAST_LINE = re.compile(r"(?:\A|\n)[ \t]*(?:\*\*[ \t]*)?([A-H])(?:[ \t]*\*\*)?[ \t]*[.)]?[ \t]*\n?\Z", re.IGNORECASE)
_V2_FIRST = re.compile(r"[ \t]*(?:\*\*[ \t]*)?([A-H])(?:[ \t]*\*\*)?[ \t]*(?:[.)]|\r?\n|\Z)", re.IGNORECASE)
_V2_TOLD = re.compile(
    rf"(?:{_PHRASES}|\b(?:answer|option)(?:\s+(?:is|would\s+be)|\s*:))[\s:*]*([A-H])\b", re.IGNORECASE
)
_V2_BOLD = re.compile(r"\*\*\s*([A-H])(?=\s*\*\*|[.)])", re.IGNORECASE)


def _videomme_v2(text: str, item: Gradable) -> float:
    """A last line of one letter, a letter that begins the reply, the last one told, or the only bold one, in any case;
    else the only option whose text is in the reply."""
    said = text.strip()
    told = _V2_LAST_LINE.search(said) or _V2_FIRST.match(said)
    letters = [told[1]] if told else _V2_TOLD.findall(said)[-1:] or sorted({m.upper() for m in _V2_BOLD.findall(said)})
    if len(letters) == 1:
        return float(letters[0].upper() == item.target)
    options = [option.strip(". \n").lower() for option in item.options]
    held = [letter for letter, option in zip(_letters(item), options, strict=False) if option in text.lower()]
    return float(held == [item.target])


def _groups(rows: Sequence[RuleVerdict]) -> float | None:
    """Mean score of the groups."""
    return mean([_group(members) for members in grouped((row.cluster, row) for row in rows).values()])


def _group(members: Sequence[RuleVerdict]) -> float:
    right = {str(row.groups.get("place")): row.value == 1.0 for row in members}
    kind, structure = (str(members[0].groups.get(key)) for key in ("group_type", "group_structure"))
    return group_score([right.get(str(place), False) for place in range(1, SIZE + 1)], kind, structure)


VIDEOMME_V2 = Rule("lmms-eval/videomme_v2", _videomme_v2, _groups)

# --- VSI-Bench and TimeLens-Bench -----------------------------------------------------------------------------

_DIGITS = re.compile(r"-?\d+(?:\.\d+)?")
_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: value for value, word in enumerate(_UNITS)} | {word: 10 * k for k, word in enumerate(_TENS, start=2)}
_WORDS |= {"hundred": 100, "thousand": 1000}
_ALLOWED = 1 - np.linspace(0.5, 0.95, 10)


def _vsibench(text: str, item: Gradable) -> float:
    """The first word without its full stops, in any case."""
    return float(text.split(" ")[0].rstrip(".").strip().lower() == str(item.target).lower())


def _vsibench_number(text: str, item: Gradable) -> float:
    """Mean relative accuracy of the first number, in digits or English words."""
    value = _first_number(text.strip().lower())
    if value is None:
        return 0.0
    return float(np.mean(abs(value - float(item.target)) / float(item.target) <= _ALLOWED))


def _first_number(text: str) -> float | None:
    digits, tokens = _DIGITS.search(text), list(re.finditer(r"[a-z]+", text))
    at = next((k for k, token in enumerate(tokens) if token[0] in _WORDS), None)
    if digits and (at is None or digits.start() < tokens[at].start()):
        return float(digits[0])
    if at is None:
        return None
    total, current = 0, 0
    for token in tokens[at:]:
        if token[0] == "and":
            continue
        if token[0] not in _WORDS:
            break
        value = _WORDS[token[0]]
        if value == 1000:
            total, current = total + max(current, 1) * value, 0
        else:
            current = max(current, 1) * value if value == 100 else current + value
    return float(total + current)


_CLOCK = re.compile(r"\b(\d{1,2}:\d{2}:\d{2}(?:\.\d+)?|\d{1,2}:\d{2}(?:\.\d+)?)\b")
_SECONDS = r"(?<!\d)(\d+(?:\.\d*)?)"
_PAIRS = (re.compile(rf"{_SECONDS}\s*-\s*(\d+(?:\.\d*)?)"), re.compile(rf"{_SECONDS}\s+to\s+(\d+(?:\.\d*)?)"))
_NUMBER = re.compile(r"\b\d+(?:\.\d*)?\b")


def _timelens(text: str, item: Gradable) -> float:
    """IoU of the first two clock times; else of the first "a - b", "a to b", or the first two numbers; ends stay as
    they are said, so a reversed interval is worth 0."""
    low = text.lower()
    clocks, numbers = _CLOCK.findall(low), _NUMBER.findall(low)
    ranges = (found.groups() for pattern in _PAIRS if (found := pattern.search(low)))
    said = clocks[:2] if len(clocks) > 1 else next(ranges, numbers[:2])
    if len(said) < 2:
        return 0.0
    start, end = (sum(float(part) * 60**k for k, part in enumerate(reversed(time.split(":")))) for time in said)
    first, last = item.target[0] if isinstance(item.target[0], list | tuple) else item.target
    hull = max(end, float(last)) - min(start, float(first))
    return max(min(end, float(last)) - max(start, float(first)), 0.0) / hull if hull > 0 else 0.0


VSIBENCH = Rule("lmms-eval/vsibench", _vsibench)
VSIBENCH_DIRECTION = Rule("lmms-eval/vsibench_direction", _vsibench, mean_of_groups("difficulty"))
VSIBENCH_NUMBER = Rule("lmms-eval/vsibench_number", _vsibench_number)
TIMELENS = Rule("lmms-eval/timelens", _timelens)
