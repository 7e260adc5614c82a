"""Every order of n clips in a text: clips named as such, a list of their places, or bare numbers in a row.

Example:
    >>> from evaluators.reading.language import spoken
    >>> text = "Clip 2 comes first, clip 1 second and clip 3 last, not 123."
    >>> [(m.value, m.how) for m in find_orders(text, spoken(text), [], n=3)]
    [([2, 1, 3], 'clips')]
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import islice, pairwise
from typing import NamedTuple

from evaluators.reading.cues import Cue
from evaluators.reading.discourse import Mention, Standing
from evaluators.reading.joining import filling
from evaluators.reading.language import Language, any_of, any_whole, grammar_words, languages, words_of
from evaluators.reading.numerals import number, words_pattern

MAX_NUMBERS = 2000
"""A text with more numbers than this is a listing, not an answer."""
_REACH = 80  # characters between two clips of one order
_MOST = 9  # digits written as one number
_ORDERED = re.compile(r">|→|\bthen\b|\bbefore\b|\bnext\b|然后|その後", re.IGNORECASE)
_BEFORE = re.compile(
    r"\b(?:before|precedes?|antes|vor|nach|avant)\b|\bafter\b(?!\s(?:that|this|which))|\bdespués\sde|之前|より前",
    re.IGNORECASE,
)
_AFTER = re.compile(rf"(?:{_BEFORE.pattern})\s*\Z", re.IGNORECASE)
_THAN = re.compile(r"\s?(?:の前|の後|より|之前|之后|之後|보다|전에|앞에)")
_AGAINST = ("reject", "rejected", "suppose", "other", "naming", "hedge", "correct")
_LISTED = re.compile(
    r"^[ |]{0,8}(?P<place>[0-9]{1,4})(?:st|nd|rd|th)?(?:[.):]|[ ]{0,4}\|)"
    r"[ ]{0,4}(?:(?:in|on|at) )?(?:[^\W\d_]{2,12} )?(?P<number>[0-9]{1,4})\b",
    re.I | re.M,
)
_PLACED = re.compile(r"(?<![\w.:])([0-9]{1,4})(?:[.:)](?![0-9])|st\b|nd\b|rd\b|th\b)")
_DIGITS = re.compile(r"(?<![A-Za-z0-9_.,-])[0-9]{1,9}(?![A-Za-z0-9_%]|[.,-][0-9])")
_SEPARATED = re.compile(r"[\s,;.。|]*(?:(?:and|y|und|et)\s)?")
_SAID = re.compile(r"\s{0,2}(?:[?.;:!\n]|,\s)")
_NEXT = re.compile(r"[^\S\n]*([^\W\d_]+|%)")
_LAST = re.compile(r"([^\W\d_]+)[^\S\n]\Z")
_WORD = re.compile(r"[^\W_]")


class _Number(NamedTuple):
    value: int
    start: int
    end: int
    clip: bool


class _Words(NamedTuple):
    """The words about clips and their places in some languages, as patterns."""

    token: re.Pattern[str]
    gap: re.Pattern[str]
    clip_gap: re.Pattern[str]
    ranks: dict[str, int]
    ranked: re.Pattern[str]
    told: re.Pattern[str]
    lasts: frozenset[str]
    place: re.Pattern[str]
    units: tuple[str, ...]
    orders: frozenset[str]
    slotted: re.Pattern[str]
    inverse: re.Pattern[str]

    @staticmethod
    @cache
    def of(spoken: tuple[Language, ...]) -> _Words:
        clips = any_of(word for one in languages() for word in one.words("clips"))
        then = any_whole({word.replace("_", " ") for word in words_of(spoken, "then")})
        ranks = {form: rank for one in spoken for form, rank in one.ranks().items()}
        nexts = {word.replace("_", " ") for word in words_of(spoken, "nexts")}
        places = any_whole(ranks.keys() | words_of(spoken, "lasts"))
        slots = any_whole(words_of(spoken, "slots"))
        copulas = any_of(word for word in words_of(spoken, "copulas") if "/" not in word)
        between = rf"[\s,;>→|/&()\[\]<–—~-]|=>|번째?|番目?|{then}"
        placed = rf"[0-9]{{1,4}}(?:[:.)]|st\b|nd\b|rd\b|th\b)|(?:{slots})\s?[0-9]{{1,4}}|{places}"
        aside = r"\([^()\n]{0,60}\)|:|\.(?:mp4|avi|mkv|mov|webm)(?![^\W_])"
        return _Words(
            re.compile(
                rf"(?<![A-Za-z\u00c0-\u024f0-9_.+])(?P<clip>(?:{clips})\s{{0,3}})?"
                rf"(?P<number>[0-9]{{1,4}}|{words_pattern('numerals')})(?![A-Za-z\u00c0-\u024f0-9_%]|\.[0-9])",
                re.IGNORECASE,
            ),
            re.compile(
                rf"(?:{between}|(?:{placed})\s{{0,2}}[:=]?|\([^()\n0-9]{{0,60}}\)\s?(?=→|-+>|=>))+", re.IGNORECASE
            ),
            re.compile(rf"(?:{between}|{placed}|{aside}|\.)+", re.IGNORECASE),
            ranks,
            re.compile(
                rf"(?P<rank>{any_whole(ranks)}|(?<![\w.])[0-9]{{1,2}}(?=st|nd|rd|th))(?:st|nd|rd|th)?(?P<clip>\s?(?:{clips}))?",
                re.IGNORECASE,
            ),
            re.compile(rf"[^\n?]{{0,80}}?[.,;\n。]\s*(?:{any_whole(nexts)})[\s,]*", re.IGNORECASE),
            words_of(spoken, "lasts"),
            re.compile(rf"(?:{slots})\s?([0-9]{{1,4}})|({places})", re.IGNORECASE),
            tuple(word for one in languages() for name in ("seconds", "minutes") for word in _times(one, name)),
            frozenset().union(*(_nouns(one) for one in spoken)),
            re.compile(
                rf"(?:(?:(?P<rank>{any_whole(ranks)})|(?<![\w.:])(?P<nth>[0-9]{{1,2}})(?:st|nd|rd|th))(?:\s(?:{clips}))?|(?:(?P<slot>(?:{slots})\s?)|(?<![\w.:]))#?(?P<place>[0-9]{{1,4}}))\s?(?:(?P<sign>[:=→]|->)|(?:{copulas})(?=\s))\s?"
                rf"(?:(?:{clips})\s?)?(?P<number>[0-9]{{1,4}})(?![\w:%]|\.[0-9])",
                re.IGNORECASE,
            ),
            re.compile(rf"^[ |]{{0,4}}(?:{clips})[^\n|]{{0,40}}\|", re.IGNORECASE | re.MULTILINE),
        )


def find_orders(text: str, spoken: Sequence[Language], cues: Sequence[Cue], n: int) -> list[Mention]:
    """Every order of exactly n numbers; one that is no permutation of 1..n is a mention without a value."""
    words = _Words.of(tuple(spoken))
    matches = list(islice(words.token.finditer(text), MAX_NUMBERS + 1))
    if len(matches) > MAX_NUMBERS:
        return []
    numbers = [_Number(number(m["number"]) or 0, m.start(), m.end(), m["clip"] is not None) for m in matches]
    finder = _Finder(text, words, n, tuple(spoken), cues)
    found = finder.slotted() or finder.runs(numbers, words.clip_gap, clips=True) or finder.listed()
    if not found:
        found = finder.runs(numbers, words.gap, clips=False) + finder.joined()
    found = found or finder.told(numbers) or finder.ranked()
    kept: list[Mention] = []
    for mention in sorted(found, key=lambda m: m.start):
        if not kept or mention.start >= kept[-1].end:
            kept.append(mention)
    return kept


class _Finder:
    """One pass over one text."""

    def __init__(self, text: str, words: _Words, n: int, spoken: tuple[Language, ...], cues: Sequence[Cue]) -> None:
        self.text, self.words, self.n = text, words, n
        self._fill = filling(spoken)
        self._starts = {
            cue.start for cue in cues if cue.kind not in ("part", "total", "other", "naming", "lasting", "revise")
        }
        self._either = words_of(spoken, "or")
        self._revised = {cue.end + 1 for cue in cues if cue.kind in ("reject", "but", "correct")}
        self._declared = [cue.end for cue in cues if cue.kind in ("answer", "declare", "final", "conclude")]
        self._against = [cue.start for cue in cues if cue.kind in _AGAINST]

    def runs(self, numbers: Sequence[_Number], gap: re.Pattern[str], *, clips: bool) -> list[Mention]:
        """Chains of n numbers with nothing but separators and places between them."""
        chains: list[list[_Number]] = []
        if self.n < 2:
            return []
        for before, one in pairwise([None, *(x for x in numbers if x.clip or not clips)]):
            assert one is not None
            near = before is not None and one.start - before.end <= _REACH and (before.clip or not one.clip)
            if (
                near
                and before
                and gap.fullmatch(self.text, before.end, one.start)
                and self._same_row(before, one, clips)
            ):
                chains[-1].append(one)
            else:
                chains.append([one])
        return [mention for chain in chains if (mention := self._order(chain, clips)) is not None]

    def _same_row(self, before: _Number, one: _Number, clips: bool) -> bool:
        """Whether two bare numbers are in one row: on one line, or each on a line of its own."""
        if clips or "\n" not in self.text[before.end : one.start]:
            return True
        begun = self._alone(before.start, before.end) or self._told(before.start)
        return begun and self._alone(one.start, one.end)

    def _order(self, chain: Sequence[_Number], clips: bool) -> Mention | None:
        text, values = self.text, [one.value for one in chain]
        if not clips and len(values) == 2 * self.n and (placed := self._numbered(chain)):
            return placed
        if len(values) != self.n or not all(1 <= value <= self.n for value in values):
            return None
        start, end = chain[0].start, chain[-1].end
        order = self._by_place(chain, values)
        prose = not self._alone(start, end)
        if self._grouped(chain) or self._paired(chain):
            return None
        restated = prose and order == sorted(values) and not _ORDERED.search(text, start, end)
        standing = Standing.RESTATED if restated else Standing.STATED
        if not clips and (self._counts(end) or (self._labels(start) and not chain[0].clip)):
            standing = Standing.OTHER
        return Mention(self._permutation(order), start, end, standing, "clips" if clips else "numbers")

    def _grouped(self, chain: Sequence[_Number]) -> bool:
        """Whether groups are put in order, as in "2 and 1 come before 4 and 3"."""
        if _AFTER.search(self.text, max(0, chain[0].start - 12), chain[0].start):
            return True  # "Before clip 1 comes clip 2"
        if _THAN.match(self.text, chain[-1].end):
            return True  # "2と1は4と3の前"
        gaps = [self.text[a.end : b.start] for a, b in pairwise(chain)]
        plain = any(not _ORDERED.search(gap) and not _BEFORE.search(gap) for gap in gaps)
        return plain and any(map(_BEFORE.search, gaps))

    def _paired(self, chain: Sequence[_Number]) -> bool:
        """Whether two signs take turns, as in "1->2, 3->4": pairs, and no order of all."""
        gaps = [self.text[a.end : b.start].strip() for a, b in pairwise(chain)]
        inner, outer = set(gaps[::2]), set(gaps[1::2])
        signs = not any(map(_WORD.search, gaps))
        return signs and len(gaps) >= 3 and len(inner) == len(outer) == 1 and inner != outer

    def _numbered(self, chain: Sequence[_Number]) -> Mention | None:
        """ "1: 3, 2: 4": every second number is the place of the next."""
        places = [one.value for one in chain[::2]]
        colons = all(self.text[one.end : one.end + 1] in (":", ".", ")", "=") for one in chain[::2])
        if not colons or places != list(range(1, self.n + 1)):
            return None
        return Mention(
            self._permutation([one.value for one in chain[1::2]]),
            chain[0].start,
            chain[-1].end,
            Standing.STATED,
            "list",
        )

    def _by_place(self, chain: Sequence[_Number], values: list[int]) -> list[int]:
        """The clips by the places that stand before or after each; as written where none contradicts."""
        text, n = self.text, self.n
        before = [self._place(max(0, chain[0].start - 24), chain[0].start)]
        before += [self._place(a.end, b.start) for a, b in pairwise(chain)]
        newline = re.compile(r"[\n.;]").search(text, chain[-1].end)
        stop = min(newline.start() if newline else len(text), chain[-1].end + 24)
        after = [*before[1:], self._place(chain[-1].end, stop)]
        for places in (before, after):
            known = [place for place in places if place]
            if len(known) == n and sorted(known) == list(range(1, n + 1)):
                return [values[places.index(place)] for place in range(1, n + 1)]
        sides = [all(place in (0, at) for at, place in enumerate(side, start=1)) for side in (before, after)]
        return values if any(sides) else []

    def _place(self, start: int, end: int) -> int:
        """The place that a few words name, 0 for none."""
        if numbered := list(_PLACED.finditer(self.text, start, end)):
            return int(numbered[-1][1])
        named = list(self.words.place.finditer(self.text, start, end))
        if not named:
            return 0
        if named[-1][1]:
            return int(named[-1][1])
        word = named[-1][2].lower()
        if word in self.words.lasts:
            return self.n
        return self.words.ranks.get(word, 0)

    def listed(self) -> list[Mention]:
        """A numbered list of n clips, each with its description."""
        lines = list(islice(_LISTED.finditer(self.text), MAX_NUMBERS))
        if [int(line["place"]) for line in lines] != list(range(1, self.n + 1)):
            return []
        order = [int(line["number"]) for line in lines]
        start, end = lines[0].start("place"), lines[-1].end()
        if "|" in self.text[start:end] and self.words.inverse.search(self.text, 0, start):
            return []  # a table of clips and their places
        return [Mention(self._permutation(order), start, end, Standing.STATED, "list")]

    def slotted(self) -> list[Mention]:
        """The clip of every place: "position 1: 2, position 2: 3, position 3: 1"."""
        matches = list(islice(self.words.slotted.finditer(self.text), self.n + 1))
        places = [self._slot(match) for match in matches]
        named = [any(match[name] is not None for name in ("slot", "rank", "nth")) for match in matches]
        if sorted(places) != list(range(1, self.n + 1)) or not (all(named) or (not any(named) and self.n > 2)):
            return []
        if not all(named) and (places != sorted(places) or not all(match["sign"] in (":", "=") for match in matches)):
            return []  # of "1 → 2, 2 → 3, 3 → 1" nobody knows which is the place
        if not all(_SEPARATED.fullmatch(self.text, a.end(), b.start()) for a, b in pairwise(matches)):
            return []
        clips = {place: int(match["number"]) for place, match in zip(places, matches, strict=True)}
        order = self._permutation([clips[place] for place in range(1, self.n + 1)])
        span = matches[0].start(), matches[-1].end()
        return [Mention(order, *span, Standing.STATED, "list")] if order else []

    def _slot(self, match: re.Match[str]) -> int:
        place = match["place"] or match["nth"]
        return int(place) if place else self.words.ranks[match["rank"].lower()]

    def told(self, numbers: Sequence[_Number]) -> list[Mention]:
        """n clips, each but the first begun with "then" or its like, whatever is told of each."""
        clips = [one for one in numbers if one.clip]
        if len(clips) != self.n or self.n < 2:
            return []
        start, end = clips[0].start, clips[-1].end
        begun = all(self.words.told.fullmatch(self.text, a.end, b.start) for a, b in pairwise(clips))
        if not begun or any(start <= at < end for at in self._against):
            return []
        return [Mention(self._permutation([one.value for one in clips]), start, end, Standing.STATED, "clips")]

    def ranked(self) -> list[Mention]:
        """Clips that are told by their own places: "the second clip, then the first, then the third"."""
        matches = list(islice(self.words.ranked.finditer(self.text), MAX_NUMBERS))
        if len(matches) != self.n or matches[0]["clip"] is None:
            return []
        if not all(self.words.clip_gap.fullmatch(self.text, a.end(), b.start()) for a, b in pairwise(matches)):
            return []
        order = [self.words.ranks.get(match["rank"].lower()) or number(match["rank"]) or 0 for match in matches]
        standing = Standing.RESTATED if order == sorted(order) else Standing.STATED
        return [Mention(self._permutation(order), matches[0].start(), matches[-1].end(), standing, "clips")]

    def joined(self) -> list[Mention]:
        """n digits in one: in running text only from n = 4 on, since "12" and "321" are more often quantities."""
        found, unsaid = list[Mention](), list[Mention]()
        for match in islice(_DIGITS.finditer(self.text), MAX_NUMBERS) if self.n <= _MOST else ():
            if len(match[0]) != self.n or self._counts(match.end()):
                continue
            order = self._permutation([int(digit) for digit in match[0]])
            mention = Mention(order, *match.span(), Standing.STATED, "digits")
            pauses = order is not None and self._pauses(match.end())
            if self._alone(*match.span()) or self._told(match.start()) or (pauses and self._is_said(*match.span())):
                found.append(mention)
            elif pauses:
                unsaid.append(mention)
        return found + unsaid if found or self.n >= 4 else []

    def _is_said(self, start: int, end: int) -> bool:
        """Whether a response begins with digits and a pause, or something is rejected: "213? No", "not 123 but 213"."""
        leads = not _WORD.search(self.text, max(0, start - 400), start)
        return start in self._revised or (leads and _SAID.match(self.text, end) is not None)

    def _alone(self, start: int, end: int) -> bool:
        """Whether the lines from `start` to `end` hold no other word."""
        line = self.text.rfind("\n", 0, start) + 1
        stop = self.text.find("\n", end)
        stop = len(self.text) if stop < 0 else stop
        return not _WORD.search(self.text, line, start) and not _WORD.search(self.text, end, stop)

    def _pauses(self, end: int) -> bool:
        """Whether what the digits say ends here, or something is said of them."""
        following = _NEXT.match(self.text, end)
        joined = following is not None and following[1].lower() in self._either
        return following is None or not following[1].isascii() or joined or following.start(1) in self._starts

    def _told(self, start: int) -> bool:
        near = [end for end in self._declared if 0 <= start - end <= _REACH]
        return any(self._fill.fullmatch(self.text, end, start) for end in near)

    def _counts(self, end: int) -> bool:
        """Whether a noun follows that the numbers count, as in "3 and 2 seconds"."""
        following = _NEXT.match(self.text, end)
        if following is None or following.start(1) in self._starts:
            return False
        word = following[1].lower()
        if word in self.words.ranks or word in self.words.lasts:
            return False  # "2 first, 1 second, 3 third"
        return word.startswith(self.words.units) if not word.isascii() else self._is_noun(word)

    def _labels(self, start: int) -> bool:
        """Whether a noun stands right before that says what the numbers are: "Confidence 2, 1, 3"."""
        last = _LAST.search(self.text, max(0, start - 40), start)
        word = last[1].lower() if last else ""
        named = word.isascii() and bool(word) and word not in self.words.orders and word not in self.words.ranks
        return named and self._is_noun(word) and not self._told(start)

    def _is_noun(self, word: str) -> bool:
        return word in self.words.units or word not in grammar_words()

    def _permutation(self, order: list[int]) -> list[int] | None:
        return order if sorted(order) == list(range(1, self.n + 1)) else None


def _nouns(language: Language) -> set[str]:
    nouns = language.data.get("nouns", {})
    return set(f"{nouns.get('any', '')} {nouns.get('order', '')}".lower().split())


def _times(language: Language, name: str) -> list[str]:
    return str(language.data["times"][name]).split()
