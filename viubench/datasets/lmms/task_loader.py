"""Tasks of the installed lmms-eval, run by their own code: their documents, what they ask, how they score an answer.

Example:
    (task,) = load("videomme")
    task.results(0, "B")
    # {'videomme_perception_score': {'pred_answer': 'B', ..., 'score': 1.0}}

A task's code is Python of the installed package (or of an `--include-path` folder) and runs with the user's rights, as
it does in lmms-eval. What it draws at random (a fallback for an answer it cannot read) is seeded by task and document,
so that a resumed run scores as one that never stopped.
"""

from __future__ import annotations

import inspect
import math
import os
import random
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from viubench.errors import EngineError, ViubenchError, did_you_mean
from viubench.storage import environment

ALL_TASKS = "python -m lmms_eval --tasks list shows them all"

_loaded: dict[tuple[str, tuple[str, ...], str], LmmsTask] = {}


@dataclass(frozen=True, eq=False)
class LmmsTask:
    """One generate_until task with its data; `task` is its ConfigurableMessagesTask, or one of the same methods."""

    name: str
    task: Any

    def __len__(self) -> int:
        return len(self.task.eval_docs)

    @property
    def metrics(self) -> list[str]:
        """Its metrics in the order of its YAML, those where higher is better before the others."""
        return sorted(self.task.aggregation(), key=lambda metric: not self.rises(metric))

    def rises(self, metric: str) -> bool:
        """Whether higher is better."""
        return bool(self.task.higher_is_better().get(metric, True))

    def messages(self, index: int) -> list[dict[str, Any]]:
        """What document `index` asks, as chat messages; SystemExit or OSError when its media are not there."""
        from lmms_eval.api.task import ConfigurableMessagesTask

        task, doc = self.task, self.task.eval_docs[index]
        if hasattr(task, "doc_to_messages"):
            return list(task.doc_to_messages(doc))
        return list(ConfigurableMessagesTask._build_user_turn(task.doc_to_visual(doc), task.doc_to_text(doc)))

    def text(self, index: int) -> str:
        """The question of document `index` alone."""
        return str(self.task.doc_to_text(self.task.eval_docs[index]))

    def target(self, index: int) -> str:
        """The true answer of document `index`."""
        return str(self.task.doc_to_target(self.doc(index)))

    def doc(self, index: int) -> Any:
        """Document `index` without its pictures and sounds."""
        return self.task.eval_docs_no_media[index]

    def results(self, index: int, text: str) -> dict[str, Any]:
        """What its `process_results` makes of an answer after the first pipeline of its `filter_list`: metric -> value.

        Raises EngineError where its code failed on this answer.
        """
        doc = self.doc(index)
        answer = SimpleNamespace(resps=[text], filtered_resps={})
        try:
            with _seeded(f"{self.name}-{index}"):
                self.task._filters[0].apply([answer], [doc])
                (filtered,) = answer.filtered_resps.values()
                # Undecorated: lmms-eval would try four times more, two seconds apart.
                process = getattr(type(self.task).process_results, "__wrapped__", type(self.task).process_results)
                results: dict[str, Any] = process(self.task, doc, [self._without_reasoning(filtered)])
        except (Exception, SystemExit) as error:  # another project's code on a model's text: anything may come
            raise EngineError(f"lmms-eval could not score {self.name} {index}: {_reason(error)}") from error
        return results

    def _without_reasoning(self, text: Any) -> Any:
        """A filtered answer without its reasoning, where the task names the tags of that."""
        from lmms_eval.api.reasoning import parse_reasoning_tags_config, strip_reasoning_tags

        tags = parse_reasoning_tags_config(task_value=getattr(self.task.config, "reasoning_tags", None))
        if tags is None:
            return text
        if isinstance(text, list):
            return [strip_reasoning_tags(part, tags) if isinstance(part, str) else part for part in text]
        return strip_reasoning_tags(text, tags) if isinstance(text, str) else text

    def aggregated(self, metric: str, values: Sequence[Any]) -> float | None:
        """Its own aggregation of a metric, in its own scale; None where that is no finite number."""
        aggregate = self.task.aggregation()[metric]
        takes_args = "args" in inspect.signature(aggregate).parameters
        with tempfile.TemporaryDirectory(prefix="viubench-lmms-") as folder, _seeded(f"{self.name}-{metric}"):
            # Some write a submission file; theirs is not kept, the responses are in the records.
            args = {"args": SimpleNamespace(output_path=folder)} if takes_args else {}
            return plain_number(aggregate(list(values), **args))

    def plain(self, value: Any) -> float | None:
        """A value that is a number, or a dictionary with one under the task's `score_key` (lmms-eval's own convention
        for standard errors); None for any other."""
        if isinstance(value, Mapping):
            value = value.get(getattr(self.task.config, "score_key", "score"))
        return plain_number(value)

    def number(self, metric: str, value: Any) -> float | None:
        """One document's value of a metric: a plain one as it is, any other as its aggregation makes it."""
        plain = self.plain(value)
        if plain is not None or metric not in self.task.aggregation():
            return plain
        try:
            return self.aggregated(metric, [value])
        except Exception as error:  # a statistic that one document has none of, such as a correlation
            warnings.warn(f"{self.name}: {metric} has no value for one document: {_reason(error)}", stacklevel=2)
            return None


def plain_number(value: Any) -> float | None:
    """`value` as a float when it is a finite number (also of numpy), else None."""
    number = value.item() if isinstance(value, np.generic) else value
    return float(number) if isinstance(number, int | float) and math.isfinite(number) else None


def load(name: str, include: Sequence[str] = (), variant: str = "") -> list[LmmsTask]:
    """The task `name` with its data, or every task of that group or tag; see `LmmsEval` for the arguments.

    Raises ViubenchError where lmms-eval is not installed, has no such task or cannot load its data, or where it is of
    another kind than generate_until.
    """
    manager = _manager(tuple(include), variant)
    if name not in manager.all_tasks:
        hint = did_you_mean(name, manager.all_tasks, ALL_TASKS, "lmms:{}")
        raise ViubenchError(f"lmms-eval has no task {name!r}", where="--tasks", hint=hint)
    try:
        if manager._name_is_task(name):  # known before anything is downloaded
            _refuse(name, manager._get_config(name).get("output_type", "generate_until"))
        tasks = dict(_leaves(manager.load_task_or_group([name], task_type="chat")))
    except ViubenchError:
        raise
    except (Exception, SystemExit) as error:  # datasets, hub, unpacking, the task's own imports: anything may come
        where = f"HF_HOME={os.environ.get('HF_HOME', '~/.cache/huggingface')}"
        hint = "its data come from the hub (a network, or a copy in HF_HOME); its code may need further packages"
        raise ViubenchError(f"lmms-eval could not load {name}: {_reason(error)}", where=where, hint=hint) from error
    for leaf, task in tasks.items():
        _refuse(leaf, task.OUTPUT_TYPE)
        _strip_thinking(task)
        _loaded[leaf, tuple(include), variant] = LmmsTask(leaf, task)
    return [_loaded[leaf, tuple(include), variant] for leaf in tasks]


def loaded(name: str, include: Sequence[str] = (), variant: str = "") -> LmmsTask:
    """One task, as it was loaded by itself or as part of a group, else loaded now. Raises as `load`."""
    if (key := (name, tuple(include), variant)) not in _loaded:
        load(name, include, variant)
    return _loaded[key]


def need() -> None:
    """Import lmms-eval quietly; ViubenchError when it is not installed or cannot be imported."""
    try:
        import datasets
        from huggingface_hub.constants import HF_HOME
        from loguru import logger

        os.environ.setdefault("HF_HOME", HF_HOME)  # some of its tasks read it without a default

        import_module("lmms_eval.api.task")  # needs most of what can be missing
    except ImportError as error:
        hint = "pip install 'viubench[lmms]' (lmms-eval 0.7.3)"
        raise ViubenchError(f"lmms-eval cannot be loaded: {error}", hint=hint) from error
    if not environment.on(environment.DEBUG):
        logger.remove()
        logger.add(sys.stderr, level="CRITICAL")
        datasets.disable_progress_bars()


@cache
def _manager(include: tuple[str, ...], variant: str) -> Any:
    need()
    from lmms_eval.tasks import TaskManager

    for folder in include:
        if not Path(folder).is_dir():
            raise ViubenchError(f"no such folder: {folder}", where="--include-path")
    return TaskManager(verbosity="ERROR", include_path=list(include), model_name=variant or None)


def _leaves(groups: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """The tasks in lmms-eval's nested groups, by name."""
    for name, task in groups.items():
        if isinstance(task, Mapping):
            yield from _leaves(task)
        elif task is not None:
            yield str(name), task


def _refuse(name: str, output_type: str) -> None:
    if output_type != "generate_until":
        message = f"lmms-eval's task {name} is of the kind {output_type}; only generate_until can be run here"
        raise ViubenchError(message, where="--tasks", hint="run it with python -m lmms_eval")


def _strip_thinking(task: Any) -> None:
    """What lmms-eval's evaluator does for a task with `auto_strip_thinking` and no reasoning tags of its own."""
    from lmms_eval.api.reasoning import parse_reasoning_tags_config
    from lmms_eval.filters.transformation import StripThinkingFilter

    tags = parse_reasoning_tags_config(task_value=getattr(task.config, "reasoning_tags", None))
    if getattr(task.config, "auto_strip_thinking", False) and tags is None:
        for ensemble in task._filters:
            ensemble.filters.insert(0, StripThinkingFilter())


@contextmanager
def _seeded(seed: str) -> Iterator[None]:
    """Python's and numpy's global generators seeded inside, as they were outside."""
    ours, theirs = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(random.getrandbits(32))
    try:
        yield
    finally:
        random.setstate(ours)
        np.random.set_state(theirs)


def _reason(error: BaseException) -> str:
    """The reason in one line; of a retried call, why its last try failed."""
    attempt = getattr(error, "last_attempt", None)
    if attempt is not None and (cause := attempt.exception()) is not None:
        return _reason(cause)
    text = " ".join(str(error).split())[:400]
    name = type(error).__name__
    return f"{name}: {text}" if text and not isinstance(error, SystemExit) else text or name
