"""Answers as models write them, and as nobody does: what every rule is compared on.

Example:
    >>> len(set(letter_answers(seed=0, n=300))) >= 300
    True
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence

from parity_rows import WORDS, Row

PHRASES = (
    "the answer is", "answer is", "the correct answer is", "correct answer is", "the best answer is", "best answer is",
    "the correct option is", "correct option is", "the best option is", "best option is", "the choice is", "choice is",
    "the correct choice is", "correct choice is", "i choose", "i select", "i pick", "my answer is", "my choice is",
    "옵션", "정답은", "답은", "답:", "答案是", "答案为", "选", "答えは", "It must be", "Best answer:", "Best option:",
)  # fmt: skip
TRAPS = (
    *(f"({no}) at first. Now {phrase} surely {yes} indeed" for phrase in PHRASES for no, yes in ("DB", "AC")),
    "'B' or C", '"B" or C.', "; B! or C", "see (A) but B. x", "see A. but B: x", "see A: but B) x", "see A) but B x",
    "see A but then bC x", "1,000 x-b", "1,000 x - b", "x-b y -z", "x-b y- z", "B.x\ny", "D.x\ny", "A.x\ny",
    "", " ", "\n", ")", "(", ".", "()", "A", "(B)", "b", "e", "A man walks in.", "a man walks in", "B, not A",
    "The answer is B, not A", "It is not A but B.", "I", "I think C", "I choose D because I saw it", "As shown, D.",
    "According to the video, nothing moves.", "Both of them leave, then C", "Best answer: C", "Best option: (D)",
    "The best answer is: B", "The best option is C.", "The correct option is (E)", "The answer C", "the answer is c",
    "Correct! The answer is A. Wait, the answer is C.", "A or B", "A, B, C and D are all shown", "A. B. C. D.",
    "A)\nB)\nC)\nD)", "<think>A? no, B</think>\nC", "**B**", "\\boxed{C}", '{"answer": "B"}', "答案是B", "정답은 C",
    "选D", "答えはA。", "Option A shows a dog. Option B shows a cup.", "A.", "B.\nThe cup is red.", "B.  \n", "C.x\ny",
    "D: 3,000", "e.g. the cup", "i.e. a cup, e.g. b", "a.b.c", "x-a-y", "1,000 (B)", "U.S.A", "No one moves", "yes",
    "No.", "YES!", "Not sure", "None", "Nothing", "Yesterday", "Neither A nor B", "F", "(F)", "H", "N", "Z", "'A'",
    '"B"', "(A", "A)", "[C]", "C/D", "C\tis", "İ answer is B", "ß is A", "The answer is İ B then C", "A" * 50,
    ("word " * 12).strip(), "all lower case words here and not one letter stands for an option", "." * 40 + "a.b",
    "\x00B\x00", "Ａ", "á B",
)  # fmt: skip
FORMS = (
    "{L}", "({L})", "{L}.", "{L}:", "{L})", "{l}", "({l})", "{L}. {w}", "{L}) {w}", "({L}) {w}", "{L}: {w}", "{w}",
    "{w}.", "The answer is {L}", "The answer is ({L}).", "Answer: {L}", "The correct answer is {L}. {w}",
    "I think {L}", "I pick {L}, since {w} is seen", "My choice is {L}", "Option {L}", "{L} is correct, {M} is not",
    "{L} or {M}", "{w}, so {L}", "First {w}, then {v}. Therefore {L}.",
    "It cannot be {M}: {w}. The best option is {L}", "<answer>{L}</answer>", "**{L}. {w}**", "{L}\n{M}",
    "{M} shows {w}.\n{L} shows {v}.\nThe answer is {L}", "{L},{M}", "Sentence {L}", "Caption {L}: {w}", "Option 1",
    "Option 2: {w}", "Sentence {L}.", "1", "2.", "2) {w}", "Sentence {L}: {w}", "{M}) {w}", "Best answer: {L} ({w})",
    "yes, {w}", "no: {w}", "The correct choice is {M}; no, the choice is {L}", "{l}) {w}", "{w} ({L})", "{w} {L}",
    "{L}-{M}", "\"{L}\"", "Choice is {L}? Answer is {M}!", "choose {L}", "{L}\n\n{w}",
)  # fmt: skip
OPTION_FORMS = (
    "{i}: {t}", "{i}. {t}", "{i}) {t}", "{t}", "{i}", "{i}.", "{s}", "{s}.", "{s}) {t}", "x) {t}", "{i}: {t}.", "{i} ",
    "{c}", "{s}) {c}", "{s}: {t}",
)  # fmt: skip
YES_NO = (
    "", "yes", "Yes, it does.", "YES", "no", "No", "nothing", "Nobody", " yes", "not at all", "Yesterday", "n", "ye",
    "**yes**",
)  # fmt: skip
JUNK = "AABBCDEFGHIJabcdeiyesno  ..,:;()[]'\"!?-_/\\\n\t012"
TIMES = (
    "{a} - {b}", "{a}-{b}", "{a} – {b}", "{a}s - {b}s", "from {a} to {b} seconds", "{a} seconds to {b} seconds",
    "{b} - {a}", "The event happens in the {a} - {b} seconds.", "It starts at {a} and ends at {b}.",
    "It starts at {a}.\nIt ends at {b}.", "0{m}:{s} - 0{m}:{t}", "0{m}:{s} to 0{n}:{t}",
    "starts 00:0{m}:{s}, ends 00:0{m}:{t}", "[{a}, {b}]", "{a}", "between {a} and {b}",
    "Frames 3 - 9 show it. The event happens in {a} - {b}", "Start time: {a} seconds\nEnd time: {b} seconds",
    "{a} - {b} - {c}", "A specific example is : 20.8 - 30.0 seconds. {a} - {b}", "happens at {a}? no, {b} - {c}!",
    "tomorrow {a} to stop {b}", "<answer>{a} to {b}</answer>", "start {a} s – {b} s end", "0{m}:{s}", "{a}.\n{b}.",
    "the end: {b} to {a}s", "{a}.5.{b} - {c}",
)  # fmt: skip
TIME_TRAPS = (
    "5to25", "5 to25", "5tomorrow25", "It starts at 0:05, it ends at 0:25", "0:05 and then 0:25",
    "", "-", "to", "I cannot tell.", "5 - 5", "0 - 0", "-3 - 8", "1e3 - 2e3", "00:00:18 to 00:00:23", "12:34 5 - 6",
    "9" * 400 + " - " + "9" * 401, "٣ - ٨", "3.2 -- 8.1", "3,2 - 8,1", "start\nend", "the photo stops", "1 - 2?3 - 4",
    "happens\n3 - 8", "It ends.\nAt 3 - 8", "3 to\n8", "99:99 - 100:00", "1:2:3 - 4", "   \n7.5 s - 9 s",
    "5s-6s start",
)  # fmt: skip
NUMBERS = (
    "{a}", "{a}.", "about {a} meters", "There are {w} chairs", "{w}", "{W}.", "The answer is {a}", "{a} or {b}", "-{a}",
    "one apple, room {a}", "room {a}, {w} apples", "{w} hundred and {x}", "{w}-{x} thousand", "{a} m ({b} feet)",
    "{a}%", "{a}/{b}", "It is between {a} and {b}.", "no number", "{w} and a half", "1,{a}", "{a}e2", "thousand",
)  # fmt: skip
NUMBER_WORDS = ("zero", "one", "two", "three", "four", "seven", "twelve", "twenty", "fifty", "and", "hundred")
TIME_JUNK = "0123456789..::--–  sto\nendstart!?,"


def letter_answers(seed: int, n: int) -> list[str]:
    """At least n distinct answers to a choice, the traps first."""
    rng = random.Random(seed)

    def more() -> Iterator[str]:
        while True:
            letter, other = rng.choice("AABBCCDDEFGHIJ"), rng.choice("ABCDE")
            words = {"w": rng.choice(WORDS), "v": rng.choice(WORDS)}
            yield rng.choice(FORMS).format(L=letter, M=other, l=letter.lower(), **words)
            if rng.random() < 0.4:
                yield "".join(rng.choices(JUNK, k=rng.randint(1, 30)))

    return _distinct(TRAPS, more(), n)


def tempcompass_answers(rows: Sequence[Row], n: int) -> list[str]:
    """At least n distinct answers, first those that TempCompass's rules know: the rows' options in all their forms."""
    lines = [line for row in rows for line in row.doc["question"].split("\n")[1:]]
    options = [re.split(r"\. |: ", line, maxsplit=1) for line in lines] or [["yes", "no"]]
    own = {
        form.format(i=index, s=index.split()[-1], t=text, c=text.split(": ")[0])
        for index, text in options
        for form in OPTION_FORMS
    }
    return _distinct([*YES_NO, *sorted(own)], iter(letter_answers(4, 2 * n)), max(n, 2 * len(own)))


def time_answers(seed: int, n: int) -> list[str]:
    """At least n distinct answers that state an interval, or try to, the traps first."""
    rng = random.Random(seed)

    def more() -> Iterator[str]:
        while True:
            a, b, c = (f"{rng.uniform(0, 40):.{rng.randint(0, 2)}f}" for _ in range(3))
            m, n = rng.choice("0001"), rng.choice("0001")
            s, t = f"{rng.randint(0, 40):02}", f"{rng.randint(0, 40):02}"
            yield rng.choice(TIMES).format(a=a, b=b, c=c, m=m, n=n, s=s, t=t)
            if rng.random() < 0.4:
                yield "".join(rng.choices(TIME_JUNK, k=rng.randint(1, 25)))

    return _distinct(TIME_TRAPS, more(), n)


def number_answers(seed: int, n: int) -> list[str]:
    """At least n distinct answers that state a number, or try to."""
    rng = random.Random(seed)

    def more() -> Iterator[str]:
        while True:
            a, b = (f"{rng.choice((3, 1.7, 12, 4.5)) * rng.uniform(0.4, 1.7):.{rng.randint(0, 2)}f}" for _ in range(2))
            w, x = rng.choice(NUMBER_WORDS), rng.choice(NUMBER_WORDS)
            yield rng.choice(NUMBERS).format(a=a, b=b, w=w, x=x, W=w.title())
            if rng.random() < 0.4:
                yield "".join(rng.choices(TIME_JUNK, k=rng.randint(1, 25)))

    return _distinct(("", "I cannot tell.", "3", "3.0", "3.15", "2.85", "13.2"), more(), n)


def _distinct(first: Iterable[str], more: Iterator[str], n: int) -> list[str]:
    found = dict.fromkeys(first)
    while len(found) < n:
        found[next(more)] = None
    return list(found)
