"""Which of the answers that a text mentions it stands by.

Example: "At first I thought A, but B is wrong, so C. Not D."
    A is considered, B and D are rejected, C is concluded: the answer is C.

Every mention has a standing, from what the text says of it. Within what was said since the last correction ("wait",
"no,"), the mentions of the highest standing must agree; a rejected answer never wins. Everything else is ambiguous and
gives no answer: a wrong reading is worse than none.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any

from evaluators.reading.cues import Cue
from evaluators.reading.joining import ALL_OF, affirming, filling, linking, naming, verdicts
from evaluators.reading.label_verdicts import label_verdicts
from evaluators.reading.language import Kind, Language
from evaluators.reading.lines import bare_lines


class Standing(IntEnum):
    """How far a text stands by an answer it mentions; from HEDGED on it may be taken for the answer."""

    REJECTED = 0
    OTHER = 1  # said of something else: a duration, a sign in the picture
    RESTATED = 2  # the question or its options said again, or talked about
    SUPPOSED = 3  # under an "if"
    CONSIDERED = 4  # a guess, a question, one of several
    PART = 5  # of one frame or half, where a total is asked for
    HEDGED = 6
    TEXT = 7  # an option's words in a sentence
    STATED = 8
    LEADING = 9  # the response begins with it or it is all there is on the last line
    DECLARED = 10  # "the answer is"
    FINAL = 11  # "the final answer is"


@dataclass(frozen=True)
class Mention:
    """One answer as written at [start, end).

    Attributes:
        value: None where it is stated but no acceptable answer, such as a reversed interval.
        standing: what it counts for when nothing is said about it.
        how: name of the way it is written, for the rule of an answer.
        slot: which part of the answer it is, where an answer has several; only mentions of one slot are rivals.
    """

    value: Any
    start: int
    end: int
    standing: Standing
    how: str
    slot: str = ""


@dataclass(frozen=True)
class Judged:
    """A mention with what the text makes of it.

    Attributes:
        place: what declares it: a "phrase", a "line" of its own, a "conclusion", or nothing ("whole").
        part: the number of corrections before it.
        several: whether it is one of several rivals that are named together.
    """

    mention: Mention
    standing: Standing
    place: str
    part: int
    several: bool = False


_SENTENCE = re.compile(r"\n+|\.{2,}|(?<=[\w\s)\]>%'])[.](?=\s|\Z)|[!?…。]+")
_CLAUSE = re.compile(r"[,;(){}—–…]|\s-\s|\.\.+")
_PAUSE = re.compile(rf"{_SENTENCE.pattern}|{_CLAUSE.pattern}")
_OPEN, _CLOSED = re.compile(r"[\s(\[<'{]*\Z"), re.compile(r"[\s)\]>'}|:=]*")
_LABEL = re.compile(r"\(|\s{0,3}(?:[-–—]|->)\s{1,3}")
_WORD = re.compile(r"[^\W_]")
_NAMED = re.compile(r"[\s\"'(\[<]*(?:an?\s|the\s)?")
_ASIDE = re.compile(r"\s?\([^()\n]{1,50}\)")
_DIRECT = 60
"""Characters between a cue and the mention that it is directly said of."""
_LONGEST = 1_000
"""Characters of a sentence that are looked at, to each side of a mention."""
_BEFORE: Mapping[Kind, Standing] = {
    "reject": Standing.REJECTED, "consider": Standing.CONSIDERED, "hedge": Standing.HEDGED, "other": Standing.OTHER,
}  # fmt: skip
_AFTER: Mapping[Kind, Standing] = {
    "rejected": Standing.REJECTED, "consider": Standing.CONSIDERED, "hedge": Standing.HEDGED,
}  # fmt: skip
_DECLARING: Mapping[Kind, tuple[Standing, str]] = {
    "final": (Standing.FINAL, "phrase"), "answer": (Standing.DECLARED, "phrase"),
    "declare": (Standing.DECLARED, "phrase"), "total": (Standing.DECLARED, "phrase"),
    "conclude": (Standing.DECLARED, "conclusion"),
}  # fmt: skip
_BREAKS = ("but", "conclude", "correct")


class Discourse:
    """A text with the mentions of answers in it (ascending, none overlapping another) and what it says of each."""

    def __init__(self, text: str, mentions: Sequence[Mention], cues: Sequence[Cue], languages: Sequence[Language]):
        self.text, self.mentions = text, mentions
        spans = [(mention.start, mention.end) for mention in mentions]
        self.cues = _apart(cues, spans)
        self._said = self._labels_said(verdicts(tuple(languages)))
        self._rejecting = {(cue.start, cue.end) for cue in self.cues if cue.kind == "reject"}
        self._verdicts = {cue.start: True for cue in self.cues if cue.kind in ("rejected", "declared")}
        self._starts = [cue.start for cue in self.cues]
        self._fill = filling(tuple(languages))
        self._link = linking(tuple(languages))
        self._yes, self._naming = affirming(tuple(languages)), naming(tuple(languages))
        self._ends = [(m.end(), "?" in m[0]) for m in _SENTENCE.finditer(text) if not _inside(m.start(), spans)]
        breaks = {m.start() for m in _CLAUSE.finditer(text) if not _inside(m.start(), spans)}
        self._breaks = sorted(breaks | {cue.start for cue in self.cues if cue.kind in _BREAKS})
        self.corrections = [cue.start for cue in self.cues if cue.kind == "correct"]
        self._refuses = any(cue.kind == "refuse" for cue in self.cues)
        self._bare, self._listed = bare_lines(text, spans)

    def _labels_said(self, pattern: re.Pattern[str]) -> dict[int, Standing]:
        """Start of a label -> what a verdict right after makes of it; a "yes" or "no" there corrects nothing."""
        written = [(mention.start, mention.end, mention.how) for mention in self.mentions]
        said, spans = label_verdicts(self.text, written, self.cues, pattern)
        self.cues = _apart(self.cues, spans)
        return {start: Standing.DECLARED if right else Standing.REJECTED for start, right in said.items()}

    def judge(self) -> list[Judged]:
        """Every mention with its standing, in order."""
        judged = []
        for first, last in self._groups():
            group = self.mentions[first : last + 1]
            rivals = Counter(slot for slot, _ in {(mention.slot, _key(mention)) for mention in group})
            for mention in group:
                standing, place = self._standing(mention, first, last)
                part = bisect_right(self.corrections, mention.start)
                several = rivals[mention.slot] > 1 and standing > Standing.CONSIDERED
                judged.append(Judged(mention, Standing.CONSIDERED if several else standing, place, part, several))
        return judged

    def _groups(self) -> list[tuple[int, int]]:
        """First and last of each row of mentions that only "and", "or" and commas join."""
        groups: list[tuple[int, int]] = []
        for at in range(len(self.mentions)):
            if groups and self._joined(groups[-1], at):
                groups[-1] = (groups[-1][0], at)
            else:
                groups.append((at, at))
        return groups

    def _joined(self, group: tuple[int, int], at: int) -> bool:
        before, mention = self.mentions[at - 1], self.mentions[at]
        if mention.start - before.end > _DIRECT or not self._linked(before.end, mention.start):
            return False
        if mention.slot != before.slot:
            return True
        if before.standing == Standing.REJECTED or before.start in self._said:
            return False  # "change A to B", "A (no), B (yes)"
        by_comma = not _WORD.search(self.text, before.end, mention.start)
        if by_comma and group[0] < group[1] and self._confirmed(mention.end):
            row = self.mentions[group[0] : at]
            if any(_WORD.search(self.text, one.end, other.start) for one, other in pairwise(row)):
                return False  # "Between A and C, A is more plausible"
        if any(cue.kind in ("declare", "answer", "final") for cue in self._cues(before.end, mention.start)):
            return False  # "不选A，选D"
        pair_by_comma = group[0] == group[1] and by_comma
        declared = pair_by_comma and self._declaring(before, group[0])[0] >= Standing.DECLARED
        return not (declared and self._denied(mention.end))  # "The answer is C, A is wrong"

    def _linked(self, start: int, end: int) -> bool:
        """Whether "and", "or" and the like join what ends and begins here, a verdict-less aside in brackets skipped."""
        aside = _ASIDE.match(self.text, start, end)
        if aside and not any(map(self._verdicts.get, range(start, aside.end()))):
            start = aside.end()
        return self._link.fullmatch(self.text, start, end) is not None

    def _confirmed(self, end: int) -> bool:
        """Whether "is right" or its like follows at once."""
        return any(cue.kind == "declared" and self._is_direct(end, cue.start) for cue in self._cues(end, end + _DIRECT))

    def _denied(self, end: int) -> bool:
        """Whether a rejection follows in the clause."""
        stop = _PAUSE.search(self.text, end)
        return any(cue.kind == "rejected" for cue in self._cues(end, stop.start() if stop else len(self.text)))

    def _standing(self, mention: Mention, first: int, last: int) -> tuple[Standing, str]:
        """The standing of a mention by the cues around its group, and what declares it."""
        one, other = self.mentions[first], self.mentions[last]
        sentence = bisect_right(self._ends, (one.start, True))
        begin = max(self._ends[sentence - 1][0] if sentence else 0, one.start - _LONGEST)
        following = bisect_left(self._ends, (other.end, False))
        end, asked = self._ends[following] if following < len(self._ends) else (len(self.text), False)
        stop = min(end, other.end + _LONGEST)
        left, right = self._around(first, last, begin, stop)
        found = [_BEFORE[cue.kind] for cue in left if cue.kind in _BEFORE]
        found += [Standing.OTHER for cue in left if cue.kind == "naming" and self._names(cue.end, one)]
        after = [cue for cue in right if cue.kind in _AFTER and not self._belongs_to_next(cue, last)]
        told = other.how == "word" and other.standing == Standing.LEADING  # "no he is not"
        found += [_AFTER[cue.kind] for cue in after if not told or self._is_direct(other.end, cue.start)]
        if any(cue.kind == "except" for cue in (*left, *self._postponed(right, other.end))):
            beyond = self._cues(other.end, min([stop, *(m.start for m in self.mentions[last + 1 : last + 2])]))
            rejected = Standing.REJECTED in found or any(cue.kind in ("reject", "rejected") for cue in beyond)
            return (Standing.DECLARED, "phrase") if rejected else (Standing.REJECTED, "")
        found += self._part(one, begin, right)
        if self._supposed(mention, begin, stop):
            found.append(Standing.SUPPOSED)
        if mention.standing == Standing.TEXT and self._listed_away(begin, one.start):
            found.append(Standing.RESTATED)
        affirmed = asked and self._yes.match(self.text, end) is not None  # "C? Yes."
        if asked and not affirmed:
            found.append(Standing.CONSIDERED)
        standing, place = (Standing.DECLARED, "phrase") if affirmed else self._declaring(one, first)
        if mention.start in self._said:
            standing, place = self._said[mention.start], "phrase"
            found += [standing]
        if any(cue.kind == "declared" and self._is_direct(other.end, cue.start) for cue in right):
            standing, place = max(standing, Standing.DECLARED), "phrase"
        standing = max(standing, mention.standing) if mention.standing > Standing.OTHER else mention.standing
        if standing == mention.standing and standing >= Standing.TEXT and mention.start in self._bare:
            standing, place = Standing.LEADING, "line"
        elif standing == Standing.LEADING and mention.start in self._listed:
            standing = Standing.STATED
        if self._refuses and standing != Standing.FINAL and place != "line":
            found.append(Standing.CONSIDERED)  # "I cannot watch videos, but a typical answer would be A"
        return min([standing, *found]), place

    def _names(self, end: int, mention: Mention) -> bool:
        """Whether a noun that ends here has the mention for its name or number: "gate C", not "the gate is C"."""
        pattern = _NAMED if mention.how in (*DIRECT, "text") else self._naming
        return pattern.fullmatch(self.text, end, max(end, mention.start)) is not None

    def _postponed(self, cues: Sequence[Cue], end: int) -> list[Cue]:
        """The cues at `end` of a language that says them after what they are of: "A以外は"."""
        return [cue for cue in cues if cue.start - end <= 2 and not self.text[cue.start].isascii()]

    def _supposed(self, mention: Mention, begin: int, stop: int) -> bool:
        """Whether an "if" of the sentence holds for a mention: not beyond a ";", nor for what "but ... so" says."""
        for cue in self._cues(begin, stop):
            if cue.kind == "suppose":
                start, end = sorted((cue.end, mention.start))
                said = [one.kind for one in self._cues(start, end) if one.kind in ("but", "conclude")]
                if ";" not in self.text[start:end] and not (
                    cue.start < mention.start and said[-2:] == ["but", "conclude"]
                ):
                    return True
        return False

    def _listed_away(self, begin: int, start: int) -> bool:
        """Whether a rejection earlier in the sentence still holds: "there is no dog, red cup or hat"."""
        for cue in reversed(self._cues(begin, start)):
            if cue.kind == "reject":
                return ";" not in self.text[cue.end : start]
            if cue.kind in (*_DECLARING, *_BREAKS, "plain", "declared"):
                return False
        return False

    def _declaring(self, mention: Mention, at: int) -> tuple[Standing, str]:
        """What the last cue before a mention declares it to be."""
        since = self.mentions[at - 1].end if at else 0
        for cue in reversed(self._cues(max(since, mention.start - 200), mention.start)):
            if cue.kind in _DECLARING:
                near = self._is_direct(cue.end, mention.start)
                same = not _SENTENCE.search(self.text, cue.end, mention.start)
                loose = mention.how not in DIRECT and cue.kind in ("final", "answer", "total") and same
                loose = loose and (bool(mention.slot) or self._ends_sentence(at))
                last = cue.kind == "conclude" and at + 1 == len(self.mentions)
                loose = loose or (last and same and mention.how not in DIRECT)
                return _DECLARING[cue.kind] if near or loose else (Standing.REJECTED, "whole")
        return Standing.REJECTED, "whole"

    def _ends_sentence(self, at: int) -> bool:
        """Whether no other mention follows in the sentence."""
        if at + 1 == len(self.mentions):
            return True
        return _SENTENCE.search(self.text, self.mentions[at].end, self.mentions[at + 1].start) is not None

    def _around(self, first: int, last: int, begin: int, stop: int) -> tuple[list[Cue], list[Cue]]:
        """The cues in the clause of a group of mentions: before it and after it, up to the next mention."""
        start, end = self.mentions[first].start, self.mentions[last].end
        opened = _OPEN.search(self.text, max(0, start - 8), start)
        closed = _CLOSED.match(self.text, end)
        at = bisect_right(self._breaks, (opened.start() if opened else start) - 1)
        begin = max(begin, self._breaks[at - 1] if at else 0, self.mentions[first - 1].end if first else 0)
        reach = closed.end() if closed else end
        label = None if self.mentions[last].slot else _LABEL.match(self.text, reach)
        if label and self._verdicts.get(label.end()):  # "B (wrong)", "B - wrong"
            reach = label.end()
        at = bisect_left(self._breaks, reach)
        stop = min(stop, self._breaks[at] if at < len(self._breaks) else stop)
        if last + 1 < len(self.mentions):
            stop = min(stop, self.mentions[last + 1].start)
        return self._cues(begin, start), self._cues(end, max(stop, end))

    def _part(self, mention: Mention, begin: int, right: Sequence[Cue]) -> list[Standing]:
        """[PART] where a mention is of one frame or half: by what follows it, else by what was last said before."""
        if not mention.slot or mention.standing >= Standing.DECLARED:
            return []
        said = [cue for cue in right if cue.kind in ("part", "total") and not self._of_all(cue)][:1]
        revised, guesses = False, {cue.start for cue in self.cues if cue.kind == "consider"}
        for cue in reversed(self._cues(begin, mention.start)):
            revised = revised or cue.kind == "but"
            if revised and cue.start in guesses:
                continue  # "2 circles at first, but there are 3"
            if cue.kind in ("part", "total", "final") and not self._of_all(cue) and not self._aside(cue, mention):
                said.append(cue)
        return [Standing.PART] if said and said[0].kind == "part" else []

    def _of_all(self, cue: Cue) -> bool:
        """Whether a cue that names a part means all of them: "across all 12 frames"."""
        return cue.kind == "part" and ALL_OF.search(self.text, max(0, cue.start - 24), cue.start) is not None

    def _aside(self, cue: Cue, mention: Mention) -> bool:
        """Whether a cue stands in brackets that close before a mention."""
        between = self.text[cue.end : mention.start]
        return ")" in between and "(" not in between[: between.index(")")]

    def _belongs_to_next(self, cue: Cue, last: int) -> bool:
        """Whether a "not" between two mentions is said of the second alone, as in "A not B"."""
        if last + 1 == len(self.mentions) or (cue.start, cue.end) not in self._rejecting:
            return False
        start = self.mentions[last + 1].start
        return self._is_direct(cue.end, start) and not _PAUSE.search(self.text, cue.end, start)

    def _cues(self, start: int, end: int) -> list[Cue]:
        at = bisect_left(self._starts, start)
        found = []
        while at < len(self.cues) and self.cues[at].start < end:
            if self.cues[at].end <= end:
                found.append(self.cues[at])
            at += 1
        return found

    def _is_direct(self, start: int, end: int) -> bool:
        return end - start <= _DIRECT and self._fill.fullmatch(self.text, start, max(start, end)) is not None


DIRECT = frozenset({"letter", "word"})
"""Ways of writing an answer that a cue declares only where it stands right before."""


def decide(judged: Sequence[Judged], every: Sequence[Judged], corrections: int) -> Judged | None:
    """The mention the text stands by, of those `judged`; None where there is none or more than one differ.

    Args:
        every: all mentions of the text, of which `judged` may be some (the circles among all shapes).
        corrections: how many the text has; with nothing after the last one, the answer is withdrawn.
    """
    live = [one for one in judged if one.standing >= Standing.HEDGED]
    if not live or max(one.part for one in every) < corrections:
        return None
    part = max(one.part for one in live)
    if any(one.part > part and one.standing == Standing.REJECTED for one in judged):
        return None
    live = [one for one in live if one.part == part]
    highest = max(one.standing for one in live)
    best = [one for one in live if one.standing == highest]
    chosen = best[-1]
    unsettled = any(one.several and one.part == part and one.mention.how == "letter" for one in judged)
    if chosen.mention.value is None or (unsettled and chosen.standing <= Standing.TEXT):
        return None
    if any(_key(one.mention) != _key(chosen.mention) for one in best) and chosen.place != "conclusion":
        return None
    for one in judged:
        denied = one.part == part and one.standing == Standing.REJECTED and _key(one.mention) == _key(chosen.mention)
        if denied and (one.mention.how != "text" or chosen.standing == Standing.TEXT):
            return None
    return chosen


def _key(mention: Mention) -> Hashable:
    return repr(mention.value)


def _inside(at: int, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether a character lies within one of the ascending spans."""
    k = bisect_right(spans, (at, 1 << 60))
    return k > 0 and spans[k - 1][0] <= at < spans[k - 1][1]


def _apart(cues: Sequence[Cue], spans: Sequence[tuple[int, int]]) -> list[Cue]:
    """The cues that overlap no mention: "no circles" rejects nothing."""
    kept = []
    for cue in cues:
        k = bisect_left(spans, (cue.end, 0))
        if k == 0 or spans[k - 1][1] <= cue.start:
            kept.append(cue)
    return kept
