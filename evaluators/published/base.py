"""The shape of a published rule, and the registry that finds them by entry point.

Example: a rule of one's own is an object and one line of packaging metadata.

    EXACT = Rule("mine/exact", lambda text, item: float(text == item.target))

    [project.entry-points."viubench.rules"]
    "mine/exact" = "my_package:EXACT"
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

from evaluators.base import Gradable, Groups, grouped
from evaluators.plugins import load

GROUP = "viubench.rules"


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """A rule's result for one response: a score in [0, 1], or None where it leaves the sample out."""

    value: float | None
    cluster: str = ""
    groups: Groups = field(default_factory=dict)


def mean(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return sum(values) / len(values) if values else None


def answered_mean(rows: Sequence[RuleVerdict]) -> float | None:
    """Mean over the samples the rule counts; None when it counts none."""
    return mean([row.value for row in rows if row.value is not None])


def mean_of_groups(key: str) -> Callable[[Sequence[RuleVerdict]], float | None]:
    """An aggregate: the mean of the means of `groups[key]`; ValueError where a sample has no single value there."""

    def aggregate(rows: Sequence[RuleVerdict]) -> float | None:
        by_group = grouped((group_of(row), row) for row in rows)
        return mean([value for members in by_group.values() if (value := answered_mean(members)) is not None])

    def group_of(row: RuleVerdict) -> str:
        value = row.groups.get(key)
        if not isinstance(value, str):
            raise ValueError(f"this rule averages over the group {key!r}, which a sample does not have: {value!r}")
        return value

    return aggregate


@dataclass(frozen=True)
class Rule:
    """A published scoring rule."""

    name: str  # `<where>/<task>`, as registered
    verdict: Callable[[str, Gradable], float | None]  # of a response: in [0, 1], None where it leaves the sample out
    aggregate: Callable[[Sequence[RuleVerdict]], float | None] = answered_mean  # of a task; None when nothing counts

    def __reduce__(self) -> tuple[Callable[[str], Rule], tuple[str]]:
        """A rule goes to another process by its registered name: the functions it is made of cannot."""
        return get_rule, (self.name,)


@cache
def get_rule(name: str) -> Rule:
    """The rule registered as `name`; LookupError saying which there are and what was probably meant."""
    rule: Rule = load(GROUP, "published rule", name)
    return rule
