"""The supervised warm start: steps on the true answers until every task passes its threshold, before GRPO.

Example:
    last = warm_start(config, Path("runs/train"), questions, Policy.open(Path(config.model)), progress=print)
    policy = Policy.open(last)   # base and reference of GRPO

GRPO cannot improve a task that the model always or never answers right, and a mean over tasks hides both. So each task
has a threshold to pass in two validations in a row; one that has passed is asked less often, which leaves GRPO room.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer import grpo
from trainer.checkpoints import checkpoint
from trainer.checkpoints.metrics_log import print_warning
from trainer.config import TrainConfig, WarmStart
from trainer.dataset import Questions, mixture
from trainer.model.policy import Policy
from trainer.rewards import Diagnostics, Rewarder
from trainer.validation import validate
from viubench.errors import ViubenchError
from viubench.schema import Sample

if TYPE_CHECKING:
    import torch

FOLDER = "warm-start"
"""The warm start's folder, below the run's folder."""

PASSED_WEIGHT = 0.05
"""Weight of a task that has passed, against one that has not: seldom, but it must not be forgotten."""

REQUIRED_PASSES = 2
"""Validations in a row in which a task must pass: one alone may be luck."""

FINAL_LR = 0.1
ABOVE_CONSTANT = 0.05
"""A threshold must be so much above the best constant answer, or passing it would mean nothing."""

STREAM = "warm-start"


@dataclass
class Curriculum:
    """The questions of each task so far, and the validations in a row in which it passed; in each checkpoint."""

    drawn: dict[str, int]
    streaks: dict[str, int] = field(default_factory=dict)

    def passed(self, task: str) -> bool:
        """Whether the task has passed its threshold often enough."""
        return self.streaks.get(task, 0) >= REQUIRED_PASSES

    @property
    def finished(self) -> bool:
        """Whether every task has passed."""
        return all(map(self.passed, self.drawn))

    def record(self, results: Mapping[str, Diagnostics], warm: WarmStart) -> None:
        """Count a validation."""
        for task, threshold in warm.thresholds.items():
            passes = results[task].reward >= threshold.score and results[task].strict >= threshold.exact
            self.streaks[task] = self.streaks.get(task, 0) + 1 if passes else 0

    def next_batch(self, questions: Questions, config: TrainConfig, warm: WarmStart) -> list[Sample]:
        """The next step's questions, seldom of tasks that have passed; counted in `drawn`."""
        weights = {
            task: warm.weights.get(task, mix.weight) * (PASSED_WEIGHT if self.passed(task) else 1)
            for task, mix in config.tasks.items()
        }
        total, batch = sum(self.drawn.values()), []
        # Continued at the questions so far, so that rare tasks are not left out of every batch.
        for task, _ in islice(mixture(weights), total, total + warm.train_batch_size):
            batch.append(questions.draw(STREAM, task, self.drawn[task]))
            self.drawn[task] += 1
        return batch


def warm_start(
    config: TrainConfig,
    out: Path,
    questions: Questions,
    policy: Policy,
    progress: Callable[[dict[str, Any]], None],
    *,
    warn: Callable[[str], None] = print_warning,
    argv: Sequence[str] = (),
) -> Path:
    """Run, resume or skip (when finished) the warm start of the training in `out`; returns its last checkpoint.

    `policy` is opened from the base model and changed in place; the other arguments are those of `grpo.train`.

    Raises:
        ViubenchError: the horizon ends with a task below its threshold (the state is saved), a threshold that a
            constant answer passes, or as `grpo.train`.
    """
    training = SFTTraining(config, out / FOLDER, questions, policy, warn, argv)
    manager, curriculum = training.manager, training.curriculum
    with manager.locked(), manager.saving_on_error(lambda: vars(curriculum)), contextlib.closing(training.log):
        vars(curriculum).update(manager.resume())
        while not curriculum.finished:
            if manager.steps == training.warm.max_steps:
                raise _not_passed(curriculum, training.warm)
            training.step(manager.steps)
            if manager.is_due(manager.steps - 1) or curriculum.finished:
                manager.save(vars(curriculum))
                manager.prune()
            progress(manager.metrics)
    last = checkpoint.latest(out / FOLDER)
    assert last is not None, "it was saved when it was finished"
    return last


class SFTTraining(grpo.TrainingStage):
    """The parts of a warm start, and its steps."""

    def __post_init__(self) -> None:
        if self.config.warm_start is None:
            raise ViubenchError("the configuration has no warm start", where=self.config.run_name)
        super().__post_init__()
        self.warm = self.config.warm_start
        check_thresholds(self.warm, self.baselines)
        self.rewarder = Rewarder(dict.fromkeys(self.config.tasks, "smooth"), self.questions.evaluators)
        self.curriculum = Curriculum(dict.fromkeys(self.config.tasks, 0))
        # A checkpoint is due as often as in GRPO, over the warm start's own steps.
        own_steps = {"max_steps": self.warm.max_steps, "harness_eval": None}
        self.manager.config = self.config.model_copy(update=own_steps)

    def step(self, step: int) -> None:
        """One step on the true answers, and a validation when it is due."""
        started, rate = time.perf_counter(), learning_rate(self.warm, step)
        batch = self.curriculum.next_batch(self.questions, self.config, self.warm)
        metrics: dict[str, Any] = {"step": step, "lr": rate}
        metrics |= sft_step(self.policy, self.optimizer, batch, self.questions, self.config, rate)
        self.manager.step_done(step, metrics)
        if (step + 1) % self.warm.eval_steps == 0:
            samples = self.questions.validation(self.config.eval_limit)
            results = validate(self.policy, self.rewarder, self.questions, samples, self.config)
            self.curriculum.record(results, self.warm)
            metrics |= grpo.task_metrics("validation/", results) | self.baselines
        metrics["seconds"] = time.perf_counter() - started
        self.log.write(metrics)


def learning_rate(warm: WarmStart, step: int) -> float:
    """Linear warm-up over `warmup_steps`, then linear decay to a tenth of the peak at the horizon."""
    if step < warm.warmup_steps:
        return warm.learning_rate * (step + 1) / warm.warmup_steps
    decay = (1 - FINAL_LR) * (step - warm.warmup_steps) / max(warm.max_steps - 1 - warm.warmup_steps, 1)
    return warm.learning_rate * (1 - decay)


def sft_step(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    samples: Sequence[Sample],
    questions: Questions,
    config: TrainConfig,
    rate: float,
) -> dict[str, float]:
    """One optimizer step on the true answers: the mean over their tokens of -log p at temperature 1.

    Returns `loss` (nats a token), `tokens` and `grad_norm`, over the samples of all processes.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    processes = policy.processes
    tokens = sum(len(policy.encode_answer(sample.answer_text)) for sample in samples)
    parts = processes.micro_batches(samples, config.micro_batch_size)
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for part, counts in processes.padded(parts):
        with processes.raise_together():
            packed = grpo.pack_questions(policy, questions, part)
        answers, mask = policy.pad_answers([policy.encode_answer(sample.answer_text) for sample in part])
        # One answer a question: no prompt is shared, so one forward pass is enough.
        logprobs, _ = policy.logprobs(packed, answers, mask, 1.0, shared=False)
        loss = -counts * logprobs.sum() / tokens
        loss.backward()
        total += float(loss.detach())
    metrics = {"loss": sum(processes.gather(total)), "tokens": tokens}
    return grpo.optimizer_step(policy, optimizer, metrics, config)


def check_thresholds(warm: WarmStart, baselines: Mapping[str, float]) -> None:
    """Raises ViubenchError for a threshold that a constant answer passes, or nearly passes."""
    for task, threshold in warm.thresholds.items():
        constant = baselines[f"floor/{task}"]
        if threshold.score < constant + ABOVE_CONSTANT:
            raise ViubenchError(
                f"the threshold of {task} is {threshold.score:.2f}, and a constant answer scores {constant:.2f}",
                where="warm_start.thresholds",
                hint=f"set it to {constant + ABOVE_CONSTANT:.2f} at least",
            )


def _not_passed(curriculum: Curriculum, warm: WarmStart) -> ViubenchError:
    below = [task for task in curriculum.drawn if not curriculum.passed(task)]
    required = ", ".join(
        f"{task} {warm.thresholds[task].score:g} and {warm.thresholds[task].exact:g}" for task in below
    )
    return ViubenchError(
        f"the warm start's {warm.max_steps} steps ended with {len(below)} of {len(curriculum.drawn)} tasks below their "
        f"thresholds (score and exact match: {required})",
        where="warm_start",
        hint="allow more steps, easier items or lower thresholds; GRPO cannot improve a task that is never right",
    )
