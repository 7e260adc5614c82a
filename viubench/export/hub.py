"""A run's scores for a model's page on the Hugging Face hub: `.eval_results/*.yaml`, which the leaderboards of data
sets read too, and the metadata of its card (`model-index`).

Example:
    written, refused = write(FinishedRun.read(Path("runs/a")), Path("my_model"), Board())
    refused
    # {'videomme': 'the board asks with sampling.frames 32, this run with 16'}

A board sets scores side by side without asking how they came about. So a task goes there only where the run asked the
whole of it under the board's own protocol; a refusal says what differs. Values are percent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, ModelCard, ModelCardData, eval_result_entries_to_yaml

from viubench.errors import ViubenchError
from viubench.export.finished import FinishedRun, FinishedTask, file_name
from viubench.runner.config import MAX_ERRORS, EvalConfig
from viubench.runner.protocols import protocol_of
from viubench.schema import FAILED, Protocol
from viubench.storage import atomic
from viubench.tasks.registry import Catalogue
from viubench.version import __version__

BASELINES = ("random", "blind", "pixels", "oracle")
"""Engines that are no model."""

ENGINES_OWN = ("multiple", "group", "fixed")
"""Fields of `resize` that follow from the model alone."""

COMMIT = 40
"""Characters of a commit's hash."""


@dataclass(frozen=True)
class Board:
    """How a board asks: `protocol` by name or file, the task's own where None; `task_ids` are its names of tasks, by
    ours. `source_url` leads to the run."""

    protocol: str | None = None
    task_ids: Mapping[str, str] = field(default_factory=dict)
    source_url: str | None = None
    include_paths: Sequence[Path] = ()

    def task_id(self, task: FinishedTask) -> str:
        """Its name of a task: what was given, else the configuration of the data set, else "default"."""
        return self.task_ids.get(task.name) or (task.task.dataset_name if task.task else "") or "default"

    @cached_property
    def sharing(self) -> Mapping[tuple[str, str], list[str]]:
        """The tasks by data set and configuration: of several in one place, each is a part of it, or another way to
        ask it."""
        places: dict[tuple[str, str], list[str]] = {}
        for task in Catalogue(self.include_paths).plain()[1]:
            place = str(task.get("dataset_path", "")), str(task.get("dataset_name", ""))
            places.setdefault(place, []).append(task["task"])
        return places

    def asks(self, task: FinishedTask) -> Protocol:
        """Its protocol of a task, with what a model's own frames decide as the run has it."""
        if task.task is None:
            raise ValueError(f"{task.name} is not known")
        own = protocol_of(
            EvalConfig(), Catalogue(self.include_paths), self.protocol or task.task.protocol, task=task.task
        )
        given = {name: getattr(task.protocol.resize, name) for name in ENGINES_OWN}
        return own.model_copy(update={"resize": own.resize.model_copy(update=given)})


def write(run: FinishedRun, out: Path, board: Board) -> tuple[list[Path], dict[str, str]]:
    """Write what the board takes into `out`, a clone of the model's repository or a new folder.

    A README.md that is there keeps its text and its other results.

    Returns:
        The paths, and the tasks that are refused, each with the reason.

    Raises:
        ViubenchError: every task is refused, or the README.md that is there cannot be read.
    """
    refused = {task.name: why for task in run.tasks if (why := refusal(run, task, board))}
    tasks = [task for task in run.tasks if task.name not in refused]
    ids = [(task.data_set, board.task_id(task)) for task in tasks]
    if twice := next((one for one in ids if ids.count(one) > 1), None):
        raise ViubenchError(f"two tasks would be {twice[1]!r:.80} of {twice[0]}", where="--task-id")
    if not tasks:
        lines = "; ".join(f"{name}: {why}" for name, why in refused.items())
        hint = "run it under the board's protocol, or name the protocol that the board uses with --protocol"
        raise ViubenchError(f"no score of {run.path} belongs on a board: {lines}", where=str(run.path), hint=hint)
    folder = out / ".eval_results"
    folder.mkdir(parents=True, exist_ok=True)
    card = _card(run, out / "README.md", [_result(task, board) for task in tasks])
    written = []
    for task in tasks:
        entries = eval_result_entries_to_yaml([_entry(run, task, board)])
        written.append(folder / f"{file_name(task.name)}.yaml")
        atomic.write(written[-1], yaml.safe_dump(entries, sort_keys=False, allow_unicode=True).encode())
    atomic.write(out / "README.md", str(card).encode())
    return [*written, out / "README.md"], refused


def refusal(run: FinishedRun, task: FinishedTask, board: Board) -> str:
    """Why a task's score does not belong on the board; "" where it does."""
    kind, result = str(run.manifest.engine["kind"]), task.result
    failed = sum(result.statuses.get(status, 0) for status in FAILED)
    if run.manifest.imported is not None or kind == "answers":
        return "its answers come from files: under which protocol they were given is not known"
    if kind in BASELINES:
        return f"the engine {kind} is no model"
    if task.task is None:
        return "its definition is not the one known here (another version, or --include-path is missing)"
    if not task.data_set:
        return "it has no data set on the hub"
    others = board.sharing.get((task.data_set, task.task.dataset_name), [])
    if len(others) > 1 and task.name not in board.task_ids:
        return f"{', '.join(others)} share the data set: name the board's own task with --task-id {task.name}=ID"
    if task.entry.expected is None:
        return "its number of rows is not known, so neither whether this is all of it"
    if result.n != task.entry.expected:
        return f"{result.n} of its {task.entry.expected} rows were asked"
    if failed > MAX_ERRORS * result.answers:
        return f"{failed} of {result.answers} answers failed (media and engine errors)"
    unlike = list(_unlike(board.asks(task).model_dump(mode="json"), task.protocol.model_dump(mode="json")))
    shown = ", ".join(f"{name} {theirs}, this run with {ours}" for name, theirs, ours in unlike[:3])
    return f"the board asks with {shown}" if unlike else ""


def _unlike(theirs: Mapping[str, Any], ours: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The fields in which two protocols differ, by path, with both values; those that only describe it left out."""
    about = {"protocol", "description", "source", "commands", "recorded_hash", "imported"} if not start else set()
    for key in sorted({*theirs, *ours} - about):
        one, two = theirs.get(key), ours.get(key)
        if isinstance(one, Mapping) and isinstance(two, Mapping):
            yield from _unlike(one, two, f"{start}{key}.")
        elif one != two:
            yield f"{start}{key}", one, two


def _percent(task: FinishedTask) -> float:
    return round(100 * task.result.value, 2)


def _notes(task: FinishedTask) -> str:
    """What a reader of the board should know of the number."""
    result, protocol = task.result, task.protocol
    low, high = (round(100 * end, 2) for end in result.ci)
    return (
        f"{result.metric}, 95 % interval {low} to {high}, {result.n} samples; unanswered samples score 0; protocol "
        f"{protocol.protocol} ({result.protocol_hash}), viubench {__version__}"
    )


def _revision(task: FinishedTask) -> str | None:
    return task.entry.revision if len(task.entry.revision) == COMMIT else None


def _entry(run: FinishedRun, task: FinishedTask, board: Board) -> EvalResultEntry:
    return EvalResultEntry(
        dataset_id=task.data_set,
        task_id=board.task_id(task),
        value=_percent(task),
        dataset_revision=_revision(task),
        date=run.started.date().isoformat(),
        source_url=board.source_url,
        source_name="viubench" if board.source_url else None,
        notes=_notes(task),
    )


def _result(task: FinishedTask, board: Board) -> EvalResult:
    return EvalResult(
        task_type="video-text-to-text",
        dataset_type=task.data_set,
        dataset_name=task.name,
        dataset_config=board.task_id(task),  # results of one configuration become one in a card
        dataset_split=(task.task.split if task.task else "") or None,
        dataset_revision=_revision(task),
        dataset_args={"protocol": task.protocol.protocol, "protocol_hash": task.result.protocol_hash},
        metric_type=task.result.metric,
        metric_name=f"{task.result.metric}, percent",
        metric_value=_percent(task),
    )


def _card(run: FinishedRun, path: Path, results: Sequence[EvalResult]) -> ModelCard:
    """The card at `path`, or a new one, with these results instead of those of the same tasks and metrics."""
    name = str(run.manifest.model["name"])
    if not path.exists():
        data = ModelCardData(model_name=name, eval_results=list(results))
        return ModelCard(f"---\n{data.to_yaml()}\n---\n\n# {name}\n")
    try:
        card = ModelCard.load(path)
        own = [(one.dataset_type, one.dataset_name, one.metric_type) for one in results]
        kept = card.data.eval_results or []
        kept = [one for one in kept if (one.dataset_type, one.dataset_name, one.metric_type) not in own]
        card.data.eval_results = [*kept, *results]
        card.data.model_name = card.data.model_name or name
        return ModelCard(str(card))
    except (ValueError, TypeError, KeyError, AttributeError, OSError, yaml.YAMLError) as error:
        hint = "mend it, or write into another folder"
        raise ViubenchError(f"README.md is no model card: {error!s:.200}", where=str(path), hint=hint) from None
