"""Every mention of an option in a text: its letter, "yes" or "no" in any language, or its words.

Example:
    >>> from evaluators.reading.language import spoken
    >>> choices = Choices(("A", "B"), (("A", "a red ball"), ("B", "a blue box")))
    >>> text = "A man holds a red ball (A)."
    >>> [(m.value, m.how, text[m.start : m.end]) for m in choices.find(text, spoken(text), [])]
    [('A', 'text', 'red ball'), ('A', 'letter', 'A')]

A letter counts where it is written as one: in brackets, after "option", after a phrase that declares or rejects, or at
the beginning of a clause and followed by a pause or a verb. "A man" and "I think" hold none.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, lru_cache
from itertools import pairwise

from evaluators.reading.cues import MARK, Cue
from evaluators.reading.discourse import DIRECT, Mention, Standing
from evaluators.reading.joining import filling, linking
from evaluators.reading.language import ALPHABETS, Language, any_of, words_of
from evaluators.reading.narration import agreeing, narrated
from evaluators.reading.option_numbers import counted, option_values
from evaluators.reading.option_places import are_numbers, find_places
from evaluators.reading.option_texts import OptionTexts
from evaluators.reading.revisions import putting_into
from evaluators.reading.shares import weighed

_LETTER_BEFORE = r"(?<![A-Za-z\u00c0-\u024f0-9_°])(?<![A-Za-z\u00c0-\u024f0-9]')(?<![A-Za-z0-9]\.)(?<![\w]-)(?<![Nn]/)"
_LETTER_AFTER = r"(?![A-Za-z\u00c0-\u024f0-9_]|'(?![dt][iı]r\b)[A-Za-z]|-[a-z]|\.[A-Za-z0-9](?![A-Za-z0-9]))"
_BRACKETS = {"(": ")", "[": "]", "<": ">"}
_CLAUSE_BEGINS = frozenset(".,;:!?\n(—–…。|>=-/[<~+✓✔☑✅✗✘✕✖❌❎")
_PAUSE = re.compile(
    r"\s*(?:[)\]>'|]\s*)*(?:(?<=[)\]])|(?<=>)(?=[^\W_]\b)|\+\s?(?=[^\W_]\b)|[.,:;!?…。|/&=]|\s\(|\n|\Z|[-–—]{1,3}(?:\s|\Z)|[–—]|->|→)"
)
_STOP = re.compile(r"\s*(?:[)\]>'|]\s*)*(?:[.:!?…。]|\n|\Z)")
_OWN_LABEL = re.compile(r"(?<![^\W_])([A-Z])[.):]\s{1,3}(?:an?\s|the\s)?\Z")
_HEADING = re.compile(r":\s{1,3}[(\[]?([A-Z])[)\]]?(?=[.,;:\s]|\Z)")
_GAP = re.compile(r"\s*[)\]]?\s*")
_LABEL = re.compile(r"[)\]>]?\s{0,3}(?:[.):,=|-]|[-–—]{1,2}|\s\(|->)?\s{0,4}(?:\()?")
_LABELLING = re.compile(r"\s?[.):]\s")
_BETWEEN_LABELS = re.compile(r"[\s,;.|/)\]-]{0,20}(?:(?:and|or)\s)?[\s(\[|-]{0,4}")
_LINKED = re.compile(r"\b(?:and|or)\b")
_NEXT = re.compile(r"\s*+(?:[)\]]\s*+)?([^\W\d_]+)")  # possessive: a long gap is not tried in every way to part it
_WORD = re.compile(r"[^\W_]")
_LONGER = re.compile(r"[^\W_]{2}|[^\W_A-Za-z]")
_EITHER_WORD = re.compile(
    r"(?<![^\W_])(?:yes|no|sí|ja|nein|oui|non|sim|não|true|false)['\"]?\s?(?:/|(?<=\s)(?:or|o|oder|ou)\b)\s?['\"]?\Z",
    re.I,
)
"""Before the second of "yes or no", which is said whatever follows."""
_REACH = 60


class Choices:
    """The ways to name the options of one question; `options` are pairs of a letter and its text."""

    def __init__(self, letters: Sequence[str], options: Sequence[tuple[str, str]]) -> None:
        self.letters = tuple(letters)
        self.options = tuple(options)
        self.single = tuple(letter for letter in letters if len(letter) == 1)
        both = sorted({case for letter in self.single for case in (letter, letter.lower(), letter.upper())})
        written = f"[{re.escape(''.join(both))}]" if both else "(?!)"
        self.pattern = re.compile(_LETTER_BEFORE + written + _LETTER_AFTER)

    def find(self, text: str, languages: Sequence[Language], cues: Sequence[Cue]) -> list[Mention]:
        """The mentions in order, none overlapping another."""
        reader = _Reader(self, text, tuple(languages), cues)
        kept: list[Mention] = []
        for mention in sorted(reader.mentions(), key=lambda m: (m.start, -m.end)):
            if not kept or mention.start >= kept[-1].end:
                kept.append(mention)
        if reader.is_listing(kept):
            return [replace(mention, standing=Standing.RESTATED) for mention in kept]
        stated = agreeing(text, narrated(text, reader.without_lists(kept), tuple(languages), cues))
        return weighed(text, stated)


class _Reader:
    """One pass over one text."""

    def __init__(self, choices: Choices, text: str, languages: tuple[Language, ...], cues: Sequence[Cue]) -> None:
        self.choices, self.text, self.languages, self._cues = choices, text, languages, cues
        self._fill, self._into = filling(languages), putting_into(languages)
        revises = any(cue.kind == "revise" for cue in cues)
        self._joins = (linking(languages), self._into) if revises else (linking(languages),)
        self._ends = [(cue.end, cue.start, cue.kind) for cue in cues if cue.kind != "ignore"]
        self._ends.sort()
        self._cue_starts = {cue.start for cue in cues if cue.kind not in _NOT_AFTER_A_LETTER}
        self._rejecting = {cue.start for cue in cues if cue.kind == "reject"}
        self._verdicts = {cue.start for cue in cues if cue.kind in ("declared", "rejected")}
        self._texts = _option_texts(choices.options, languages)
        self._spelled = self._texts.find(text)
        self._labels, self._either = _ends_with(languages, "labels"), _ends_with(languages, "or")
        self._ors = words_of(languages, "or")
        self._closers = words_of(languages, "copulas") | words_of(languages, "closers")
        self._followers = words_of(languages, "followers") | self._ors | self._closers
        self._says = tuple(words_of(languages, "says"))
        self._ignored = [(cue.start, cue.end) for cue in cues if cue.kind == "ignore"]
        unspaced = [one for one in languages if not one.starts]
        self._tails = tuple(tail for one in unspaced for name in ("closers", "or", "says") for tail in one.words(name))

    def mentions(self) -> list[Mention]:
        """Every mention, in no order."""
        return self.letters() + self.words() + self.texts() + self.places()

    def places(self) -> list[Mention]:
        """The options named by their place: "the second option", "option 3" where no option is a number itself."""
        letters = self.choices.single
        if not letters or len(letters) < len(self.choices.letters) or are_numbers(o for _, o in self.choices.options):
            return []
        found = []
        for place, start, end in find_places(self.text, self.languages):
            if start in self._rejecting:
                continue  # "the last option I would pick"
            told = self._told(start) in (*_ANNOUNCING, "conclude") or self._leads(start)
            if place <= len(letters) and (told or self.text[end - 1] not in "번番个個"):
                standing = Standing.STATED if told or self._pauses(end) else Standing.RESTATED
                letter = letters[place - 1 if place > 0 else place]
                label = self._labelled(end)
                value = letter if label is None or label[0] == letter else None  # "option 3" with the text of another
                found.append(Mention(value, start, end, standing, "letter"))
        return found

    def letters(self) -> list[Mention]:
        """The letters that are written as such."""
        found: list[Mention] = []
        for match in self.choices.pattern.finditer(self.text):
            if mention := self._letter(*match.span(), found[-1].end if found else -_REACH):
                found.append(mention)
        return found

    def _letter(self, start: int, end: int, before: int) -> Mention | None:
        text, written = self.text, self.text[start:end]
        letter = next(one for one in self.choices.single if one.lower() == written.lower())
        if letter == "A" and (heading := _HEADING.match(text, end)) and heading[1] in self.choices.single:
            return None  # "A: C" answers a "Q: ..."
        bracketed = start > 0 and _BRACKETS.get(text[start - 1]) == text[end : end + 1] != ""
        named = self._labels.search(text, max(0, start - 24), start) is not None
        told = self._told(start)
        if written != letter:  # "b": only alone, or where a letter is announced
            announced = named or bracketed or told in _ANNOUNCING
            sure = (self._leads(start) and not _WORD.search(text, end, end + 400)) or (
                announced and (_STOP.match(text, end) or self._is_judged(end))
            )
            return Mention(letter, start, end, Standing.STATED, "letter") if sure else None
        revised = told == "revise" and self._into.match(text, end) is not None
        if not (bracketed or named or revised) and self._is_word(letter, end, told):
            return None
        if label := self._labelled(end):
            owner, stop = label
            return Mention(letter if owner == letter else None, start, stop, Standing.STATED, "letter")
        joined = text.startswith(self._says, end) or (
            start - before <= 24 and any(between.fullmatch(text, max(0, before), start) for between in self._joins)
        )
        if not (bracketed or named or told or joined or self._begins(start) or self._judged(start, end)):
            return None
        if not (bracketed or self._pauses(end) or told in (*_ANNOUNCING, "conclude")):
            return Mention(letter, start, end, Standing.RESTATED, "letter")  # "Option B shows": talked about
        return Mention(letter, start, end, Standing.LEADING if self._leads(start) else Standing.STATED, "letter")

    def _is_word(self, letter: str, end: int, told: str) -> bool:
        """Whether a letter is the article or the pronoun that its language writes alike."""
        if not any(letter in language.words("single") for language in self.languages):
            return False
        following = _NEXT.match(self.text, end)
        verb = following is not None and following[1].lower() in self._closers | self._ors
        if any(letter in language.words("pronouns") for language in self.languages) and not told:
            stands = verb and following is not None and following[1].lower() in ("is", "was")
            return not (stands or _STOP.match(self.text, end))
        if following is not None and following.start(1) in self._rejecting - self._verdicts:
            return True  # "A wrong guess would be B"
        return not (verb or self._pauses(end))

    def _pauses(self, end: int) -> bool:
        """Whether what is written before `end` stands by itself: a pause, a verdict or a particle follows."""
        if _PAUSE.match(self.text, end) or self.text.startswith(self._tails, end):
            return True
        following = _GAP.match(self.text, end)
        return following is not None and following.end() in self._cue_starts

    def _is_judged(self, end: int) -> bool:
        """Whether a verdict follows: "option b is correct"."""
        following = _GAP.match(self.text, end)
        return following is not None and following.end() in self._verdicts

    def _judged(self, start: int, end: int) -> bool:
        """Whether a verdict is written onto a letter, as languages without spaces do, and no comparison: "比A更好"."""
        onto = bool(self._tails) and end in self._verdicts and not self.text[end : end + 1].isascii()
        return onto and self.text[max(0, start - 1) : start] not in ("比", "较", "較")

    def _begins(self, start: int) -> bool:
        """Whether a clause begins here."""
        at = start
        while at > max(0, start - _REACH) and self.text[at - 1] not in _CLAUSE_BEGINS:
            at -= 1
        begun = at == 0 or self.text[at - 1] in _CLAUSE_BEGINS
        blank = not self.text[at:start].strip()
        return blank or (begun and self._fill.fullmatch(self.text, at, start) is not None)

    def _leads(self, start: int) -> bool:
        """Whether the response begins here."""
        return not _WORD.search(self.text, max(0, start - 400), start)

    def _told(self, start: int) -> str:
        """The kind of the cue right before a place; "" where there is none."""
        at = bisect_right(self._ends, (start, len(self.text), "~")) - 1
        if at < 0 or start - self._ends[at][0] > _REACH:
            return ""
        return self._ends[at][2] if self._fill.fullmatch(self.text, self._ends[at][0], start) else ""

    def _labelled(self, end: int) -> tuple[str, int] | None:
        """(letter of the option, end of its text) where an option's text stands right after a letter."""
        gap = _LABEL.match(self.text, end)
        at = gap.end() if gap else end
        stop = self.text.find("\n", at, at + 400)
        stop = min(len(self.text), at + 400) if stop < 0 else stop
        k = bisect_left(self._spelled, at, key=lambda option: option.start)
        first = self._spelled[k] if k < len(self._spelled) else None
        if first is None or first.end > stop or MARK.search(self.text, at, first.start):
            return None
        between = self.text[at : first.start]
        said = self._texts.only_subject(between) and _STOP.match(self.text, first.end)  # "D. He sings." to the end
        if not (said or self._texts.only_determiners(between)):
            return None
        return first.letter, first.end

    def words(self) -> list[Mention]:
        """Yes and no, where the question asks for them."""
        found = []
        for letter, forms in _spoken_letters(self.choices.letters, self.choices.options, self.languages):
            for match in _whole_words(forms).finditer(self.text):
                start, end = match.span()
                if self._is_said(start, end) and not any(a <= start < b for a, b in self._ignored):
                    standing = Standing.LEADING if self._leads(start) else Standing.STATED
                    found.append(Mention(letter, start, end, standing, "word"))
        return found

    def _is_said(self, start: int, end: int) -> bool:
        """Whether a word is the answer and not a part of what is said: "No, he left", not "no one left"."""
        if not (self._begins(start) or self._told(start) or self._either.search(self.text, max(0, start - 12), start)):
            return False
        following = _NEXT.match(self.text, end)
        if self._pauses(end) or (following is not None and following[1].lower() in self._followers):
            return True
        return _EITHER_WORD.search(self.text, max(0, start - 24), start) is not None

    def texts(self) -> list[Mention]:
        """The options in words; a single word only where it is what a clause says, after "is" or last in it."""
        if values := option_values(self.choices.options):
            return counted(self.text, values, self.languages, self._cues)
        found = []
        spoken = {x for x, _ in _spoken_letters(self.choices.letters, self.choices.options, self.languages)}
        carried = _carriers(self.languages)
        for option in self._spelled:
            if (label := _OWN_LABEL.search(self.text, max(0, option.start - 12), option.start)) and (
                label[1] not in self.choices.letters
            ):
                continue  # "F. a lamp", where there is no F
            if option.letter not in spoken and not any(a < option.start < b for a, b in self._ignored):
                ends = carried.match(self.text, option.end) is not None or self._is_manner(option.start, option.end)
                said = option.words > 1 or ends or self._told(option.start) in (*_ANNOUNCING, "conclude")
                standing = Standing.TEXT if said else Standing.RESTATED
                found.append(Mention(option.letter, option.start, option.end, standing, "text"))
        return found

    def _is_manner(self, start: int, end: int) -> bool:
        """Whether an option's words say how something is done: "in a clockwise direction around the ship"."""
        before, after = _manners(self.languages)
        return bool(after.match(self.text, end) and before.search(self.text, max(0, start - 12), start))

    def without_lists(self, mentions: Sequence[Mention]) -> list[Mention]:
        """The mentions; those of a list of the options, written out again, are restated."""
        letters = [k for k, mention in enumerate(mentions) if mention.how == "letter"]
        restated, linked = set[int](), set[int]()
        for k, following in pairwise(letters):
            one, other = mentions[k], mentions[following]
            both = one.end - one.start > 1 and other.end - other.start > 1 and one.value != other.value
            if both and following == k + 1 and _BETWEEN_LABELS.fullmatch(self.text, one.end, other.start):
                restated |= {k, following}
                linked |= {k} if _LINKED.search(self.text, one.end, other.start) else set()
        if len(restated) == 2 < len(self.choices.letters) and linked:
            restated.clear()  # "by A. wilting and D. fading": no list, two answers
        labels = [k for k in letters if _LABELLING.match(self.text, mentions[k].start + 1)]
        n, order = len(self.choices.letters), [mentions[k].value for k in labels]
        for at in range(len(order) - n + 1):
            if order[at : at + n] == list(self.choices.letters):
                restated |= {k for k in labels[at : at + n] if not self._pauses_at_verdict(mentions[k].end)}
        return [replace(m, standing=Standing.RESTATED) if k in restated else m for k, m in enumerate(mentions)]

    def is_listing(self, mentions: Sequence[Mention]) -> bool:
        """Whether a text is different letters, or "yes" and "no", and nothing else: "B; C"."""
        ends = [0, *(mention.end for mention in mentions)]
        starts = [*(mention.start for mention in mentions), len(self.text)]
        several = len({mention.value for mention in mentions}) > 1 and all(one.how in DIRECT for one in mentions)
        return several and not any(
            _LONGER.search(self.text, end, start) or MARK.search(self.text, end, start)
            for end, start in zip(ends, starts, strict=True)
        )

    def _pauses_at_verdict(self, end: int) -> bool:
        following = _LABEL.match(self.text, end)
        return following is not None and following.end() in self._cue_starts


_ANNOUNCING = ("answer", "declare", "final")
_NOT_AFTER_A_LETTER = (*_ANNOUNCING, "plain")
_YES_NO = ("yes", "no")


def _plain(text: str) -> str:
    return text.casefold().strip(" .")


@lru_cache(maxsize=256)
def _spoken_letters(
    letters: tuple[str, ...], options: tuple[tuple[str, str], ...], languages: tuple[Language, ...]
) -> list[tuple[str, tuple[str, ...]]]:
    """The letters that are words, or whose option is the one "yes" or "no", with the words that say it."""
    named = dict.fromkeys((letter, letter) for letter in letters if len(letter) > 1)
    kinds = {(letter, text): _yes_or_no(text, languages) for letter, text in (*named, *options)}
    often = Counter(kind for (letter, text), kind in kinds.items() if letter != text)
    found = []
    for (letter, text), kind in kinds.items():
        words: set[str] = set()
        if kind and (letter == text or often[kind] == 1):
            words = {word.replace("_", " ") for word in words_of(languages, kind)}
        if words or (letter, text) in named:
            found.append((letter, tuple(sorted({text.strip(" ."), *words}))))
    return found


def _yes_or_no(text: str, languages: Sequence[Language]) -> str:
    """Whether a text is a "yes" or a "no", in one of the languages; "" for neither."""
    plain = _plain(text)
    return plain if plain in _YES_NO else next((k for k in _YES_NO if plain in words_of(languages, k)), "")


@lru_cache(maxsize=256)
def _option_texts(options: tuple[tuple[str, str], ...], languages: tuple[Language, ...]) -> OptionTexts:
    return OptionTexts(options, languages)


@lru_cache(maxsize=256)
def _whole_words(forms: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the forms; one in Latin letters not within a longer word."""
    latin = any_of(form for form in forms if form[0] < ALPHABETS)
    others = any_of(form for form in forms if form[0] >= ALPHABETS)
    return re.compile(rf"(?<![^\W_])(?:{latin})(?![^\W_]|'[^\W_])|{others}", re.IGNORECASE)


@cache
def _ends_with(languages: tuple[Language, ...], name: str) -> re.Pattern[str]:
    """One of the words listed under `name`, right before."""
    words = any_of(words_of(languages, name))
    return re.compile(rf"(?<![A-Za-z\u00c0-\u024f])(?:{words})\s{{0,3}}[(\[<':]{{0,2}}\s?\Z", re.IGNORECASE)


@cache
def _manners(languages: tuple[Language, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What stands before and after words that say how something is done."""
    before, a = any_of(words_of(languages, "manners")), any_of(words_of(languages, "determiners"))
    nouns = any_of(word for word in words_of(languages, "carriers") if "_" not in word)
    return re.compile(rf"\b(?:{before})\s(?:(?:{a})\s)?\Z", re.I), re.compile(rf"\s(?:{nouns})\b", re.I)


@cache
def _carriers(languages: tuple[Language, ...]) -> re.Pattern[str]:
    """The end of a clause, or one of the nouns that carry an answer: "in a clockwise direction"."""
    nouns = any_of(word.replace("_", " ") for word in words_of(languages, "carriers"))
    return re.compile(rf"(?:\s(?:{nouns})){{0,2}}{_PAUSE.pattern}", re.IGNORECASE)
