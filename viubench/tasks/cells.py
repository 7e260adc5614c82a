"""The values of a table's cells, however people write them: lists, numbers, times, intervals, the letter of an option.

Example:
    >>> listed("['a cup', 'a box']"), numbers("3; 9 12"), windows("0:04 - 0:09.5")
    (['a cup', 'a box'], [3.0, 9.0, 12.0], [[4.0, 9.5]])
    >>> letter("2", 1), letter("(b)"), letter("option_c"), letter("a cup")
    ('B', 'B', 'C', 'a cup')

All raise ValueError for what cannot be read. Templates have them as filters: `{{ choices | listed }}`.
"""

from __future__ import annotations

import ast
import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from hashlib import sha256
from string import ascii_uppercase
from typing import Any

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_ARRAY = re.compile(rf"\[\s*(?:{_QUOTED})(?:\s+(?:{_QUOTED}))*\s*\]", re.DOTALL)
"""How numpy prints texts, without commas, which Python would read as one text."""

_ONE = re.compile(_QUOTED, re.DOTALL)
_TIME = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,3}):)?(\d+(?:\.\d*)?|\.\d+)\s*(?:s|secs?|seconds?)?", re.IGNORECASE)
_BETWEEN = re.compile(r"\s*(?:-{1,2}>|→|-|–|—|,|;|~|\bto\b|\band\b|\s)\s*", re.IGNORECASE)
_BEFORE = re.compile(r"\s*(?:from|between)\b", re.IGNORECASE)
_LETTER = re.compile(r"\W*(?:(?:option|choice|answer)[\W_]{0,3})?\(?([A-Za-z])\)?\W*", re.IGNORECASE)
_INDEX = re.compile(r"(?:(?:option|choice|answer)[\W_]{0,3})?\(?(\d{1,2})(?:\.0+)?[).]?", re.IGNORECASE)
_OWN = re.compile(r"\s*\(?([A-Z])[.):]\s*\S.*", re.DOTALL)
_NUMBERED = re.compile(r"\s*\(?(\d{1,2})[.):]\s+\S.*", re.DOTALL)
_MARK = re.compile(r"<(?:video|image)>")
_CLOSED = re.compile(r"(?:[^\w\s,]|\n)\s*\Z|\A\s*\Z")
"""The end of a sentence or a line."""

_SEPARATED = re.compile(r"[\s,;|]+")
LONGEST = 1 << 20
"""Characters of a text that is read as a list."""


def text(value: Any) -> str:
    """A value as text: "" for none, a whole number without its decimals, lists and objects as JSON."""
    if empty(value):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def empty(value: Any) -> bool:
    """Whether a cell holds nothing: none, no text, not a number."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or value == ""


def parsed(value: Any) -> Any:
    """What a text holds that is written as JSON or as Python writes it; any other value as it is."""
    if not isinstance(value, str) or value.strip()[:1] not in ("[", "{", "(") or len(value) > LONGEST:
        return value
    stripped = value.strip()
    for read in (json.loads, _numpy_texts, ast.literal_eval):
        try:
            found = read(stripped)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(found, list | tuple | dict):
            return list(found) if isinstance(found, tuple) else found
    return value


def _numpy_texts(stripped: str) -> list[str] | None:
    """The texts of an array that numpy printed."""
    return [ast.literal_eval(one) for one in _ONE.findall(stripped)] if _ARRAY.fullmatch(stripped) else None


def listed(value: Any) -> list[str]:
    """The texts of options: a list, `{"A": text, ...}`, either as text, or a text with one a line or with bars or
    semicolons between; one text alone that has lettered options in it stays whole. Empty ones at the end are left out.
    ValueError where one before the end is empty, since the letters after it would move, or where their own numbers are
    out of order, since an answer's number may be either."""
    value = parsed(value)
    if isinstance(value, Mapping) and isinstance(value.get("text"), list):  # {"label": ["A", "B"], "text": [...]}
        value = _in_order(value.get("label"), value["text"])
    if isinstance(value, Mapping):
        marks = sorted(value, key=lambda key: (len(str(key)), str(key).casefold()))
        names = [str(mark).casefold() for mark in marks]
        numbered = [[str(number + first) for number in range(len(marks))] for first in (0, 1)]
        if names not in (list(ascii_uppercase[: len(marks)].lower()), *numbered):
            raise ValueError(f"the options have other names than A, B, C: {', '.join(map(str, value))!s:.80}")
        value = [value[mark] for mark in marks]
    if isinstance(value, str):
        value = _parts(value)
    if not isinstance(value, list | tuple):
        value = [] if empty(value) else [value]
    labels = [one.get("label", one.get("id")) if isinstance(one, Mapping) else None for one in value]
    texts = [text(_said(one) if isinstance(one, Mapping) else one).strip() for one in _in_order(labels, value)]
    own = [_OWN.fullmatch(one) for one in texts]
    texts = _in_order([one and one[1] for one in own], texts)
    while texts and not texts[-1]:
        texts.pop()
    if "" in texts:
        raise ValueError(f"option {texts.index('') + 1} is empty, and others follow")
    own_numbers = [int(match[1]) for one in texts if (match := _NUMBERED.fullmatch(one))]
    orders = [list(range(first, len(texts) + first)) for first in (0, 1)]
    if sorted(own_numbers) in orders and own_numbers not in orders:
        raise ValueError(f"the options' own numbers are out of order: {texts!r:.80}")
    return texts


def among(right: Any, wrong: Any) -> list[str]:
    """The options of a question whose right answer stands apart from the wrong ones (as `listed` takes them), in an
    order that depends on their texts together, so that it tells nothing of which is right. ValueError without both.

    >>> among("a cup", ["a box", "a hat"]) == among("a hat", ["a cup", "a box", None])
    True
    """
    given = parsed(wrong)
    others = listed([one for one in given if not empty(one)] if isinstance(given, list | tuple) else given)
    own = text(right).strip()
    if not own or not others:
        raise ValueError("there is no right option, or no wrong one")
    texts = sorted([own, *others])
    together = "\0".join(texts)
    return sorted(texts, key=lambda one: sha256(f"{together}\0\0{one}".encode(errors="backslashreplace")).digest())


def _in_order(labels: Any, options: Sequence[Any]) -> list[Any]:
    """The options in the order of their letters, where each has its own of A, B, C ..., since answers are those."""
    named = [str(label).upper() for label in labels] if isinstance(labels, list) else []
    if sorted(named) != list(ascii_uppercase[: len(options)]):
        return list(options)
    return [option for _, option in sorted(zip(named, options, strict=True), key=lambda pair: pair[0])]


def _said(option: Mapping[str, Any]) -> Any:
    """The text of an option that is an object, such as {"label": "A", "text": "a cup"}."""
    return next((option[key] for key in ("text", "value", "option", "content") if key in option), option)


def _parts(value: str) -> list[str]:
    """The options that one text holds."""
    if value.strip().startswith("[") and value.strip().endswith("]"):  # a list without quotes
        return [part.strip() for part in value.strip()[1:-1].split(",")]
    for mark in ("\n", "|", ";"):
        parts = [part.strip() for part in value.strip().split(mark)]
        if len(parts) > 1:
            return [part for part in parts if part] if mark == "\n" else parts
    return [value]


def unmarked(value: Any) -> str:
    """A question without the marks of its videos, which are set anew before it: those at its beginning and end are left
    out, one within a sentence is named, by its number where there are several.

    >>> unmarked("<video>\\nWhat is it?"), unmarked("Is <video> longer than <video>?"), unmarked("Who is in <image>?")
    ('What is it?', 'Is video 1 longer than video 2?', 'Who is in the video?')
    """
    parts, first, last = _marked(value)
    names = ["the video"] if len(parts) == 2 else [f"video {number}" for number in range(1, len(parts))]
    told = [part + name for part, name in zip(parts[first:last], names[first:last], strict=True)]
    return "".join([*told, parts[last]]).strip() if names else parts[0]


def videos_named(value: Any) -> int:
    """How many videos a question speaks of by marks within its sentences.

    >>> videos_named("<video>\\nWhat is it?"), videos_named("Is <video> longer than <video>?")
    (0, 2)
    """
    _, first, last = _marked(value)
    return last if last > first else 0


def _marked(value: Any) -> tuple[list[str], int, int]:
    """What stands between the marks of a text, and the first and the last of these parts that are to be kept: a mark
    stands between each two of them."""
    parts = _MARK.split(text(value))
    within = [at for at, part in enumerate(parts) if part.strip()]
    first, last = (within[0], within[-1]) if within else (0, 0)
    if last < len(parts) - 1 and not _CLOSED.search(parts[last][-9:]):  # "Who is in <video>"
        last += 1
    return parts, first, last


def numbers(value: Any) -> list[float]:
    """A list of numbers; ValueError for anything else in it, or none at all."""
    value = parsed(value)
    if isinstance(value, str):
        value = [part for part in _SEPARATED.split(value.strip("[]() \n")) if part]
    found = [seconds(one) for one in value] if isinstance(value, list | tuple) else []
    if not found:
        raise ValueError(f"no list of numbers: {value!r:.80}")
    return found


def seconds(value: Any) -> float:
    """Seconds, of a number or a time such as 1:02.5 or 00:01:02; ValueError for anything else, or below 0."""
    if isinstance(value, str) and (time := _TIME.fullmatch(value.strip())):
        hours, minutes, rest = time.groups()
        return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(rest)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    raise ValueError(f"no time in seconds: {value!r:.80}")


def windows(value: Any, ordered: bool = True) -> list[list[float]]:
    """Intervals in seconds, of a pair, a list of pairs, or a text such as 3.2-8.1 or 0:03 to 0:08; one that ends before
    it starts is none, where they are to be `ordered`."""
    value = parsed(value)
    if isinstance(value, Mapping) and len(value) == 2:
        value = list(value.values())
    if isinstance(value, str):
        value = [part for part in _BETWEEN.split(_BEFORE.sub("", value).strip().strip("[]()")) if part]
    if isinstance(value, list | tuple) and value:
        pairs = value if isinstance(parsed(value[0]), list | tuple | dict) else [value]
        pairs = [parsed(pair) for pair in pairs]
        if all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
            found = [[seconds(start), seconds(end)] for start, end in pairs]
            if not ordered or all(start <= end for start, end in found):
                return found
    raise ValueError(f"no interval such as [3.2, 8.1]: {value!r:.80}")


def letter(value: Any, first: int | None = None) -> str:
    """What names an option: with `first`, the letter of a number that counts options from `first`; else a letter alone
    without what is put around it ("(b)", "option_b"), and any other text, such as the option's, as it is."""
    given = text(alone(value)).strip()
    if first is None:
        named = _LETTER.fullmatch(unicodedata.normalize("NFKC", given))
        return named[1].upper() if named else given
    number = _INDEX.fullmatch(given)
    if not number or not 0 <= int(number[1]) - first < len(ascii_uppercase):
        raise ValueError(f"the answer {value!r:.40} is no number of an option, counted from {first}")
    return ascii_uppercase[int(number[1]) - first]


def alone(value: Any) -> Any:
    """The one value of a list of one, any other value itself."""
    found = parsed(value)
    return found[0] if isinstance(found, list) and len(found) == 1 else value
