"""The supervised warm start: steps on the true answers until every task passes its threshold, before GRPO.

Example:
    last = warm_start(config, Path("runs/train"), questions, Policy.open(Path(config.model)), progress=print)
    policy = Policy.open(last)   # base and reference of GRPO

GRPO cannot improve a task that the model always or never answers right, and a mean over tasks hides both. So the number
of steps is not fixed: each task has a threshold, a score and a share of exactly right answers, to pass in two
validations in a row. A task that has passed is asked less often while the others learn, which leaves GRPO room.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer import checks, grpo
from trainer.checkpoints import checkpoint, model_card
from trainer.checkpoints.manager import CheckpointManager
from trainer.checkpoints.metrics_log import MetricsLog, NoLog, print_warning
from trainer.config import TrainConfig, WarmStart
from trainer.dataset import Questions, mixture
from trainer.model import fsdp
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
    """How often each task was asked and which have passed; saved with each checkpoint.

    Attributes:
        drawn: questions of each task so far.
        streaks: validations in a row in which each task passed its threshold.
    """

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
    """Run or resume the warm start of the training in `out`; returns its last checkpoint.

    One that is finished is not run again. `config.warm_start` must be there.

    Args:
        policy: opened from the base model; changed in place.
        progress: called with each finished step's metrics.

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


class SFTTraining:
    """The parts of a warm start, and its steps."""

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        questions: Questions,
        policy: Policy,
        warn: Callable[[str], None],
        argv: Sequence[str],
    ) -> None:
        if config.warm_start is None:
            raise ViubenchError("the configuration has no warm start", where=config.run_name)
        self.config, self.warm, self.questions, self.policy = config, config.warm_start, questions, policy
        baselines = checks.constant_baselines(questions, config)
        check_thresholds(self.warm, baselines)
        self.baselines = {f"floor/{task}": value for task, value in baselines.items()}
        self.rewarder = Rewarder(dict.fromkeys(config.tasks, "smooth"), questions.evaluators)
        self.optimizer = grpo.build_optimizer(policy, config)
        self.log = MetricsLog(folder, warn) if policy.processes.is_main else NoLog(folder)
        self.curriculum = Curriculum(dict.fromkeys(config.tasks, 0))
        # A checkpoint is due as often as in GRPO, over the warm start's own steps.
        steps = config.model_copy(update={"max_steps": self.warm.max_steps, "harness_eval": None})
        manifest = model_card.build_manifest(config, questions, policy, argv)
        self.manager = CheckpointManager(steps, folder, policy, self.optimizer, self.log, manifest)

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
    return warm.learning_rate * (
        1 - (1 - FINAL_LR) * (step - warm.warmup_steps) / max(warm.max_steps - 1 - warm.warmup_steps, 1)
    )


def sft_step(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    samples: Sequence[Sample],
    questions: Questions,
    config: TrainConfig,
    rate: float,
) -> dict[str, float]:
    """One optimizer step on the true answers: the mean over their tokens of -log p at temperature 1.

    Each process takes its share of `samples`; weights and metrics are those of all.

    Returns:
        `loss` (nats a token), `tokens` and `grad_norm`.
    """
    import torch

    for group in optimizer.param_groups:
        group["lr"] = rate
    processes = policy.processes
    tokens = sum(len(policy.encode_answer(sample.answer_text)) for sample in samples)
    share, size = processes.shard(samples), config.micro_batch_size
    parts = [share[start : start + size] for start in range(0, len(share), size)]
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for part, counts in processes.padded(parts):
        with processes.raise_together():
            packed = policy.stack([grpo.pack_question(policy, questions, sample) for sample in part])
        answers, mask = policy.answers([sample.answer_text for sample in part])
        # One answer a question: no prompt is shared, so one forward pass is enough.
        logprobs, _ = policy.logprobs(packed, answers, mask, 1.0, shared=False)
        loss = -counts * logprobs.sum() / tokens
        loss.backward()
        total += float(loss.detach())
    total = sum(processes.gather(total))
    parameters = [parameter for _, parameter in policy.trainable()]
    processes.sum_gradients(parameters)
    norm = float(fsdp.full_tensor(torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)))
    with processes.raise_together():
        checks.check_finite({"loss": total, "grad_norm": norm})
    optimizer.step()
    return {"loss": total, "tokens": tokens, "grad_norm": norm}


def check_thresholds(warm: WarmStart, baselines: Mapping[str, float]) -> None:
    """Raises ViubenchError for a threshold that a constant answer passes, or nearly passes."""
    for task, threshold in warm.thresholds.items():
        if threshold.score < baselines[task] + ABOVE_CONSTANT:
            raise ViubenchError(
                f"the threshold of {task} is {threshold.score:.2f}, and a constant answer scores {baselines[task]:.2f}",
                where="warm_start.thresholds",
                hint=f"set it to {baselines[task] + ABOVE_CONSTANT:.2f} at least",
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
