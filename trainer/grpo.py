"""GRPO: ask each question several times, reward the answers, and make the better ones of a group likelier.

Example:
    train(config, Path("runs/train"), questions, Policy.open(Path(config.model)), progress=print)

One step: `groups` questions, `rollouts` answers to each; an answer's advantage is its reward against its group's. The
prompt and its video run once per group and are shared by its answers. Everything a step does follows from (seed, step),
so a run that was stopped goes on from its last checkpoint to the same weights.

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

import evaluators
from trainer import checks, grpo_loss
from trainer.checkpoints import checkpoint, model_card
from trainer.checkpoints.manager import Keeper
from trainer.checkpoints.metrics_log import Log, Unwritten, to_stderr
from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.model import fsdp
from trainer.model.packing import Packed
from trainer.model.policy import Policy, Rollouts
from trainer.rewards import Answered, Diagnostics, Reward, Rewarder, diagnose, diagnose_tasks
from trainer.rollouts.base import PolicyRollouts, RolloutSource
from trainer.validation import look, pooled
from viubench.errors import EngineError, ViubenchError
from viubench.pretext.rng import seed_of
from viubench.schema import Sample

if TYPE_CHECKING:
    import torch

Evaluation = Callable[[int], Mapping[str, float]]
"""Evaluates the run's checkpoint of so many steps: task -> value in [0, 1]; see `trainer.harness_eval`."""


@dataclass
class Chunk:
    """B questions that go through the model together, with n answers each; `rewards` one per answer, B * n."""

    packed: Packed
    rollouts: Rollouts
    rewards: list[Reward]

    def answered(self) -> list[Answered]:
        """The answers question by question."""
        n = len(self.rewards) // len(self.packed)
        lengths = self.rollouts.mask.sum(1).tolist()
        rows = [slice(at * n, (at + 1) * n) for at in range(len(self.packed))]
        samples = self.packed.samples
        return [Answered(s.task, self.rewards[row], lengths[row]) for s, row in zip(samples, rows, strict=True)]


def train(
    config: TrainConfig,
    out: Path,
    questions: Questions,
    policy: Policy,
    progress: Callable[[dict[str, Any]], None],
    *,
    source: RolloutSource | None = None,
    evaluation: Evaluation | None = None,
    say: Callable[[str], None] = to_stderr,
    argv: Sequence[str] = (),
) -> Path:
    """Run or go on with the training in folder `out`; returns the last checkpoint.

    Args:
        policy: opened from the base model, which is also the reference of the KL term.
        progress: told each finished step's log line.
        source: where the answers come from; the policy itself when None.
        evaluation: asked every `evaluate.harness.every` steps.
        say: told warnings.
        argv: the command, for the manifest.

    Raises:
        ViubenchError: a guard stopped the run (see `trainer.checks`), another configuration in `out`, or another
            process at work there. The message says where the finished steps are saved.
    """
    training = Training(config, out, questions, policy, source or PolicyRollouts(policy), evaluation, say, argv)
    keeper, watch = training.keeper, training.watch
    with keeper.claimed(), keeper.rescuing(watch.state), contextlib.closing(training.log):
        watch.restore(keeper.resume())
        checks.check_seen(policy, questions, config)
        if not keeper.logged():
            training.conclude()
        for step in range(keeper.steps, config.steps):
            training.step(step)
            if keeper.due(step):
                keeper.save(watch.state())
            training.conclude()
            progress(keeper.told)
    last = checkpoint.latest(out)
    assert last is not None, "a configuration has at least one step, and the last one is saved"
    return last


class Training:
    """A run's parts, and what is done with them at each step."""

    def __init__(
        self,
        config: TrainConfig,
        out: Path,
        questions: Questions,
        policy: Policy,
        source: RolloutSource,
        evaluation: Evaluation | None,
        say: Callable[[str], None],
        argv: Sequence[str],
    ) -> None:
        graders = {name: evaluators.get(spec.name, **spec.params) for name, spec in questions.evaluators.items()}
        self.config, self.questions, self.policy, self.source = config, questions, policy, source
        self.evaluation = evaluation
        self.rewarder = Rewarder({name: task.reward for name, task in config.tasks.items()}, graders, config.seed)
        self.floors = {f"floor/{task}": floor for task, floor in checks.floors(questions, graders, config).items()}
        say = say if policy.ranks.first else _silent
        self.watch = checks.Watch(checks.honest_tops(questions, graders), stop=config.guards.alarm == "stop", say=say)
        self.optimizer = adamw(policy, config)
        self.log = Log(out, say) if policy.ranks.first else Unwritten(out, say)
        manifest = model_card.describe(config, questions, policy, argv)
        self.keeper = Keeper(config, out, policy, self.optimizer, self.log, manifest)

    def step(self, step: int) -> None:
        """Ask, reward, update; then look at the validation items when it is time, and at what the policy has become."""
        config, started = self.config, time.perf_counter()
        rate = learning_rate(config, step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.source.sync()
        chunks = ask(self.policy, self.source, self.rewarder, self.questions, config, step)
        self.source.rest()
        asked = time.perf_counter()
        metrics = update(self.policy, self.optimizer, chunks, config)
        updated = time.perf_counter()
        answered = pooled(self.policy.ranks, [one for chunk in chunks for one in chunk.answered()])
        tasks = diagnose_tasks(answered)
        told: dict[str, Any] = {"step": step, **summed_up(answered), **metrics, "lr": rate, **named("", tasks)}
        told |= self.floors | {"seconds/rollout": asked - started, "seconds/update": updated - asked}
        self.keeper.finished(step, told)
        alarms = self.watch.see("training", tasks)
        if config.evaluate.every and ((step + 1) % config.evaluate.every == 0 or self.keeper.due(step)):
            found = look(
                self.policy, self.rewarder, self.questions, self.questions.validation(config.evaluate.n), config
            )
            told |= named("validation/", found)
            alarms |= self.watch.see("validation", found)
        told |= alarms | {"seconds": time.perf_counter() - started}
        with self.policy.ranks.agree():
            self.watch.raise_alarm(alarms)

    def conclude(self) -> None:
        """What follows on a step and its checkpoint; a run that was killed in the middle of it does it again."""
        keeper, ranks = self.keeper, self.policy.ranks
        with ranks.agree():
            if ranks.first and self.evaluation is not None and keeper.evaluates(keeper.steps - 1):
                keeper.told |= {f"evaluation/{task}": value for task, value in self.evaluation(keeper.steps).items()}
            self.log.write(keeper.told)
            keeper.prune()


def _silent(text: str) -> None:
    """What another process says already."""


def adamw(policy: Policy, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser over everything that is trained."""
    import torch

    return torch.optim.AdamW([p for _, p in policy.trainable()], lr=config.lr, weight_decay=config.weight_decay)


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up over `warm_up` steps, then linear decay to `final_lr` x lr at the last step."""
    if step < config.warm_up:
        return config.lr * (step + 1) / config.warm_up
    done = (step - config.warm_up) / max(config.steps - 1 - config.warm_up, 1)
    return config.lr * (1 - (1 - config.final_lr) * done)


def ask(
    policy: Policy, source: RolloutSource, rewarder: Rewarder, questions: Questions, config: TrainConfig, step: int
) -> list[Chunk]:
    """The step's questions, each answered `rollouts` times at the rollout temperature, and what the answers earn.

    Of several processes each asks its part; a question's answers follow from its place in the whole batch.
    """
    placed = policy.ranks.own(list(enumerate(questions.batch(step))))
    parts = [placed[first : first + config.micro_batch] for first in range(0, len(placed), config.micro_batch)]
    policy.ready()
    with policy.ranks.agree():
        return [_asked(policy, source, rewarder, questions, config, step, part) for part in parts]


def _asked(
    policy: Policy,
    source: RolloutSource,
    rewarder: Rewarder,
    questions: Questions,
    config: TrainConfig,
    step: int,
    placed: Sequence[tuple[int, Sample]],
) -> Chunk:
    """Questions of the step, with their places in its batch, together."""
    packed = policy.stack([pack(policy, questions, sample) for _, sample in placed])
    checks.check_prompts(policy, packed)
    seeds = [seed_of("rollout", config.seed, step, place) for place, _ in placed]
    rollouts = source(packed, config.rollouts, seeds, config.temperature, config.max_tokens)
    checks.check_rollouts(rollouts, len(placed) * config.rollouts, config.max_tokens)
    answers = iter(zip(rollouts.texts, rollouts.stopped, strict=True))
    rewards = [
        rewarder(sample, text, "stop" if stopped else "length", (step, place, number))
        for place, sample in placed
        for number, (text, stopped) in enumerate(islice(answers, config.rollouts))
    ]
    return Chunk(packed, rollouts, rewards)


def pack(policy: Policy, questions: Questions, sample: Sample) -> Packed:
    """One question with its frames as the model's inputs. Raises ViubenchError where its processor refuses them."""
    try:
        return policy.pack(sample, questions.videos(sample))
    except EngineError as error:
        raise ViubenchError(
            f"a question cannot be put to the model: {error}", where=f"item {sample.id}", hint="build the items again"
        ) from error


def update(
    policy: Policy, optimizer: torch.optim.Optimizer, chunks: Sequence[Chunk], config: TrainConfig
) -> dict[str, float]:
    """One optimiser step over all chunks, one in memory at a time; the loss is the mean over all answer tokens.

    Of several processes each has its part of the chunks; weights and numbers are then those of the whole batch.

    Returns:
        `loss` and its parts, `entropy` (nats), `gap` and `gap_max` (see `guards.gaps`), `ratio` (policy against
        rollout), each the mean over the answer tokens, `gap_max` the largest; `tokens` and `grad_norm`.

    Raises:
        ViubenchError: a gap above the limit or a number that is not finite; the weights are then as before.
    """
    import torch

    ranks = policy.ranks
    tokens = sum(ranks.gather(sum(int(chunk.rollouts.mask.sum()) for chunk in chunks)))
    totals: dict[str, float] = {"gap_max": 0.0}
    optimizer.zero_grad(set_to_none=True)
    for chunk, counts in ranks.level(chunks):
        share = counts * int(chunk.rollouts.mask.sum()) / tokens
        with ranks.agree():
            loss, told = weighed(policy, chunk, config)
        (loss * share).backward()
        totals["gap_max"] = max(totals["gap_max"], told.pop("gap_max"))
        for key, number in told.items():
            totals[key] = totals.get(key, 0.0) + share * number
    totals = summed(ranks.gather(totals))
    parameters = [parameter for _, parameter in policy.trainable()]
    ranks.sum_gradients(parameters)
    norm = torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
    totals["grad_norm"] = float(fsdp.whole(norm))
    with ranks.agree():
        checks.check_finite(totals)
    optimizer.step()
    return totals | {"tokens": tokens}


def summed(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The numbers of all processes as one: sums, and of `gap_max` the largest."""
    totals = {name: sum(part[name] for part in parts) for name in parts[0]}
    return totals | {"gap_max": max(part["gap_max"] for part in parts)}


def weighed(policy: Policy, chunk: Chunk, config: TrainConfig) -> tuple[torch.Tensor, dict[str, float]]:
    """The loss of one chunk, with gradient, and its diagnostics: means over its answer tokens, and `gap_max`."""
    import torch

    rollouts, questions = chunk.rollouts, len(chunk.packed)
    mask, old = rollouts.mask, rollouts.logprobs
    asked = (chunk.packed, rollouts.tokens, mask, config.temperature)
    reference = None
    if config.kl:
        with torch.no_grad(), policy.reference():
            reference, _ = policy.logprobs(*asked)
    logprobs, entropy = policy.logprobs(*asked)
    gap, gap_max = checks.gaps(logprobs, rollouts, questions)
    checks.check_gap(gap, chunk.packed, config.max_gap)
    rewards = torch.tensor([reward.value for reward in chunk.rewards]).view(questions, -1)
    advantages = grpo_loss.advantages(rewards, config.normalise).flatten().to(logprobs.device)
    loss, told = grpo_loss.loss(logprobs, old, advantages, mask, reference, clip=config.clip, beta=config.kl)
    apart = (logprobs.detach() - old)[mask]
    told |= {"loss": float(loss.detach()), "entropy": float(entropy.detach()[mask].mean())}
    return loss, told | {"gap": float(apart.abs().mean()), "gap_max": gap_max, "ratio": float(apart.exp().mean())}


def summed_up(answered: Sequence[Answered]) -> dict[str, float]:
    """What a step's answers show over all tasks; what only means something within one is left out."""
    found = diagnose(answered).numbers()
    return {name: found[name] for name in ("reward", "strict", "parsed", "zero_advantage", "length")}


def named(prefix: str, tasks: Mapping[str, Diagnostics]) -> dict[str, float]:
    """The diagnostics of each task as `prefixTASK/measure`."""
    return {f"{prefix}{task}/{name}": number for task, one in tasks.items() for name, number in one.numbers().items()}
