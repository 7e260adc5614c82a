"""A run as logs of Inspect, one `.eval` a task, written through inspect_ai's own log API.

Example:
    write(FinishedRun.read(Path("runs/a")), Path("logs"))
    # [PosixPath('logs/20260101_000000_videomme.eval')]; $ inspect view --log-dir logs

A log holds the questions, answers, scores, tokens and what was run, without the frames. Of several answers to a
question each is an epoch.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viubench.errors import ViubenchError
from viubench.export.finished import FinishedRun, FinishedTask, file_name
from viubench.schema import Record
from viubench.version import __version__

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalResults, EvalSample
    from inspect_ai.model import ModelOutput

SCORER = "viubench"

REASONS = {"unparsed": "invalid_response_format", "refused": "refusal"}
"""Why a sample scores 0, in Inspect's words."""


def require() -> None:
    """Raise ViubenchError where inspect_ai is not installed."""
    if find_spec("inspect_ai") is None:
        raise ViubenchError("inspect_ai is not installed", hint="pip install 'viubench[inspect]'")


def write(run: FinishedRun, out: Path) -> list[Path]:
    """Write a log a task into the folder `out`; returns their paths."""
    from inspect_ai.log import write_eval_log

    out.mkdir(parents=True, exist_ok=True)
    date = run.started.strftime("%Y%m%d_%H%M%S")
    written = []
    for task in run.tasks:
        written.append(out / f"{date}_{file_name(task.name)}.eval")
        write_eval_log(_log(run, task), written[-1], format="eval")
    return written


def _log(run: FinishedRun, task: FinishedTask) -> EvalLog:
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSpec, EvalStats
    from inspect_ai.model import GenerateConfig

    decoding, started = task.protocol.decoding, run.started.isoformat()
    model = str(run.manifest.model["name"])
    config = GenerateConfig()
    if task.protocol.imported is None:
        config = GenerateConfig(
            max_tokens=decoding.max_tokens,
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            top_k=decoding.top_k or None,
            stop_seqs=list(decoding.stop) or None,
        )
    return EvalLog(
        status="success",
        eval=EvalSpec(
            created=started,
            task=task.name,
            task_version=task.entry.version,
            dataset=EvalDataset(
                name=task.data_set or task.name,
                samples=task.result.n,
                sample_ids=[records[0].id for records in task.answers],
            ),
            model=f"{run.manifest.engine['kind']}/{model}",
            model_generate_config=config,
            config=EvalConfig(epochs=task.result.samples),
            packages={"viubench": run.manifest.packages.get("viubench", __version__)},
            metadata=dict(task.about),
        ),
        results=_results(task),
        stats=EvalStats(started_at=started, completed_at=run.finished.isoformat()),
        samples=[_sample(task, record, model) for records in task.answers for record in records],
    )


def _results(task: FinishedTask) -> EvalResults:
    from inspect_ai.log import EvalMetric, EvalResults, EvalScore

    result = task.result
    values = {result.metric: result.value, "stderr": result.se, "ci_low": result.ci[0], "ci_high": result.ci[1]}
    metrics = {name: EvalMetric(name=name, value=value) for name, value in values.items()}
    score = EvalScore(name=SCORER, scorer=task.entry.evaluator.name, metrics=metrics, scored_samples=result.n)
    failed = sum(all(record.error is not None for record in records) for records in task.answers)
    return EvalResults(total_samples=result.answers, completed_samples=result.answers - failed, scores=[score])


def _sample(task: FinishedTask, record: Record, model: str) -> EvalSample:
    from inspect_ai.log import EvalError, EvalSample
    from inspect_ai.model import ChatMessageUser
    from inspect_ai.scorer import Score

    output, failure = _output(record, model), record.error
    question = ChatMessageUser(content=record.question)
    score = Score(
        value=task.score([record]),
        answer=task.text(record.answer) or None,
        explanation=f"{record.status}{f', read by {record.rule}' if record.rule else ''}",
        reason=REASONS.get(record.status),
        metadata={**record.scores, **{f"rule {name}": value for name, value in record.rules.items()}},
    )
    return EvalSample(
        id=record.id,
        epoch=record.number + 1,
        input=[question],
        target=task.text(record.target),
        messages=[question, *(choice.message for choice in output.choices)],
        output=output,
        scores={SCORER: score},
        metadata={**record.groups, "video": record.cluster, "status": record.status},
        model_usage={model: output.usage} if output.usage else {},
        error=EvalError(message=output.error or failure.fault, traceback="", traceback_ansi="") if failure else None,
        total_time=sum(record.seconds.values()) or None,
    )


def _output(record: Record, model: str) -> ModelOutput:
    from inspect_ai.model import (
        ChatCompletionChoice,
        ChatMessageAssistant,
        ContentReasoning,
        ContentText,
        ModelOutput,
        ModelUsage,
    )

    if record.response is None:
        failure = record.error
        return ModelOutput(model=model, error=f"{failure.fault}: {failure.detail}" if failure else record.status)
    content: Any = record.response
    if record.reasoning:
        content = [ContentReasoning(reasoning=record.reasoning), ContentText(text=record.response)]
    prompt, said = (record.usage.get(key) for key in ("prompt_tokens", "completion_tokens"))
    usage = None
    if prompt is not None and said is not None:
        usage = ModelUsage(input_tokens=prompt, output_tokens=said, total_tokens=prompt + said)
    stop = "max_tokens" if record.finish_reason == "length" else "stop"
    message = ChatMessageAssistant(content=content, model=model)
    return ModelOutput(model=model, choices=[ChatCompletionChoice(message=message, stop_reason=stop)], usage=usage)
