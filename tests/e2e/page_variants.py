"""Pages as they come in practice and at their worst: long names, many models, hostile text, or text from the right.

Example:
    addresses = {name: write(folder / name).as_uri() for name, write in VARIANTS.items()}
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import paired_runs
from invented_answers import grouped, searched
from report_runs import write_run
from training_runs import write_answers, write_training
from typer.testing import CliRunner
from watched_runs import entry

from reports.pages import frontier_page, reward_groups_page, watch_page
from reports.pages.leaderboard_page import write
from viubench.cli import app
from viubench.schema import GateOutcome, Verdict, WatchEntry, WatchScore
from viubench.tasks.registry import Catalogue
from viubench.watch.scheduler import SETTLING, Waiting

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">\x1b[31m\u202e\x00"
HEBREW = "\u05de\u05d5\u05d3\u05dc"
ARABIC = "\u0646\u0645\u0648\u0630\u062c"
LONG = "Qwen3-VL-235B-A22B-Thinking-video-grounding-with-a-name-that-does-not-end-step-"
REASONING = "First I look at the clip. " * 40

TASKS = ("viubench_count_easy", "viubench_ground_mirror", "viubench_jigsaw_easy")
LONG_TASKS = dict(zip(TASKS, (f"a_task_of_{'many_words_' * 6}count", "x" * 70, f"{'y' * 50}_jigsaw"), strict=True))
HOSTILE_TASKS = {TASKS[0]: HOSTILE}
RIGHT_TO_LEFT = {TASKS[0]: f"count_{HEBREW}", TASKS[1]: ARABIC}


def renamed(run: Path, names: Mapping[str, str]) -> Path:
    """The run with other names of its tasks."""
    for file in ("manifest.json", "results.json", "records.jsonl"):
        text = (run / file).read_text(encoding="utf-8")
        for old, new in names.items():
            text = text.replace(json.dumps(old), json.dumps(new))
        (run / file).write_text(text, encoding="utf-8")
    return run


def run_of(folder: Path, tasks: Mapping[str, str] | None = None, **more: Any) -> Path:
    """A measured run of a task of each kind, under the names `tasks`, with reasoning in its first answer."""
    changes = {"reasoning": REASONING} | more.pop("changes", {})
    made = write_run(folder, tasks=TASKS, suite=False, measured=True, changes=changes, **{"n": 12} | more)
    return renamed(made, tasks or {})


def leaderboard(folder: Path, models: Sequence[str], tasks: Mapping[str, str] | None = None, **more: Any) -> Path:
    """The page of these models and the blind baseline, with the section of a training."""
    runs = [
        run_of(folder / f"run-{k}", tasks, model=model, skill=0.3 + 0.5 * k / len(models), **more)
        for k, model in enumerate(models)
    ]
    runs.append(run_of(folder / "blind", tasks, model="blind", engine="blind"))
    training = write_training(folder / "train", steps=8, warm=0, every=4, evaluate=8, alarm=models[-1])
    write_answers(training, 7, {"answer": models[-1] * 20, "question": models[-1]})
    write(runs, folder / "page.html", Catalogue().references[:1], samples_per_task=2, trainings=[training])
    return folder / "page.html"


def many(folder: Path) -> Path:
    """40 models on 30 tasks, without frames."""
    runs = []
    for k in range(40):
        tasks = {
            f"benchmark_part_{task:02d}": paired_runs.rows([float((n * 7 + task * 5 + k) % 41 < k) for n in range(8)])
            for task in range(30)
        }
        runs.append(paired_runs.write(folder / f"run-{k}", tasks, model=f"organisation/model-{k}B-instruct"))
    write(runs, folder / "page.html", [], samples_per_task=1)
    return folder / "page.html"


def watch(folder: Path, name: str, tasks: Mapping[str, str] | None = None, said: str = "I see <3>") -> Path:
    """A watch of checkpoints called `name`, with all verdicts, a failed and an incomplete one, and samples."""
    training = write_training(folder / "train", steps=40, warm=0)
    write_answers(training, 19, {"answer": said, "question": said})
    entries = []
    verdicts: tuple[Verdict, ...] = ("pass", "regress", "improve", "inconclusive", "error")
    own = [(tasks or {}).get(task, task) for task in TASKS]
    for k, verdict in enumerate(verdicts, start=1):
        entries.append(evaluated(10 * k, 0.3 + 0.1 * k, verdict, own, name=f"{name}{k}"))
        changes = {"response": said, "question": said}
        run_of(folder / entries[-1].run, tasks, model=f"{name}{k}", n=4, strips=1, changes=changes)
    entries.append(entry(60, "failed", name=f"{name}6", reason=said * 3))
    (folder / "history.jsonl").write_text("".join(f"{one.model_dump_json(by_alias=True)}\n" for one in entries))
    watch_page.write(folder / "watch.html", name, entries, [Waiting(f"{name}7", 70, SETTLING)], training)
    return folder / "watch.html"


def evaluated(step: int, value: float, verdict: Verdict, tasks: Sequence[str], **more: Any) -> WatchEntry:
    score = WatchScore(metric="accuracy", value=value, ci=(value - 0.05, value + 0.05), n=50, items="i", protocol="p")
    gate = GateOutcome(
        against="a", verdict=verdict, exit_code=0, tasks=dict.fromkeys(tasks, verdict),
        baseline=dict.fromkeys(tasks, 0.42), mean=0.43,
    )  # fmt: skip
    mean = score.model_copy(update={"metric": "mean"})
    return entry(step, tasks=dict.fromkeys(tasks, score), mean=mean, gate=gate, **more)


def compared(
    folder: Path, name: str, tasks: Mapping[str, str] | None = None, said: str = "I see 3", **more: Any
) -> Path:
    """The comparison of two runs of a model called `name`."""
    changes = {"response": said, "question": said}
    a, b = (
        run_of(folder / side, tasks, model=f"{name}{side}", skill=skill, n=40, changes=changes, **more)
        for side, skill in (("a", 0.2), ("b", 0.8))
    )
    return command("compare", a, b, "--html", folder / "page.html", "--flips", 2)


def settings(folder: Path, name: str, task: str = "t") -> Path:
    """The comparison of a model under several settings."""
    runs = [
        paired_runs.write(
            folder / f"at-{frames}",
            {
                task: paired_runs.rows([float(n % 10 < 10 * share) for n in range(60)]),
                "u": paired_runs.rows([1.0] * 60),
            },
            model=name,
            protocol={"sampling": {"frames": frames}, "hash": f"h{frames}"},
        )
        for frames, share in {8: 0.3, 16: 0.6, 32: 0.6}.items()
    ]
    return command("compare", *runs, "--across", "--html", folder / "page.html")


def frontier(folder: Path, models: Sequence[str], axes: Sequence[str] = ("jigsaw.clips", "grounding.length")) -> Path:
    """Where these models break: from below the easiest level to beyond the hardest, the last one mostly unread."""
    last = len(models) - 1
    reports = [
        searched(model, 8 * k / max(last, 1) - 1, axes, silent=0.7 if k == last else 0.05)
        for k, model in enumerate(models)
    ]
    reports[0] = reports[0].model_copy(update={"invalid": models[0] * 2})
    return saved(folder, frontier_page.render(reports))


def saved(folder: Path, page: str) -> Path:
    (folder / "page.html").write_text(page, encoding="utf-8")
    return folder / "page.html"


def command(*words: Any) -> Path:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return Path(words[words.index("--html") + 1])


VARIANTS: dict[str, Callable[[Path], Path]] = {
    "ordinary": lambda folder: leaderboard(folder, ["model-a", "model-b", "model-c"], strips=1),
    "long names": lambda folder: leaderboard(
        folder, [f"{LONG}{k}" for k in (1, 2)] + ["z" * 110], LONG_TASKS, strips=1
    ),
    "many": many,
    "hostile": lambda folder: leaderboard(
        folder, ["model-a", HOSTILE], HOSTILE_TASKS, strips=1, changes={"response": HOSTILE, "question": HOSTILE}
    ),
    "right to left": lambda folder: leaderboard(
        folder, [HEBREW, ARABIC], RIGHT_TO_LEFT, strips=1, changes={"response": f"{ARABIC} 3.", "question": ARABIC}
    ),
    "no frames": lambda folder: leaderboard(folder, ["model-a", "model-b"]),
    "watch": lambda folder: watch(folder, "checkpoint-"),
    "watch, hostile": lambda folder: watch(folder, HOSTILE, HOSTILE_TASKS, HOSTILE),
    "watch, long names": lambda folder: watch(folder, LONG, LONG_TASKS, REASONING),
    "comparison": lambda folder: compared(folder, "model-", strips=2),
    "comparison, hostile": lambda folder: compared(folder, HOSTILE, HOSTILE_TASKS, HOSTILE),
    "comparison, long names": lambda folder: compared(folder, LONG, LONG_TASKS, strips=2),
    "watch, right to left": lambda folder: watch(folder, HEBREW, RIGHT_TO_LEFT, f"{ARABIC} 3."),
    "comparison, right to left": lambda folder: compared(folder, HEBREW, RIGHT_TO_LEFT, f"{ARABIC} 3."),
    "settings, right to left": lambda folder: settings(folder, HEBREW, ARABIC),
    "settings": lambda folder: settings(folder, "model-a"),
    "settings, hostile": lambda folder: settings(folder, HOSTILE, HOSTILE),
    "frontier": lambda folder: frontier(folder, [f"organisation/model-{k}B" for k in (2, 4, 8)]),
    "frontier, many": lambda folder: frontier(folder, [f"organisation/model-{k}B-instruct" for k in range(12)]),
    "frontier, hostile": lambda folder: frontier(folder, [HOSTILE, "model-b"], [HOSTILE]),
    "frontier, long names": lambda folder: frontier(folder, [f"{LONG}{k}" for k in (1, 2)] + ["z" * 110], ["x" * 70]),
    "frontier, right to left": lambda folder: frontier(folder, [HEBREW, ARABIC], [ARABIC]),
    "probe-data": lambda folder: saved(folder, reward_groups_page.render(grouped("model-a", TASKS))),
    "probe-data, hostile": lambda folder: saved(
        folder, reward_groups_page.render(grouped(HOSTILE, [HOSTILE, "jigsaw"], [HOSTILE, "1", "2"]))
    ),
    "probe-data, long names": lambda folder: saved(
        folder, reward_groups_page.render(grouped(LONG, list(LONG_TASKS.values()), [f"{LONG}{k}" for k in (1, 2)]))
    ),
    "probe-data, right to left": lambda folder: saved(
        folder, reward_groups_page.render(grouped(HEBREW, [f"count_{HEBREW}", ARABIC], [HEBREW, "2"]))
    ),
}
"""What each is called, and what writes it into an empty folder."""
