"""evalscope in its own Python, told what to ask: run by `evalscope_side`, never imported.

Example:
    PYTHON -I tests/bench/evalscope_client.py     # then a job of JSON as a line of standard input

For each job it says "begin" when all is prepared, waits for a line, asks and scores, says "end", and then where the
answers are. `run_task` runs its benchmark of one's own questions, general_vqa; what that does before the first question
and after the last answer (the data set, the report) is done before and after.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from evalscope import TaskConfig, run_task
from evalscope.evaluator import DefaultEvaluator


def main() -> None:
    """Job after job; what evalscope prints goes to standard error."""
    talk = sys.stdout
    asking = DefaultEvaluator._run_pool

    def clocked(self: Any, *given: Any) -> Any:
        print("begin", file=talk, flush=True)
        sys.stdin.readline()
        found = asking(self, *given)
        print("end", file=talk, flush=True)
        return found

    DefaultEvaluator._run_pool = clocked
    print("open", file=talk, flush=True)
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            out = _run(json.loads(line))
        print(out, file=talk, flush=True)


def _run(job: dict[str, Any]) -> Path:
    """The file of its answers."""
    out = Path(job["out"])
    data = {"local_path": job["data"], "dataset_id": job["data"], "subset_list": ["test"]}
    run_task(
        TaskConfig(
            model=job["model"],
            api_url=job["url"],
            api_key="EMPTY",
            eval_type="openai_api",
            datasets=["general_vqa"],
            dataset_args={"general_vqa": data},
            eval_batch_size=job["at_once"],
            generation_config={"max_tokens": job["tokens"], "temperature": 0.0},
            work_dir=str(out),
            no_timestamp=True,
        )
    )
    return out / "predictions" / job["model"] / "general_vqa_test.jsonl"


if __name__ == "__main__":
    main()
