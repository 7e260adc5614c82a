"""A judge on a finished run, from Python.

Example:
    judged = judge("runs/a", "http://localhost:8001", thinking="off", checks=50)
    judged.tasks["mvbench"].judged.value
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viubench.api.run import Run
from viubench.engines.base import Engine
from viubench.judging.judge import JudgeOptions
from viubench.judging.judge import judge as ask
from viubench.judging.labels import read_labels
from viubench.runner.config import EvalConfig, PathLike
from viubench.schema import Judged

_ENGINE = "engine base_url replicas engine_args deterministic debug progress argv resume max_errors seed"
_PROTOCOL = "max_tokens temperature top_p top_k system thinking set"
TAKES = frozenset(f"{_ENGINE} {_PROTOCOL}".split())
"""The keywords of `evaluate` that a judge has too."""


def judge(
    run: Run | PathLike,
    model: PathLike | Engine | None = None,
    *,
    checks: int = 0,
    labels: PathLike | Mapping[str, float] | None = None,
    prompt: PathLike | None = None,
    cache: PathLike | None = None,
    **options: Any,
) -> Judged:
    """Have a language model judge the answers of a run that rules cannot read; the rules' score stays as it is.

    Args:
        run: a finished run or its folder; verdicts go into its `judges/`.
        model: the judge, as in `evaluate`.
        checks: answers of each task on which the judge is compared with the rules, asked with the options in another
            order, and asked once more.
        labels: scores by sample id to compare the verdicts with, from people or published: a mapping, or a JSONL file
            of lines `{"id": ..., "label": ...}`.
        prompt: file with a Jinja template of the question, in place of ours; or "published", for lmms-eval's.
        cache: folder of verdicts that all runs share; see `viubench.judging.judge.JudgeOptions`.
        options: `engine`, `base_url`, `engine_args`, `temperature`, `max_errors` and the other keywords of `TAKES`, as
            in `evaluate`.

    Raises:
        ViubenchError: no finished run, a judge that cannot be used, or labels that cannot be read.
    """
    if unknown := sorted(set(options) - TAKES):
        raise TypeError(f"judge has no keyword {unknown[0]!r}")
    asked = JudgeOptions(checks, prompt, read_labels(labels), cache)
    return ask(run.path if isinstance(run, Run) else Path(run), EvalConfig(model, **options), asked)
