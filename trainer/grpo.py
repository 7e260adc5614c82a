"""GRPO: sample several answers to each question, reward them, and reinforce the better ones of each group.

Example:
    train(config, Path("runs/train"), questions, Policy.open(Path(config.model)), progress=print)

A step depends on (seed, step) alone, so a run that was stopped resumes from its last checkpoint and ends with the same
weights.

Source: DeepSeekMath (arXiv 2402.03300); rewards and settings: VideoSSR (arXiv 2511.06281), section 3.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer import checks, grpo_loss
from trainer.checkpoints import checkpoint, model_card
from trainer.checkpoints.manager import CheckpointManager
from trainer.checkpoints.metrics_log import MetricsLog, NoLog, print_warning
from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.model import fsdp
from trainer.model.packing import Packed
from trainer.model.policy import Policy, Rollouts
from trainer.rewards import AnswerGroup, Diagnostics, Reward, Rewarder, diagnose, diagnose_tasks
from trainer.rollouts.base import PolicyRollouts, RolloutSource
from trainer.validation import gather_answers, validate
from viubench.errors import EngineError, ViubenchError
from viubench.pretext.rng import seed_of
from viubench.schema import Sample

if TYPE_CHECKING:
    import torch

EvaluateCheckpoint = Callable[[int], Mapping[str, float]]
"""Evaluates the run's checkpoint of a step: task -> value in [0, 1]; see `trainer.harness_eval`."""


@dataclass
class MicroBatch:
    """B questions in one forward pass, with n answers each; `rewards` one per answer, B * n."""

    packed: Packed
    rollouts: Rollouts
    rewards: list[Reward]

    def answer_groups(self) -> list[AnswerGroup]:
        """The answers by question."""
        n = len(self.rewards) // len(self.packed)
        lengths = self.rollouts.mask.sum(1).tolist()
        rows = [slice(at * n, (at + 1) * n) for at in range(len(self.packed))]
        samples = self.packed.samples
        return [AnswerGroup(s.task, self.rewards[row], lengths[row]) for s, row in zip(samples, rows, strict=True)]


def train(
    config: TrainConfig,
    out: Path,
    questions: Questions,
    policy: Policy,
    progress: Callable[[dict[str, Any]], None],
    *,
    source: RolloutSource | None = None,
    evaluation: EvaluateCheckpoint | None = None,
    warn: Callable[[str], None] = print_warning,
    argv: Sequence[str] = (),
) -> Path:
    """Run or resume the training in folder `out`; returns the last checkpoint.

    `policy` is opened from the base model, the reference of the KL term; `progress` gets each finished step's metrics;
    `source` samples the rollouts (None: the policy itself); `evaluation` is called every `harness_eval.eval_steps`
    steps; `argv` is the command, for the manifest.

    Raises:
        ViubenchError: a check stopped the run (see `trainer.checks`), `out` holds a training of another
            configuration, or another process trains there. The message says where the finished steps are saved.
    """
    training = GRPOTraining(config, out, questions, policy, warn, argv, source or PolicyRollouts(policy), evaluation)
    manager, monitor = training.manager, training.monitor
    with manager.locked(), manager.saving_on_error(monitor.state), contextlib.closing(training.log):
        monitor.restore(manager.resume())
        checks.check_video_used(policy, questions, config)
        if not manager.logged():
            training.finish_step()
        for step in range(manager.steps, config.max_steps):
            training.step(step)
            if manager.is_due(step):
                manager.save(monitor.state())
            training.finish_step()
            progress(manager.metrics)
    last = checkpoint.latest(out)
    assert last is not None, "there is at least one step, and the last one is saved"
    return last


@dataclass
class TrainingStage:
    """What the warm start and GRPO share: the parts of a training into folder `out`."""

    config: TrainConfig
    out: Path
    questions: Questions
    policy: Policy
    warn: Callable[[str], None]
    argv: Sequence[str]

    def __post_init__(self) -> None:
        constants = checks.constant_baselines(self.questions, self.config)
        self.baselines = {f"floor/{task}": value for task, value in constants.items()}
        self.optimizer = build_optimizer(self.policy, self.config)
        self.log = (MetricsLog if self.policy.processes.is_main else NoLog)(self.out, self.warn)
        manifest = model_card.build_manifest(self.config, self.questions, self.policy, self.argv)
        self.manager = CheckpointManager(self.config, self.out, self.policy, self.optimizer, self.log, manifest)


@dataclass
class GRPOTraining(TrainingStage):
    """The parts of a run, and its steps."""

    source: RolloutSource
    evaluation: EvaluateCheckpoint | None

    def __post_init__(self) -> None:
        super().__post_init__()
        config, is_main = self.config, self.policy.processes.is_main
        kinds = {name: task.reward for name, task in config.tasks.items()}
        self.rewarder = Rewarder(kinds, self.questions.evaluators, config.seed)
        self.monitor = checks.CollapseMonitor(
            checks.top_share_limits(self.questions),
            stop=config.checks.on_collapse == "stop",
            warn=self.warn if is_main else lambda text: None,
        )

    def step(self, step: int) -> None:
        """Sample, reward, update; validate when it is due; check for a collapse."""
        config, started = self.config, time.perf_counter()
        rate = learning_rate(config, step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.source.sync()
        batch = generate_rollouts(self.policy, self.source, self.rewarder, self.questions, config, step)
        self.source.sleep()
        sampled = time.perf_counter()
        update_metrics = update(self.policy, self.optimizer, batch, config)
        updated = time.perf_counter()
        own = [group for micro_batch in batch for group in micro_batch.answer_groups()]
        groups = gather_answers(self.policy.processes, own)
        tasks = diagnose_tasks(groups)
        metrics: dict[str, Any] = {"step": step, **step_summary(groups), **update_metrics, "lr": rate}
        metrics |= task_metrics("", tasks) | self.baselines
        metrics |= {"seconds/rollout": sampled - started, "seconds/update": updated - sampled}
        self.manager.step_done(step, metrics)
        alarms = self.monitor.update("training", tasks)
        if config.eval_steps and ((step + 1) % config.eval_steps == 0 or self.manager.is_due(step)):
            samples = self.questions.validation(config.eval_limit)
            results = validate(self.policy, self.rewarder, self.questions, samples, config)
            metrics |= task_metrics("validation/", results)
            alarms |= self.monitor.update("validation", results)
        metrics |= alarms | {"seconds": time.perf_counter() - started}
        with self.policy.processes.raise_together():
            self.monitor.report(alarms)

    def finish_step(self) -> None:
        """Evaluate, log and prune after a step and its checkpoint; a run that was killed meanwhile does it again."""
        manager, processes = self.manager, self.policy.processes
        with processes.raise_together():
            if processes.is_main and self.evaluation is not None and manager.evaluates(manager.steps - 1):
                values = self.evaluation(manager.steps)
                manager.metrics |= {f"evaluation/{task}": value for task, value in values.items()}
            self.log.write(manager.metrics)
            manager.prune()


def build_optimizer(policy: Policy, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW over everything that is trained."""
    import torch

    parameters = [parameter for _, parameter in policy.trainable()]
    return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up over `warmup_steps`, then linear decay to `min_lr_ratio` of the peak at the last step."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(config.max_steps - 1 - config.warmup_steps, 1)
    return config.learning_rate * (1 - (1 - config.min_lr_ratio) * done)


def generate_rollouts(
    policy: Policy, source: RolloutSource, rewarder: Rewarder, questions: Questions, config: TrainConfig, step: int
) -> list[MicroBatch]:
    """This process's rollouts of a step; the answers to a question depend on its index in the whole batch."""
    batch, n, max_tokens = [], config.num_generations, config.max_completion_length
    fsdp.unshard(policy.model)
    with policy.processes.raise_together():
        indexed = list(enumerate(questions.batch(step)))
        for part in policy.processes.micro_batches(indexed, config.micro_batch_size):
            packed = pack_questions(policy, questions, [sample for _, sample in part])
            checks.check_prompts(policy, packed)
            seeds = [seed_of("rollout", config.seed, step, index) for index, _ in part]
            rollouts = source(packed, n, seeds, config.temperature, max_tokens)
            checks.check_rollouts(rollouts, len(part) * n, max_tokens)
            answers = iter(zip(rollouts.texts, rollouts.stopped, strict=True))
            rewards = [
                rewarder(sample, text, "stop" if stopped else "length", (step, index, number))
                for index, sample in part
                for number, (text, stopped) in enumerate(islice(answers, n))
            ]
            batch.append(MicroBatch(packed, rollouts, rewards))
    return batch


def pack_questions(policy: Policy, questions: Questions, samples: Sequence[Sample]) -> Packed:
    """Questions with their frames as one batch. Raises ViubenchError where the model's processor refuses one."""
    rows = []
    for sample in samples:
        try:
            rows.append(policy.pack(sample, questions.videos(sample)))
        except EngineError as error:
            raise ViubenchError(
                f"the model does not take a question: {error}", where=f"item {sample.id}", hint="build the items again"
            ) from error
    return policy.stack(rows)


def update(
    policy: Policy, optimizer: torch.optim.Optimizer, batch: Sequence[MicroBatch], config: TrainConfig
) -> dict[str, float]:
    """One optimizer step over the micro-batches of all processes, one in memory at a time.

    Returns:
        `loss` and its parts, `entropy` (nats), `gap` and `gap_max` (see `checks.logprob_gaps`), `ratio` (policy against
        rollout), each the mean over the answer tokens, `gap_max` the largest; `tokens` and `grad_norm`.

    Raises:
        ViubenchError: a gap above the limit or a number that is not finite; the weights are then as before.
    """
    processes = policy.processes
    tokens = sum(processes.gather(sum(int(micro_batch.rollouts.mask.sum()) for micro_batch in batch)))
    totals: dict[str, float] = {"gap_max": 0.0}
    optimizer.zero_grad(set_to_none=True)
    for micro_batch, counts in processes.padded(batch):
        share = counts * int(micro_batch.rollouts.mask.sum()) / tokens
        with processes.raise_together():
            loss, metrics = micro_batch_loss(policy, micro_batch, config)
        (loss * share).backward()
        totals["gap_max"] = max(totals["gap_max"], metrics.pop("gap_max"))
        for key, number in metrics.items():
            totals[key] = totals.get(key, 0.0) + share * number
    parts = processes.gather(totals)
    totals = {name: (max if name == "gap_max" else sum)(part[name] for part in parts) for name in totals}
    return optimizer_step(policy, optimizer, totals, config) | {"tokens": tokens}


def optimizer_step(
    policy: Policy, optimizer: torch.optim.Optimizer, metrics: dict[str, float], config: TrainConfig
) -> dict[str, float]:
    """Clip the gradients of all processes and step; adds `grad_norm`. Before that, ViubenchError for a NaN or inf."""
    import torch

    parameters = [parameter for _, parameter in policy.trainable()]
    policy.processes.sum_gradients(parameters)
    norm = torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
    metrics = metrics | {"grad_norm": float(fsdp.full_tensor(norm))}
    with policy.processes.raise_together():
        checks.check_finite(metrics)
    optimizer.step()
    return metrics


def micro_batch_loss(
    policy: Policy, micro_batch: MicroBatch, config: TrainConfig
) -> tuple[torch.Tensor, dict[str, float]]:
    """The loss of a micro-batch, with gradient, and its metrics: means over its answer tokens, and `gap_max`."""
    import torch

    rollouts, questions = micro_batch.rollouts, len(micro_batch.packed)
    mask, old = rollouts.mask, rollouts.logprobs
    inputs = (micro_batch.packed, rollouts.tokens, mask, config.temperature)
    reference = None
    if config.beta:
        with torch.no_grad(), policy.reference():
            reference, _ = policy.logprobs(*inputs)
    logprobs, entropy = policy.logprobs(*inputs)
    gap, gap_max = checks.logprob_gaps(logprobs, rollouts, questions)
    checks.check_logprob_gap(gap, micro_batch.packed, config.max_logprob_gap)
    rewards = torch.tensor([reward.value for reward in micro_batch.rewards]).view(questions, -1)
    advantages = grpo_loss.advantages(rewards, config.scale_rewards).flatten().to(logprobs.device)
    loss, metrics = grpo_loss.loss(logprobs, old, advantages, mask, reference, epsilon=config.epsilon, beta=config.beta)
    difference = (logprobs.detach() - old)[mask]
    metrics |= {"loss": float(loss.detach()), "entropy": float(entropy.detach()[mask].mean())}
    metrics |= {"gap": float(difference.abs().mean()), "gap_max": gap_max, "ratio": float(difference.exp().mean())}
    return loss, metrics


def step_summary(groups: Sequence[AnswerGroup]) -> dict[str, float]:
    """Diagnostics over all tasks, without those that only mean something within one."""
    numbers = diagnose(groups).numbers()
    return {name: numbers[name] for name in ("reward", "strict", "parsed", "zero_advantage", "length")}


def task_metrics(prefix: str, tasks: Mapping[str, Diagnostics]) -> dict[str, float]:
    """The diagnostics of each task as `prefixTASK/measure`."""
    return {f"{prefix}{task}/{name}": number for task, one in tasks.items() for name, number in one.numbers().items()}
