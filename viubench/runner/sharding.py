"""One run in several shards, each a run folder of its own: a part of the questions on each of several machines.

Example:
    >>> shard_of("2/4")
    (2, 4)

Questions about one video are in one shard, so that none is decoded twice. The split depends on the questions alone,
never on the machine.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from heapq import heapreplace

from viubench.errors import ViubenchError
from viubench.runner.plan import Plan
from viubench.schema import Shard


def shard_of(text: str) -> tuple[int, int]:
    """Number and count of "i/n", counted from 1; raises ViubenchError for anything else."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    number, of = (int(part) for part in found.groups()) if found else (0, 0)
    if not 1 <= number <= of:
        hint = "1/4 to 4/4 are the four shards of a run"
        raise ViubenchError(f"{text!r:.80} is no shard: I/N, with I from 1 to N", where="--shard", hint=hint)
    return number, of


def part_of(plan: Plan, text: str | None) -> Plan:
    """The questions of one shard, "i/n"; what the plan says of whole tasks stays. All of them where `text` is None."""
    if text is None:
        return plan
    number, of = shard_of(text)
    owners = shards(plan, of)
    part = replace(plan, samples=[one for one in plan.samples if owners[one.cluster] == number])
    return replace(part, shard=Shard(number=number, of=of, answers=part.answers))


def shards(plan: Plan, of: int) -> dict[str, int]:
    """The shard, from 1 to `of`, of each source video: the one with most answers first, each to the shard that has the
    fewest so far (the LPT rule: Graham, "Bounds on Multiprocessing Timing Anomalies" (1969))."""
    answers: Counter[str] = Counter()
    for sample in plan.samples:
        answers[sample.cluster] += plan.protocols[sample.task].decoding.samples
    loads = [(0, number) for number in range(1, of + 1)]
    owners: dict[str, int] = {}
    for video in sorted(answers, key=lambda video: (-answers[video], video)):
        load, owners[video] = loads[0]
        heapreplace(loads, (load + answers[video], owners[video]))
    return owners
