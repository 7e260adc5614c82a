"""What a training came to, in the four sentences above its curves.

Example:
    [fact.answer for fact in milestones(training.stages, {"tiny_ground": "ground"})]
    # ['220 steps', '82.9 over the last 14 steps', 'After 180 steps: 86.9', 'No alarm']
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median

from reports.data.training_log import LogStage, smoothed
from reports.html.escape import shorten
from reports.html.format import counted, number, percent, points
from reports.html.page import Finding


def milestones(stages: Sequence[LogStage], names: Mapping[str, str]) -> tuple[Finding, ...]:
    """How far it got, what its answers earn, when it was best, and its alarms.

    Args:
        stages: in the order they were run; the last is the one that is judged.
        names: task -> what the page calls it.
    """
    if not stages:
        return (Finding("How far did it get?", "No step yet", "The log is empty.", warn=True),)
    return (_length(stages), _earned(stages[-1], names), _best(stages, names), _alarms(stages, names))


def _length(stages: Sequence[LogStage]) -> Finding:
    parts = []
    for stage in stages:
        times = [value for _, value in stage.values("seconds")]
        pace = f", {number(median(times))} s each, {number(sum(times) / 60)} min in all" if times else ""
        parts.append(f"{stage.name}: {counted(len(stage.steps), 'step')}{pace}.")
    return Finding("How far did it get?", counted(len(stages[-1].steps), "step"), " ".join(parts))


def _earned(stage: LogStage, names: Mapping[str, str]) -> Finding:
    """The last reward of each task, as a mean over the window, beside what a constant answer earns."""
    size = stage.window
    last = {task: smoothed(found, size)[-1][1] for task in stage.tasks if (found := stage.values(f"{task}/reward"))}
    if not last:
        return Finding("What do its answers earn?", "No reward yet", "The log has no rollouts.", warn=True)
    baselines = {task: value for task in last if (value := stage.baseline(task)) is not None}
    beside = {task: f" (baseline {percent(value)})" for task, value in baselines.items()}
    parts = [f"{names[task]} {percent(reward)}{beside.get(task, '')}" for task, reward in last.items()]
    over = f"over the last {size} steps" if size > 1 else "in the last step"
    answer = f"{percent(fmean(last.values()))} {over}"
    low = any(last[task] <= value for task, value in baselines.items())
    return Finding("What do its answers earn?", answer, f"{', '.join(parts)}.", warn=low)


def _best(stages: Sequence[LogStage], names: Mapping[str, str]) -> Finding:
    """The validation with the highest mean over the tasks, and what that is above the end of the warm start."""
    question, validated = "When was it best on validation?", _validated(stages[-1])
    if not validated:
        return Finding(question, "No validation yet", "The log has no score on validation items.", warn=True)
    step = max(validated, key=lambda step: fmean(validated[step].values()))
    mean = fmean(validated[step].values())
    parts = ", ".join(f"{names[task]} {percent(score)}" for task, score in validated[step].items())
    before = list(_validated(stages[0]).values())[-1:] if len(stages) > 1 else []
    same = before and list(before[0]) == list(validated[step])
    gain = f" {points(mean - fmean(before[0].values()))} points over the warm start." if same else ""
    return Finding(question, f"After {step:,.0f} steps: {percent(mean)}", f"{parts}.{gain}")


def _validated(stage: LogStage) -> dict[float, dict[str, float]]:
    """Finished steps -> task -> validation reward, for the validations that have every task that is ever validated."""
    tasks = {task: dict(found) for task in stage.tasks if (found := stage.validation(task, "reward"))}
    shared = sorted(set.intersection(*map(set, tasks.values()))) if tasks else []
    return {step: {task: found[step] for task, found in tasks.items()} for step in shared}


def _alarms(stages: Sequence[LogStage], names: Mapping[str, str]) -> Finding:
    """Every task's latest alarm, with how many there were."""
    found: dict[str, list[tuple[int, str]]] = {}
    for stage in stages:
        for task, alarms in stage.alarms.items():
            found.setdefault(task, []).extend(alarms)
    if not found:
        return Finding("Was there an alarm?", "No alarm", "The log reports no collapse of the answers.")
    parts = []
    for task, alarms in found.items():
        others = f" ({len(alarms)} in all, the first at step {alarms[0][0]:,})" if len(alarms) > 1 else ""
        step, text = alarms[-1]
        parts.append(f"{names[task]}, step {step:,}{others}: {shorten(text, 300).rstrip('.')}.")
    answer = f"Alarm in {', '.join(names[task] for task in found)}"
    return Finding("Was there an alarm?", answer, " ".join(parts), warn=True)
