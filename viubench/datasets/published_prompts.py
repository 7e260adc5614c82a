"""The published prompt of a question, taken at run time from the installed lmms-eval or from the data.

Example:
    prompt(task, {"question": "Which way?", "options": ["A. left"]}, videos=1)
    # '<video>Which way?...'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from viubench.datasets.lmms import task_loader
from viubench.errors import ViubenchError, did_you_mean
from viubench.schema import Task
from viubench.tasks import templating

_NAME = re.compile(r"""^task:[ \t]*["']?([\w.+-]+)["']?[ \t]*(?:#.*)?$""", re.MULTILINE)


def prompt(task: Task, row: Mapping[str, Any], videos: int = 1) -> str:
    """What the publisher's harness asks about one row, a `<video>` mark for each video in front.

    The lmms-eval task is given the row with the fields of `prompt.published.doc` added or replaced. ViubenchError where
    there is no published prompt, or lmms-eval is not installed, lacks the task, or cannot read the row.
    """
    published = task.prompt.published
    if published.row:
        return "<video>" * videos + templating.text(published.row, row, what="prompt.published.row")
    if not published.lmms:
        message = f"{task.task} has no published prompt" + (f": {published.none}" if published.none else "")
        raise ViubenchError(message, where="prompt.published", hint="use a protocol with the default prompt")
    name = templating.text(published.lmms, row, what="prompt.published.lmms").strip()
    doc = dict(row) | {key: templating.value(text, row, what=f"doc.{key}") for key, text in published.doc.items()}
    task_object = _task(name, published.variant)
    task_object.features = list(doc)
    try:
        return "<video>" * videos + str(task_object.doc_to_text(doc))
    except (Exception, SystemExit) as error:  # another project's code on our row: anything may come
        message = f"lmms-eval's {name} cannot make a prompt from a row of {task.task}: {type(error).__name__}: {error}"
        hint = f"the row has: {', '.join(sorted(doc))}"
        raise ViubenchError(message, where="prompt.published.doc", hint=hint) from error


def process_results(name: str) -> Callable[[dict[str, Any], list[str]], Any]:
    """How lmms-eval's task of that name scores a response; ViubenchError as `prompt`."""
    function = _task(name, "default").config.process_results
    if not callable(function):
        raise ViubenchError(f"lmms-eval's task {name} scores nothing by a function of its own")
    return cast("Callable[[dict[str, Any], list[str]], Any]", function)


@cache
def _task(name: str, variant: str) -> Any:
    """lmms-eval's task of that name, without its data: only its configuration and `doc_to_text`."""
    known = _yaml_files()
    if name not in known:
        hint = did_you_mean(name, known, task_loader.ALL_TASKS, "{!r}")
        raise ViubenchError(f"lmms-eval has no task {name!r}", where="prompt.published.lmms", hint=hint)
    path = known[name]
    task_loader.need()
    from lmms_eval import utils
    from lmms_eval.api.task import ConfigurableTask, TaskConfig

    try:
        config = utils.load_yaml_config(str(path), mode="full")
    except Exception as error:  # the task's own imports: anything may come
        raise ViubenchError(f"lmms-eval's task {name} cannot be loaded: {error}", where=str(path)) from error
    variants = config.get("lmms_eval_specific_kwargs") or {}
    if variant != "default" and variant not in variants:
        message = f"lmms-eval's task {name} has no prompt {variant!r}"
        hint = f"it has: {', '.join(variants) or 'one prompt only'}"
        raise ViubenchError(message, where="prompt.published.variant", hint=hint)
    task_object = ConfigurableTask.__new__(ConfigurableTask)  # its __init__ would fetch the data set
    task_object._config = TaskConfig(**config)
    task_object.model_name = variant
    task_object._prepare_model_specific_config()
    return task_object


@cache
def _yaml_files() -> dict[str, Path]:
    """Task name -> file, read off the `task:` lines of every YAML file of the package, without importing it."""
    spec = find_spec("lmms_eval")
    if spec is None or not spec.submodule_search_locations:
        hint = "pip install 'viubench[lmms]', or use a protocol with the default prompt"
        raise ViubenchError("the published prompt is lmms-eval's, which is not installed", hint=hint)
    tasks = Path(spec.submodule_search_locations[0]) / "tasks"
    return {
        name: path
        for path in sorted(tasks.rglob("*.yaml"))
        for name in _NAME.findall(path.read_text(encoding="utf-8", errors="replace"))
    }
