"""How lmms-eval 0.7.3 scores a response, task by task, from a description of its behaviour.

Example:
    >>> from evaluators import Question
    >>> item = Question(target="C", params={"letters": list("ABCDEF")})
    >>> [CGBENCH.verdict(text, item) for text in ("C is right", "I think C")]  # "I" may be a ninth option
    [1.0, 0.0]

Known faults are kept and named where they stand. Two things are not kept, since they are no rule: a reply that goes
to a judge (TempCompass) and one that is given a random letter (LongVideoBench) are wrong here.
"""

from __future__ import annotations

import re
from functools import partial
from string import ascii_uppercase

from evaluators.base import Gradable
from evaluators.published.base import Rule, mean_of_groups
from evaluators.published.letters import first_capital, gold, letter_rule, pair_rules, shared_letter, without_openings
from evaluators.published.videossr import window_iou


def _video_mmmu(text: str, item: Gradable) -> float:
    """The shared extractor with one letter per option; lmms-eval scores a question without a type (one of Adaptation's)
    as open-ended, here it is the choice it is."""
    letters = ascii_uppercase[: len(item.options) or len(item.params["letters"])]
    return float(shared_letter(text, letters) == item.target)


def _first_of_five(text: str) -> str:
    """The first capital A to E after set openings are cut out: "Both" is B.

    Without one, lmms-eval's LongVideoBench draws a random letter; here, as in its Video-TT, the reply is wrong.
    """
    return first_capital(without_openings(text), "ABCDE")


_a_to_d = partial(shared_letter, letters="ABCD")
_a_to_n = partial(shared_letter, letters=ascii_uppercase[:14])  # however few an item has: "I" may be an option
VIDEOMME = letter_rule("lmms-eval/videomme", _a_to_d)
LVBENCH = letter_rule("lmms-eval/lvbench", _a_to_d)
CGBENCH = letter_rule("lmms-eval/cgbench", _a_to_n)
MLVU_DEV = letter_rule("lmms-eval/mlvu_dev", _a_to_d, aggregate=mean_of_groups("task_type"))
VIDEO_MMMU = Rule("lmms-eval/video_mmmu", _video_mmmu)
LONGVIDEOBENCH_VAL_V = letter_rule("lmms-eval/longvideobench_val_v", _first_of_five)
VIDEOTT_SINGLE_MC = letter_rule("lmms-eval/videott_single_mc", _first_of_five)
VINOGROUND, VINOGROUND_VIDEO, VINOGROUND_GROUP = pair_rules("lmms-eval")

_PUNCTUATION = ';/[]"{}()=+\\_->@`<,?!'
_DIGITS_COMMA = re.compile(r"\d,\d")
_FULL_STOP = re.compile(r"\.(?!\d)")
_STOPS = 32  # a flag is passed where the number of replacements belongs: later full stops stay
_ALONE = re.compile(r"\b[a-e]\b")


def _mvbench(text: str, item: Gradable) -> float | None:
    """A leading "B. ..."; else the first a to e standing alone in any case, so the article "a" is option A. Only an
    entirely empty response leaves the denominator."""
    return float(_mvbench_letter(text) == _mvbench_letter(str(item.target))) if text else None


def _mvbench_letter(text: str) -> str:
    text = text.strip()
    rest = text[2:].lstrip()
    if text[:1].upper() in tuple("ABCDE") and text[1:2] == "." and rest and "\n" not in rest:
        return text[0].upper()
    text = text.replace("\n", " ").replace("\t", " ").strip()
    # VQA's normalisation: a mark beside a space (or any, where digits are grouped) goes, others become a space.
    grouped = _DIGITS_COMMA.search(text) is not None
    gone = {mark for mark in _PUNCTUATION if grouped or f"{mark} " in text or f" {mark}" in text}
    for mark in _PUNCTUATION:
        text = text.replace(mark, "" if mark in gone else " ")
    text = _FULL_STOP.sub("", text, count=_STOPS)
    for mark in "'\")(":
        text = text.strip(mark)
    text = text.strip().lower()
    alone = _ALONE.search(text)
    return alone[0].upper() if alone else text


MVBENCH = Rule("lmms-eval/mvbench", _mvbench)


def _tempcompass_multi_choice(text: str, item: Gradable) -> float:
    """The whole gold text, a lone letter, or a prefix "B." or "B)"; needs `params["gold"]` ("B. slower")."""
    answer = gold(item)
    if text == answer:
        return 1.0
    stated = text[:1] in tuple("ABCD") and (len(text) == 1 or text[1] in ".)")
    return float(stated and text[0] == answer[0])


def _tempcompass_yes_no(text: str, item: Gradable) -> float:
    """How the response begins, whatever follows: "Nothing moves" is no."""
    begins = next((word for word in ("yes", "no") if text.lower().startswith(word)), None)
    return float(begins == item.target)


def _tempcompass_caption_matching(text: str, item: Gradable) -> float:
    """The whole gold option, its sentence or its index with or without "Sentence "; full stops are forgiven there.

    Needs `params["gold"]` ("Sentence A: ..."); the other options are written alike. A sentence ends at its own first
    ": ", and what stands before a ") " in the response is cut off. Of several readings the last one counts.
    """
    answer = gold(item)
    index, _, rest = answer.partition(": ")
    kind, _, name = index.partition(" ")
    if not rest or not name:
        raise ValueError(f"params['gold'] must be an option such as 'Sentence A: ...', not {answer!r}")
    names = [str(letter) for letter in item.params["letters"]]
    wholes = [f"{kind} {letter}: {option}" for letter, option in zip(names, item.options, strict=True)]
    sentences = [option.split(": ")[0] for option in item.options]
    cut = text.split(") ")[1] if ") " in text else text
    indices = [*(f"{kind} {letter}" for letter in names), *names]
    readings = (
        *(whole for whole in wholes if whole == text),
        *(sentence for sentence in sentences if sentence in (text, cut)),
        *(own for own in indices if own in (text, text.replace(".", ""))),
    )
    right = (answer, answer.split(":")[0], answer.split(": ")[1], index.split()[1])
    return float(bool(readings) and readings[-1] in right)


TEMPCOMPASS_MULTI_CHOICE = Rule("lmms-eval/tempcompass_multi_choice", _tempcompass_multi_choice)
TEMPCOMPASS_YES_NO = Rule("lmms-eval/tempcompass_yes_no", _tempcompass_yes_no)
TEMPCOMPASS_CAPTION_MATCHING = Rule("lmms-eval/tempcompass_caption_matching", _tempcompass_caption_matching)

_ECHO = "a specific example is : 20.8 - 30.0 seconds"  # an example some prompts give; echoed, it is no answer
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?"
_SECONDS = r"(?<!\d)(\d+(?:\.\d+)?)"  # not from inside a number: the same matches, without trying each digit
_CLOCKS = re.compile(rf"\b({_CLOCK})\b")
_CLOCK_RANGE = re.compile(rf"\b({_CLOCK})\s*[–-]\s*({_CLOCK})\b")
_RANGE = re.compile(rf"{_SECONDS}\s*[–-]\s*{_SECONDS}")
_RANGE_IN_S = re.compile(rf"{_SECONDS}\s*(?:s\s*)?[–-]\s*{_SECONDS}")
_NUMBER = re.compile(r"\b(\d+(?:\.\d+)?)\b")


def _charades(text: str, item: Gradable) -> float:
    """IoU of the first interval found with the (first) true window; 0 without one."""
    times = _first_interval(text)
    return window_iou(times, item) if times else 0.0


def _first_interval(text: str) -> list[float] | None:
    """Its two ends in seconds, as they stand.

    Every "to" becomes a dash. Lines that speak of a start, an end or a happening are read, else all. The first that
    applies: a range of clock times, a range of numbers, two clock times anywhere, the first numbers of two lines, a
    range with units.
    """
    lines = re.split(r"[!?\n]", text.lower().replace(_ECHO, "").replace("to", "-"))
    lines = [line for line in lines if any(word in line for word in ("start", "end", "happen"))] or lines
    clocks = [time for line in lines for time in _CLOCKS.findall(line)]
    numbers = [first[1] for line in lines if (first := _NUMBER.search(line))]
    ranges = [
        [time for line in lines for pair in pattern.findall(line)[:1] for time in pair]
        for pattern in (_CLOCK_RANGE, _RANGE, _RANGE_IN_S)
    ]
    readings = (*ranges[:2], clocks, numbers, ranges[2])
    return next(([_seconds(time) for time in times[:2]] for times in readings if len(times) > 1), None)


def _seconds(time: str) -> float:
    return sum(float(part) * 60.0**place for place, part in enumerate(reversed(time.split(":"))))


TEMPORAL_GROUNDING_CHARADES = Rule("lmms-eval/temporal_grounding_charades", _charades)
