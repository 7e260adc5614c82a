"""How the answers of a table are written, decided by the evidence of all its rows, and asked for where that leaves two.

Example:
    >>> rows = [Asked("row 2", 0, ["cup", "box"]), Asked("row 3", 1, ["car", "bus"])]
    >>> of_options(rows).kind
    'index0'
    >>> of_values(["3", "12"]).kind, of_values(["3.2-8", [1, 4]]).kind, of_values(["A dog runs."]).kind
    ('number', 'interval', 'open')
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from viubench.datasets import choices
from viubench.errors import ViubenchError
from viubench.tasks import cells

KINDS = ("letter", "text", "index0", "index1", "number", "interval", "yes_no", "true_false", "open")
"""What `--answer-kind` may say."""

SAYS = {
    "letter": "letters",
    "text": "the options' texts",
    "index0": "numbers of options, from 0",
    "index1": "numbers of options, from 1",
    "column": "names of the options' columns",
    "number": "numbers",
    "interval": "intervals in seconds",
    "yes_no": "yes or no",
    "true_false": "true or false",
    "open": "free text, which a judge scores",
}
_RIGHT = re.compile(r"answer|correct|truth|gold|\bgt")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_COMMA = re.compile(r"\d+,\d+(?:\.\d+)?")
"""A number as 1,200 or 0,5, or an interval."""


@dataclass(frozen=True)
class Asked:
    """What one row says: its place, its answer, its options as `cells.listed` gives them, and the columns those are
    from, where each has its own."""

    place: str
    value: Any
    options: Sequence[str]
    columns: Sequence[str] = ()


@dataclass(frozen=True)
class Reading:
    """How answers are written: a kind, and how many of the rows it reads."""

    kind: str
    rows: int


def of_options(rows: Sequence[Asked], kinds: Sequence[str] = ()) -> Reading:
    """How the answers of multiple-choice rows name their options; `kinds` limits what is tried.

    Raises ViubenchError where less than half of the answers can be read, or where two ways read as many of them and
    differ: nothing is guessed.
    """
    ways = {kind: way for kind, way in WAYS.items() if not kinds or kind in kinds}
    read = {kind: [_letter(way, row) for row in rows] for kind, way in ways.items()}
    counts = {kind: sum(letter is not None for letter in letters) for kind, letters in read.items()}
    most = max(counts.values())
    stated = [first or other for first, other in zip(read.get("letter", []), read.get("text", []), strict=False)]
    if sum(letter is not None for letter in stated) > most and _differ(read["letter"], read["text"]) is None:
        return Reading("letter", len(stated))  # some rows have the letter, others the text
    if 2 * most < len(rows) or not most:
        row = next(row for row, *letters in zip(rows, *read.values(), strict=True) if not any(letters))
        message = f"the answers name none of their options: {row.place} has {row.value!r:.60} and {row.options!r:.160}"
        hint = "name another column with --columns answer=NAME, or write a letter, the option's text or its number"
        if _several(row):
            message = f"an answer names several options, and only questions with one are scored: {row.place} has "
            message, hint = f"{message}{row.value!r:.60}", "leave such questions out, or ask for each option by itself"
        raise ViubenchError(message, hint=hint)
    best = [kind for kind in ways if counts[kind] == most]
    for other in best[1:]:
        if (at := _differ(read[best[0]], read[other])) is not None:
            row, hint = rows[at], " or ".join(f"--answer-kind {kind}" for kind in best if kind != "column")
            named = " or ".join(f"{read[kind][at]} ({SAYS[kind]})" for kind in (best[0], other))
            message = f"the answers can be read in two ways: {row.value!r:.60} at {row.place} is option {named}"
            raise ViubenchError(message, hint=f"say which: {hint}")
    if best[0] == "text" and (at := _differ([_letter(_by_letter, row) for row in rows], read["text"])) is not None:
        message = f"the answer {rows[at].value!r:.60} at {rows[at].place} is an option's text and another one's letter"
        raise ViubenchError(message, hint="write the letter of each answer")
    if {"index0", "index1"} <= set(ways) and best[0].startswith("index") and most < len(rows):
        other = "index1" if best[0] == "index0" else "index0"
        missed = next(row for row, letter in zip(rows, read[best[0]], strict=True) if letter is None)
        if _letter(WAYS[other], missed):
            message = f"the answers count options from 0 in some rows and from 1 in others: {missed.place} has "
            hint = "correct the rows, or say --answer-kind index0 or --answer-kind index1: others are left out"
            raise ViubenchError(f"{message}{missed.value!r:.60} of {len(missed.options)} options", hint=hint)
    return Reading(best[0], most)


def refuse_contradiction(asked: Mapping[str, Sequence[Asked]], name: str) -> None:
    """Raise ViubenchError where another column that is called the right answer states another option than `name` does;
    `asked` are the rows with the answer of each column."""
    own = {row.place: _stated(row) for row in asked[name]}
    for other in (other for other in asked if other != name and _RIGHT.search(other.casefold())):
        for row in asked[other]:
            if (one := own.get(row.place)) and (another := _stated(row)) and one != another:
                message = f"at {row.place} the right option is {one} by {name!r:.60}, and {another} by {other!r:.60}"
                raise ViubenchError(message, hint="correct the rows, or say which is right: --columns answer=NAME")


def _stated(row: Asked) -> str | None:
    """The option that an answer names by its letter or text; None of a number, which may be a place."""
    return None if is_number(row.value) else _letter(_by_letter, row) or _letter(_by_text, row)


def of_values(values: Sequence[Any], intervals: bool = False) -> Reading:
    """What the answers of rows without options are: the first kind that reads at least nine in ten of them, which
    leaves out a slip; every text is at least an open answer. Raises ViubenchError where a comma may be that of a
    number, unless the column's name says that they are `intervals`."""
    for kind, reads in VALUES.items():
        count = sum(map(reads, values))
        if count and 10 * count >= 9 * len(values):
            comma = next((one for one in values if isinstance(one, str) and _COMMA.fullmatch(one.strip())), "")
            if kind == "interval" and comma and not intervals:
                message = f"the answers can be read in two ways: {comma!r} is a number with a comma or an interval"
                raise ViubenchError(message, hint="write numbers as 1200 or 0.5, or say --answer-kind interval")
            return Reading(kind, count)
    return Reading("open", len(values))


def is_interval(value: Any) -> bool:
    try:
        return bool(cells.windows(value, ordered=False))
    except ValueError:
        return False


def is_number(value: Any) -> bool:
    return not isinstance(value, bool) and bool(_NUMBER.fullmatch(cells.text(value).strip()))


VALUES: dict[str, Callable[[Any], bool]] = {
    "yes_no": lambda value: cells.text(value).strip().rstrip(".").casefold() in ("yes", "no"),
    "true_false": lambda value: cells.text(value).strip().rstrip(".").casefold() in ("true", "false"),
    "number": is_number,
    "interval": is_interval,
}


def _differ(one: Sequence[str | None], other: Sequence[str | None]) -> int | None:
    """The first row that both read, and read differently."""
    pairs = enumerate(zip(one, other, strict=True))
    return next((at for at, (first, second) in pairs if first and second and first != second), None)


def _letter(way: Callable[[Asked, choices.Choices], str | None], row: Asked) -> str | None:
    try:
        return way(row, choices.of(row.options))
    except ValueError:
        return None


def _several(row: Asked) -> bool:
    """Whether the answer names more than one option, in one text or in a list."""
    given = cells.parsed(row.value)
    text = ",".join(map(cells.text, given)) if isinstance(given, list) else cells.text(given)
    return choices.names_several(text.upper(), choices.LETTERS[: len(row.options)])


def _by_letter(row: Asked, options: choices.Choices) -> str | None:
    """A letter alone, or with the text of its option."""
    given = cells.letter(row.value)
    if len(given) == 1 and given in choices.LETTERS:
        at = choices.LETTERS.index(given)
        return options.letters[at] if at < len(options.letters) else None
    return None if _by_text(row, options) else options.letter(given)


def _by_text(row: Asked, options: choices.Choices) -> str | None:
    return _the_one(
        choices.plain(cells.text(cells.alone(row.value))), [choices.plain(text) for text in options.texts], options
    )


def _by_column(row: Asked, options: choices.Choices) -> str | None:
    given = cells.text(cells.alone(row.value)).strip().casefold()
    return _the_one(given, [name.casefold() for name in row.columns[: len(options.letters)]], options)


def _the_one(given: str, texts: Sequence[str], options: choices.Choices) -> str | None:
    found = [letter for letter, text in zip(options.letters, texts, strict=False) if given == text]
    return found[0] if given and len(found) == 1 else None


def _by_index(first: int) -> Callable[[Asked, choices.Choices], str | None]:
    def way(row: Asked, options: choices.Choices) -> str | None:
        at = ord(cells.letter(row.value, first)) - ord("A")
        return options.letters[at] if at < len(options.letters) else None

    return way


WAYS: dict[str, Callable[[Asked, choices.Choices], str | None]] = {
    "letter": _by_letter,
    "text": _by_text,
    "column": _by_column,
    "index0": _by_index(0),
    "index1": _by_index(1),
}
"""How an answer may name an option."""
