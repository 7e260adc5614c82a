"""lmms-eval's own numbers over the answers in run folders: its evaluator, with a model that repeats what was recorded.

Example: `python lmms_rescore.py RUN RUN`, run where the tasks find their data, prints {RUN: {task: {metric: number}}}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lmms_eval.api.model import lmms
from lmms_eval.evaluator import evaluate
from lmms_eval.tasks import TaskManager, get_task_dict

from viubench.storage.run_dir import read_records


class Repeats(lmms):  # type: ignore[misc]
    """Answers each document with the response of that record; none where there is none."""

    is_simple = False

    def __init__(self, responses: dict[str, str | None]) -> None:
        super().__init__()
        self.responses = responses

    def generate_until(self, requests: list[Any]) -> list[str]:
        return [self.responses[f"lmms:{each.task_name}-{each.doc_id}"] or "" for each in requests]

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        raise NotImplementedError

    def generate_until_multi_round(self, requests: list[Any]) -> list[list[str]]:
        raise NotImplementedError


def main(runs: list[str]) -> None:
    manager = TaskManager()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for run in runs:
        records = list(read_records(Path(run)))
        tasks = get_task_dict(sorted({r.task.removeprefix("lmms:") for r in records}), manager, "chat")
        model = Repeats({record.id: record.response for record in records})
        results = evaluate(lm=model, task_dict=tasks, limit=None, bootstrap_iters=0)["results"]
        found[run] = {
            task: {k.split(",")[0]: v for k, v in numbers.items() if k.endswith(",none") and "_stderr" not in k}
            for task, numbers in results.items()
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
