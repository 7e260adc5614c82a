"""Options that a text gives shares to, "A: 10%, B: 75%": how likely each is, and no answer.

Example:
    >>> from evaluators.reading.discourse import Mention, Standing
    >>> a, b = (Mention(letter, at, at + 1, Standing.STATED, "letter") for letter, at in (("A", 0), ("B", 8)))
    >>> [mention.standing.name for mention in weighed("A: 10%, B: 75%", [a, b])]
    ['OTHER', 'OTHER']
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from evaluators.reading.discourse import Mention, Standing

_SHARE = re.compile(
    r"[)\]]?\s{0,3}(?:[:=(~≈|–—-]\s{0,3})?[0-9]{1,3}(?:\.[0-9]{1,6})?\s{0,2}%"
    r"|[)\]]?\s{0,3}[:=]\s{0,3}[0-9]{1,3}(?:\.[0-9]{1,6})?(?=\s{0,3}(?:[,;.|)}\]\n]|\Z))"
)


def weighed(text: str, mentions: Sequence[Mention]) -> list[Mention]:
    """The mentions; two or more letters with a percentage or a score right after are no answers, whatever announces
    them."""
    shares = {k for k, one in enumerate(mentions) if one.how == "letter" and _SHARE.match(text, one.end)}
    if len({mentions[k].value for k in shares}) < 2:
        return list(mentions)
    return [replace(one, standing=Standing.OTHER) if k in shares else one for k, one in enumerate(mentions)]
