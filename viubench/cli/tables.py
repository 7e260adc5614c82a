"""The tables a terminal shows, as plain text.

Example:
    print(results_table(results))
"""

from __future__ import annotations

from tabulate import tabulate

from viubench.runner.planning import Planned
from viubench.schema import Results, TaskResult


def results_table(results: Results) -> str:
    """Score with its interval beside chance, blind and the share of samples that were answered."""
    rows = [
        [
            name,
            percent(task.value),
            interval(task.ci),
            percent(task.chance),
            percent(task.blind),
            task.n,
            _answered(task),
        ]
        for name, task in results.tasks.items()
    ]
    for name, suite in results.suites.items():
        size = sum(results.tasks[task].n for task in suite.tasks)
        rows.append([name, percent(suite.value), interval(suite.ci), "", "", size, ""])
        several = {group: value for group, value in suite.groups.items() if group not in results.tasks}
        rows += [[f"  {group}", percent(value), "", "", "", "", ""] for group, value in several.items()]
    headers = ["task", "score", "95 % interval", "chance", "blind", "n", "answered"]
    title = f"{results.model} (engine: {results.engine}), percent; all but answered samples count as wrong"
    return f"{title}\n{tabulate(rows, headers, disable_numparse=True, colalign=('left', *['right'] * 6))}"


def plan_table(planned: Planned) -> str:
    """Samples, frames and frame sizes of each task before a run."""
    rows = []
    for name, about in planned.about.items():
        protocol = planned.plan.protocols[name]
        samples = [sample for sample in planned.plan.samples if sample.task == name]
        shown = max(len(sample.params.get("indices", ())) or protocol.sampling.frames for sample in samples)
        size = protocol.resize.max_pixels
        tokens = shown // 2 * (size // protocol.resize.multiple**2)
        rows.append([name, about.n, len({s.cluster for s in samples}), protocol.protocol, shown, size, tokens])
    headers = ["task", "samples", "videos", "protocol", "frames", "pixels, at most", "video tokens, at most"]
    total = sum(about.n for about in planned.about.values())
    return f"{tabulate(rows, headers, disable_numparse=True)}\n{total} samples; nothing was run"


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def interval(ci: tuple[float, float]) -> str:
    return f"{100 * ci[0]:.1f} to {100 * ci[1]:.1f}"


def _answered(task: TaskResult) -> str:
    return percent(task.statuses.get("ok", 0) / task.n)
