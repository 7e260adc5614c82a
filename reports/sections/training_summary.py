"""What a training came to, in the four sentences above its curves.

Example:
    >>> [fact.answer for fact in milestones(training.stages, {"tiny_ground": "ground"})]
    ['220 steps', '82.9 over the last 14 steps', 'After 180 steps: 86.9', 'No alarm']
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median

from reports.data.training_log import Alarm, Stage, smoothed
from reports.html.escape import shorten
from reports.html.format import counted, number, percent, points
from reports.html.page import Finding


def milestones(stages: Sequence[Stage], names: Mapping[str, str]) -> tuple[Finding, ...]:
    """How far it got, what its answers earn, when it was best, and its alarms.

    Args:
        stages: in the order they were run; the last is the one that is judged.
        names: task -> what the page calls it.
    """
    if not stages:
        return (Finding("How far did it get?", "No step yet", "The log is empty.", warn=True),)
    return (_length(stages), _earned(stages[-1], names), _best(stages, names), _alarms(stages, names))


def _length(stages: Sequence[Stage]) -> Finding:
    told = []
    for stage in stages:
        times = [value for _, value in stage.values("seconds")]
        pace = f", {number(median(times))} s each, {number(sum(times) / 60)} min in all" if times else ""
        told.append(f"{stage.name}: {counted(len(stage.steps), 'step')}{pace}.")
    return Finding("How far did it get?", counted(len(stages[-1].steps), "step"), " ".join(told))


def _earned(stage: Stage, names: Mapping[str, str]) -> Finding:
    """The last reward of each task, as a mean over the window, beside what a constant answer earns."""
    size = stage.window
    last = {task: smoothed(found, size)[-1][1] for task in stage.tasks if (found := stage.values(f"{task}/reward"))}
    if not last:
        return Finding("What do its answers earn?", "No reward yet", "The log has no rollouts.", warn=True)
    told = []
    for task, reward in last.items():
        floor = stage.floor(task)
        told.append(f"{names[task]} {percent(reward)}" + ("" if floor is None else f" (floor {percent(floor)})"))
    over = f"over the last {size} steps" if size > 1 else "in the last step"
    answer = f"{percent(fmean(last.values()))} {over}"
    low = any((floor := stage.floor(task)) is not None and reward <= floor for task, reward in last.items())
    return Finding("What do its answers earn?", answer, f"{', '.join(told)}.", warn=low)


def _best(stages: Sequence[Stage], names: Mapping[str, str]) -> Finding:
    """The look with the highest mean over the tasks, and what that is above the end of the warm start."""
    question, looks = "When was it best on validation?", _looks(stages[-1])
    if not looks:
        return Finding(question, "Not looked at yet", "The log has no look at validation items.", warn=True)
    step = max(looks, key=lambda step: fmean(looks[step].values()))
    mean = fmean(looks[step].values())
    told = ", ".join(f"{names[task]} {percent(score)}" for task, score in looks[step].items())
    before = list(_looks(stages[0]).values())[-1:] if len(stages) > 1 else []
    same = before and list(before[0]) == list(looks[step])
    gain = f" {points(mean - fmean(before[0].values()))} points over the warm start." if same else ""
    return Finding(question, f"After {step:,.0f} steps: {percent(mean)}", f"{told}.{gain}")


def _looks(stage: Stage) -> dict[float, dict[str, float]]:
    """Finished steps -> task -> validation reward, for the looks that have every task that is ever looked at."""
    tasks = {task: dict(found) for task in stage.tasks if (found := stage.looks(task, "reward"))}
    shared = sorted(set.intersection(*map(set, tasks.values()))) if tasks else []
    return {step: {task: found[step] for task, found in tasks.items()} for step in shared}


def _alarms(stages: Sequence[Stage], names: Mapping[str, str]) -> Finding:
    """Every task's latest alarm, with how many there were."""
    found: dict[str, list[Alarm]] = {}
    for stage in stages:
        for alarm in stage.alarms:
            found.setdefault(alarm.task, []).append(alarm)
    if not found:
        return Finding("Was there an alarm?", "No alarm", "The log reports no collapse of the answers.")
    told = []
    for task, alarms in found.items():
        others = f" ({len(alarms)} in all, the first at step {alarms[0].step:,})" if len(alarms) > 1 else ""
        told.append(f"{names[task]}, step {alarms[-1].step:,}{others}: {shorten(alarms[-1].text, 300).rstrip('.')}.")
    answer = f"Alarm in {', '.join(names[task] for task in found)}"
    return Finding("Was there an alarm?", answer, " ".join(told), warn=True)
