"""The reward function that verl loads from a file beside the parquet; it needs only the installed `evaluators`.

Example:
    >>> truth = '{"task": "order", "kind": "smooth", "evaluator": {"name": "permutation", "params": {}}, '
    >>> truth += '"target": [1, 2, 3, 4], "options": [], "params": {}}'
    >>> compute_score("viubench/order", "2134", truth)
    {'score': 0.75, 'exact': 0.0, 'parsed': 1.0}
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from evaluators import Evaluator, Question, get

PREFIX = "viubench/"
KINDS = ("smooth", "strict")  # the evaluator's reward; or 1 for the true answer, else 0

FULL = 1 - 1e-9  # rewards from here on count as 1: an IoU of equal intervals may be a rounding error below it


def compute_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None, **kwargs: Any
) -> dict[str, float]:
    """Reward of one answer: `score` in [0, 1] to train on; `exact` and `parsed` (0 or 1) for the log. `ground_truth` is
    JSON text as `trainer.verl.export` writes it; `data_source` names its task. Of `extra_info`, `cut` says that the
    token limit ended the response (see `trainer.verl.agent_loop`): an answer at its end may be incomplete and counts as
    none. Raises ValueError for another data source, a damaged ground truth, or a reward that is no number in [0, 1]."""
    try:
        row = json.loads(ground_truth)
        if data_source != PREFIX + row["task"]:
            raise LookupError(f"it is of {row['task']!r}")
        strict = {"smooth": False, "strict": True}[row["kind"]]
        evaluator = _evaluator(row["evaluator"]["name"], json.dumps(row["evaluator"]["params"], sort_keys=True))
        item = Question(row["target"], tuple(row["options"]), row["params"])
        evaluator.canonical(row["target"])  # without it a damaged target would make every reward 0
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise ValueError(f"damaged ground_truth of {data_source}: {error!r}") from error
    answer = evaluator.parse(solution_str, item)
    if answer is not None and (extra_info or {}).get("cut") and not solution_str[answer.span[1] :].strip():
        answer = None
    smooth = evaluator.reward(answer, item)
    if not 0 <= smooth <= 1:  # NaN fails it too
        raise ValueError(f"the reward of {data_source} is {smooth}, not a number in [0, 1]")
    exact, parsed = float(smooth >= FULL), float(answer is not None)
    return {"score": exact if strict else float(smooth), "exact": exact, "parsed": parsed}


@cache  # finding a registered evaluator takes a millisecond
def _evaluator(name: str, params: str) -> Evaluator:
    return get(name, **json.loads(params))
