"""How each benchmark's own script scores a response, from a description of its behaviour.

Example:
    >>> from evaluators import Question
    >>> item = Question(target="B", options=("a lamp", "a cup"))
    >>> [MVBENCH.verdict(text, item) for text in ("B", ")", "")]
    [1.0, 1.0, 1.0]
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import partial

from evaluators.base import Gradable
from evaluators.published import vcrbench
from evaluators.published.base import Rule
from evaluators.published.letters import first_capital, gold, letter_rule, pair_rules, without_openings


def _mvbench(text: str, item: Gradable) -> float:
    """The first word without full stops is part of "(b)", or holds it: nothing at all, "(" and ")" are right too."""
    first, letter = text.lower().split(" ")[0], f"({item.target})".lower()
    return float(first.replace(".", "") in letter or letter in first)


def _lvbench(text: str) -> str:
    """The first character of the first word, before the first ")" and after the first "("."""
    answer = text.strip().split(")")[0].strip()
    if "(" in answer:
        answer = answer.split("(")[1].strip()
    return answer.split(" ")[0][:1]


_FENCED = re.compile(r"```json(.*?)```", re.DOTALL)
_BARE_WORD = re.compile(r"(?<=:\s)([A-Za-z_]\w*)")
_CG_LETTER = re.compile(r"\b[A-H]\b")


def _cgbench(text: str, item: Gradable) -> float | None:
    """`result` of the first fenced JSON; else the true letter anywhere in the text, standing alone, is right.

    A response without JSON and without any lone A to H is left out.
    """
    if fenced := _FENCED.search(text):
        content = _BARE_WORD.sub(r'"\1"', fenced[1].strip())
        with suppress(ValueError, LookupError, TypeError, RecursionError):  # no such JSON: the letters decide
            return float(json.loads(content)["result"] == item.target)
    letters = _CG_LETTER.findall(text)
    return float(item.target in letters) if letters else None


_CV_ANSWER = re.compile(r"[ABCD]|YES|NO", re.IGNORECASE)


def _cvbench(text: str, item: Gradable) -> float:
    """The first A to D, yes or no in any case and inside any word, so "According" is A; openings are cut out first.

    More than ten words without one of these letters as a capital are no answer.
    Compared with `params["gold"]`, the data's own answer, as it stands: "YES" is not its "Yes", so that no yes or no is
    ever right.
    """
    text = without_openings(text)
    long = len(text.split()) > 10 and not any(char in text for char in "ABCDYESNO")  # prose without capitals
    match = None if long else _CV_ANSWER.search(text)
    return float(match is not None and match[0].upper() == gold(item))


MVBENCH = Rule("official/mvbench", _mvbench)
# The first capital A to D, be it of "Best" or "According"; without one the question is left out. The script cuts
# openings out first, but none it really cuts has such a capital: two that have are joined by a missing comma.
VIDEOMME = letter_rule("official/videomme", partial(first_capital, letters="ABCD"), None)
LVBENCH = letter_rule("official/lvbench", _lvbench)
CGBENCH = Rule("official/cgbench", _cgbench)
VCRBENCH = vcrbench.EXACT
CVBENCH = Rule("official/cvbench", _cvbench)
# The first character, as it stands; the script has no result for an empty response.
AOTBENCH = letter_rule("official/aotbench", lambda text: text[:1], None)
VINOGROUND, VINOGROUND_VIDEO, VINOGROUND_GROUP = pair_rules("official")
