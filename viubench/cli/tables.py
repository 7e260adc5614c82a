"""The tables a terminal shows, as plain text.

Example:
    print(results_table(results))
"""

from __future__ import annotations

from collections.abc import Mapping

from reports.tables.terminal import table
from viubench.runner.dry_run import DryRun
from viubench.runner.plan import Plan
from viubench.runner.preflight import Lengths, by_task
from viubench.schema import ANSWERED, Agreement, Judged, Results, Shard
from viubench.video import sampling


def results_table(results: Results) -> str:
    """Score with its interval beside chance, blind and the share of answered samples."""
    rows = [
        [
            name,
            "by a judge" if task.needs_judge else percent(task.value),
            "" if task.needs_judge else interval(task.ci),
            percent(task.chance),
            percent(task.blind),
            task.n,
            percent(sum(task.statuses.get(status, 0) for status in ANSWERED) / task.answers),
        ]
        for name, task in results.tasks.items()
    ]
    for name, suite in results.suites.items():
        size = sum(results.tasks[task].n for task in suite.tasks)
        rows.append([name, percent(suite.value), interval(suite.ci), "", "", size, ""])
        several = {group: value for group, value in suite.groups.items() if group not in results.tasks}
        rows += [[f"  {group}", percent(value), "", "", "", "", ""] for group, value in several.items()]
    headers = ["task", "score", "95 % interval", "chance", "blind", "n", "answered"]
    title = f"{results.model} (engine: {results.engine}), percent; unanswered samples score 0"
    return "\n".join([title, table(rows, headers), *several_table(results)])


def shard_text(shard: Shard, statuses: Mapping[str, int]) -> str:
    """How a shard ended, and what comes next."""
    counts = ", ".join(f"{status} {n}" for status, n in sorted(statuses.items()))
    return (
        f"shard {shard.number} of {shard.of}: {sum(statuses.values())} of {shard.answers} answers ({counts})\n"
        "when all are finished: viubench merge SHARDS --out RUN"
    )


def several_table(results: Results) -> list[str]:
    """Of the tasks with several answers to a question their spread, pass@k and vote; nothing where there are none."""
    tasks = {name: task for name, task in results.tasks.items() if task.spread is not None}
    if not tasks:
        return []
    ks = sorted({k for task in tasks.values() for k in task.pass_at_k})
    rows = [
        [
            name, f"avg@{task.samples}", percent(task.value), percent(task.spread.between), percent(task.spread.within),
            *(percent(task.pass_at_k.get(k)) for k in ks), percent(task.vote),
        ]
        for name, task in tasks.items()
        if task.spread is not None
    ]  # fmt: skip
    headers = ["task", "", "score", "SD between questions", "SD within", *(f"pass@{k}" for k in ks), "majority vote"]
    return ["", table(rows, headers)]


def judged_table(judged: Judged) -> str:
    """Each task by the rules alone and with the judge, and what the judge is worth as far as that was checked."""
    columns: dict[str, list[str]] = {}
    for name, task in judged.tasks.items():
        score = task.judged
        shown = {
            "task": name,
            "rules": percent(task.rules),
            "judged": percent(score.value) if score else "no verdict",
            "95 % interval": interval(score.ci) if score else "",
            "asked": str(task.asked),
            "judge errors": str(task.judge_errors),
            "bounds": interval(score.bounds) if score and task.judge_errors else "",
            "as the rules": agreement(task.read),
            "as the labels": agreement(task.labels),
            "swapped alike": agreement(task.swapped),
            "repeated alike": agreement(task.repeated),
        }
        for header, value in shown.items():
            columns.setdefault(header, []).append(value)
    kept = {header: values for header, values in columns.items() if any(values)}
    printed = table(list(zip(*kept.values(), strict=True)), list(kept))
    title = f"judge: {judged.model} (engine: {judged.engine}), percent; answers without a verdict are left out"
    return f"{title}\n{printed}" if kept else f"judge: {judged.model}: nothing to judge, the rules read every answer"


def agreement(found: Agreement | None) -> str:
    """Share of equal values, of how many answers, and Cohen's kappa."""
    if found is None:
        return ""
    kappa = "" if found.kappa is None else f", kappa {found.kappa:.2f}"
    return f"{percent(found.accuracy)} of {found.n}{kappa}"


def dry_run_text(dry: DryRun) -> str:
    """What a run would need: samples, frames, missing media, and of a local model tokens and memory."""
    lines = [plan_table(dry.plan), *dry.missing.lines()]
    if dry.memory is not None:
        lines += [lengths_table(dry, dry.memory.lengths), *dry.memory.lines()]
    if dry.costs is not None:
        lines += dry.costs.lines()
    return "\n".join([*lines, *(f"warning: {line}" for line in dry.warnings)])


def plan_table(plan: Plan) -> str:
    """Samples, frames and frame sizes of each task."""
    rows = []
    for name in plan.entries:
        protocol = plan.protocols[name]
        samples = [sample for sample in plan.samples if sample.task == name]
        if not samples:  # another shard has them
            continue
        shown = max(len(sample.pretext.places) if sample.pretext else protocol.sampling.frames for sample in samples)
        size = int(sampling.largest(protocol.resize, shown))
        tokens = -(-shown // protocol.resize.group) * (size // protocol.resize.multiple**2)
        rows.append([name, len(samples), len({s.cluster for s in samples}), protocol.protocol, shown, size, tokens])
    headers = ["task", "samples", "videos", "protocol", "frames", "pixels, at most", "video tokens, at most"]
    total = len(plan.samples)
    answers = f", {plan.answers} answers" if plan.answers != total else ""
    return f"{table(rows, headers, ['left'] * len(headers))}\n{total} samples{answers}; nothing was run"


def lengths_table(dry: DryRun, known: Lengths) -> str:
    """Tokens of each task's prompts, the longest of those that are known, and what they are based on."""
    rows = []
    longest = {task: max(length.prompt for length in own) for task, own in by_task(known).items()}
    for task, own in by_task(dry.counted).items():
        mean, video = (sum(getattr(length, of) for length in own) / len(own) for of in ("prompt", "video"))
        rows.append([task, len(own), f"{mean:.0f}", f"{video:.0f}", longest[task], own[0].answer])
    headers = ["task", "prompts", "tokens, mean", "of them video", "longest", "answer, at most"]
    exact, total = sum(length.exact for length in dry.counted.values()), len(dry.counted)
    sizes = "measured" if exact == total else f"measured for {exact} of {total} samples, for the others the largest"
    lines = [table(rows, headers, ["left"] * len(headers)), f"frame sizes: {sizes}; {dry.basis}"]
    if total < (asked := len(dry.plan.samples)):
        lines.append(f"counted: {total} of {asked} prompts, evenly spread, and every one that might not fit")
    return "\n".join(lines)


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def interval(ci: tuple[float, float]) -> str:
    return f"{100 * ci[0]:.1f} to {100 * ci[1]:.1f}"
