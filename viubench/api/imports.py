"""Answers that other harnesses wrote, from Python: import them as a run, and explain where scores differ.

Example:
    run = import_answers("logs/20260101_samples_videomme.jsonl", "videomme", data_root="data", out="runs/theirs")
    run.manifest.imported.matching.matched  # {'id': 2700}
    explain_difference(run, rule="lmms-eval/videomme").counts
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from viubench.api.evaluate import placed
from viubench.api.run import Run
from viubench.engines.baselines import AnswersEngine
from viubench.imports.explaining import Differences, explain
from viubench.imports.importing import import_files
from viubench.runner.config import MAX_ERRORS, EvalConfig, PathLike, Progress, as_paths
from viubench.schema import Task


def import_answers(
    files: PathLike | Iterable[PathLike],
    tasks: PathLike | Task | Sequence[PathLike | Task],
    *,
    out: PathLike | None = None,
    format: str | None = None,  # noqa: A002  (the word of the command line)
    columns: Mapping[str, str] | None = None,
    rules: str | Iterable[str] = (),
    partial: bool = False,
    model: str | None = None,
    videos: PathLike | None = None,
    data_root: PathLike | None = None,
    samples: PathLike | None = None,
    seed: int = 0,
    resume: bool = True,
    include_path: PathLike | Iterable[PathLike] = (),
    max_errors: float = MAX_ERRORS,
    progress: Callable[[Progress], None] | None = None,
    argv: Sequence[str] = (),
) -> Run:
    """Score the answers in another harness's files, and write an ordinary run folder.

    Args:
        files: samples of lmms-eval or lm-evaluation-harness, tables of VLMEvalKit, predictions or reviews of evalscope,
            lines of Qwen's scripts, logs of Inspect, or any table with a column for the response.
        tasks: the task they answer, as in `evaluate`.
        format: one of lmms-eval, lm-eval, vlmevalkit, evalscope, qwen, inspect, columns; told by the content where
            None.
        columns: of a plain table, the name of a column by what it is used as: {"response": "said", "id": "key"}.
        rules: published rules to apply beside the task's own.
        partial: keep only the questions the files answer; else the others count as wrong.
        model: name to show; what the files say by default.
        samples: item rows the answers belong to (items.jsonl).

    Raises:
        ViubenchError: a file that cannot be read, or in which no answer belongs to a question of the task.
    """
    config = EvalConfig(
        AnswersEngine(model or "imported"),
        tasks,
        videos=videos,
        data_root=samples or data_root,
        seed=seed,
        out=out,
        resume=resume,
        include_path=include_path,
        max_errors=max_errors,
        progress=progress,
        argv=argv,
    )
    config, temporary = placed(config)
    more = [rules] if isinstance(rules, str) else list(rules)
    import_files(as_paths(files), config, format=format, named=columns, model=model, rules=more, partial=partial)
    return Run(config.run_folder, max_errors=max_errors, temporary=temporary)


def explain_difference(run: Run | PathLike, rule: str | None = None) -> Differences:
    """Why the strict score, a published rule and the score in the imported file differ, sample by sample.

    Args:
        rule: one that was applied in the run; where None, the task's first one.

    Raises:
        ViubenchError: no run folder, or the rule was not applied in it.
    """
    return explain(run.path if isinstance(run, Run) else Path(run), rule)
