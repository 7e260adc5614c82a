"""An exported folder as lmms-eval sees it: tasks loaded by its own manager, answers scored by its own aggregation.

Example:
    >>> scores(Path("exported"), "viubench_mini", lambda doc: doc["answer"])["viubench_mini"]["score"]
    1.0
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

Answering = Callable[[dict[str, Any]], str]


def tasks(folder: Path, names: str, cache: Path) -> dict[Any, Any]:
    """Groups and tasks as lmms-eval's `get_task_dict` gives them for a model that takes messages."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ["LMMS_EVAL_DATASETS_CACHE"] = str(cache)
    from lmms_eval.tasks import TaskManager, get_task_dict

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    loaded: dict[Any, Any] = get_task_dict(names.split(","), manager, task_type="chat")
    return loaded


def scores(loaded: dict[Any, Any], answering: Answering) -> dict[str, dict[str, Any]]:
    """What lmms-eval reports for these answers: group or task -> metric -> value."""
    from lmms_eval.evaluator_utils import consolidate_group_results, consolidate_results, get_task_list

    outputs = get_task_list(loaded)
    for output in outputs:
        for doc in output.task.eval_docs:
            for metric, value in output.task.process_results(doc, [answering(doc)]).items():
                output.sample_metrics[metric, "none"].append(value)
        output.calculate_aggregate_metric(bootstrap_iters=0)
        output.calculate_clt_aggregate_metric()
    results, _, _, versions, *_ = consolidate_results(outputs)
    results, *_ = consolidate_group_results(results, versions, loaded)
    return {
        name: {key.removesuffix(",none"): value for key, value in row.items() if key.endswith(",none")}
        for name, row in results.items()
    }


def docs(loaded: dict[Any, Any]) -> list[dict[str, Any]]:
    """Every row of every task."""
    from lmms_eval.evaluator_utils import get_task_list

    return [doc for output in get_task_list(loaded) for doc in output.task.eval_docs]
