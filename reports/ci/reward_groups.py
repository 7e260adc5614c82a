"""What groups of answers can teach, for the terminal: a table by task, one by difficulty.

Example:
    print(text(found))
    # 1,536 questions of 64 videos, 8 answers to each at temperature 1
    # ...
"""

from __future__ import annotations

from collections.abc import Sequence

from reports.html.escape import short_line
from reports.html.format import percent, with_interval
from reports.tables.terminal import table
from viubench.schema.reward_groups import GroupSet, Measure, RewardGroups

HEADS = (
    "groups", "reward", "std", "no advantage", "mixed", "all right", "all wrong", "strict: no advantage",
)  # fmt: skip


def text(found: RewardGroups) -> str:
    """What was asked, the tables, and what they say, as plain text."""
    rows = [[short_line(task), *cells(one)] for task, one in found.tasks.items()]
    rows += [["all tasks", *cells(found.total)]] if len(rows) > 1 else []
    levels = [
        [f"{short_line(one.task)}, {short_line(one.parameter)} {short_line(one.level)}", *cells(one.found)]
        for one in found.levels
    ]
    lines = [asked(found), table(rows, ["task", *HEADS])]
    lines += ["", table(levels, ["difficulty", *HEADS])] if levels else []
    lines += ["", legend(found.samples), said(found), *left_out(found)]
    return "\n".join(lines)


def cells(one: GroupSet) -> list[str]:
    """The measures of some groups, in percent with their intervals where there is room, as `HEADS` names them."""
    smooth, strict = one.smooth, one.strict
    return [
        f"{one.groups:,}", percent(smooth.reward.value), shown(smooth.std), shown(smooth.zero_std),
        percent(smooth.mixed.value), percent(strict.all_right.value), percent(strict.all_wrong.value),
        shown(strict.zero_std),
    ]  # fmt: skip


def shown(measure: Measure) -> str:
    """A measure in percent, with its interval."""
    return with_interval(measure.value, *measure.ci)


def asked(found: RewardGroups) -> str:
    """What was asked, of which model, in a sentence."""
    videos = f"{found.total.groups:,} questions of {found.total.clusters:,} videos"
    return f"{short_line(found.model)}: {videos}, {found.samples} answers to each at temperature {found.temperature:g}"


def legend(samples: int) -> str:
    """What the columns are."""
    return (
        f"A group is the {samples} answers to a question. In percent, with 95 % intervals clustered by video: reward "
        "is the evaluator's (smooth), std its mean standard deviation within a group, mixed the share of groups with "
        "two different rewards, no advantage that of groups with one. All right, all wrong: every answer, or none, is "
        "exact; strict rewards have no advantage in both."
    )


def said(found: RewardGroups) -> str:
    """How much of the data teaches, in a sentence."""
    smooth, strict = found.total.smooth.zero_std, found.total.strict.zero_std
    return (
        f"GRPO learns nothing from {shown(smooth)} % of these questions with smooth rewards, from {shown(strict)} % "
        "with strict ones"
    )


def left_out(found: RewardGroups) -> Sequence[str]:
    """The questions that are not counted, a line a task."""
    return [f"left out: {n:,} of {short_line(task)}, an answer of which failed" for task, n in found.left_out.items()]
