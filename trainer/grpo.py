"""GRPO: ask each question several times, reward the answers, and make the better ones of a group likelier.

Example:
    train(load("tiny-cpu"), Path("runs/train"), Sources(model="tiny", train=Path("items"), validation=Path("held_out")))

One step: `groups` questions, `rollouts` answers to each; an answer's advantage is its reward against its group's. The
prompt and its video run once per group and are shared by its answers. Everything a step does follows from (seed, step),
so a run that was stopped goes on from its last checkpoint to the same weights.

Source: DeepSeekMath (arXiv 2402.03300); rewards and settings: VideoSSR (arXiv 2511.06281), section 3.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import evaluators
from trainer import checkpoint, objective
from trainer.config import TrainConfig
from trainer.data import Questions
from trainer.log import Log
from trainer.packing import Packed
from trainer.policy import Policy, Rollouts
from trainer.rewards import Answered, Reward, Rewarder, diagnose_tasks
from viubench.errors import ViubenchError
from viubench.schema import Sample, content_hash

if TYPE_CHECKING:
    import torch

SEEN_GAP = 1e-4
"""Another video must move some log-probability by more than this; else the model does not see its video."""


@dataclass
class Group:
    """One question with its answers; `rewards` one per answer."""

    packed: Packed
    rollouts: Rollouts
    rewards: list[Reward]


def train(
    config: TrainConfig, out: Path, questions: Questions, policy: Policy, progress: Callable[[dict[str, Any]], None]
) -> Path:
    """Run or go on with the training in folder `out`; returns the last checkpoint.

    Raises:
        ViubenchError: the model does not see its videos, a reward or a loss that is not finite, another configuration
            in `out`.
    """
    import torch

    if config.warm_start is not None:
        raise ViubenchError(
            "this configuration asks for a supervised warm start, which is not built yet",
            where=config.train,
            hint="take warm_start out, and start from a model that already answers",
        )
    out.mkdir(parents=True, exist_ok=True)
    graders = {name: evaluators.get(spec.name, **spec.params) for name, spec in questions.evaluators.items()}
    rewarder = Rewarder({name: task.reward for name, task in config.tasks.items()}, graders)
    named = policy.trainable()
    optimizer = torch.optim.AdamW([p for _, p in named], lr=config.lr, weight_decay=config.weight_decay)
    log, first, digest = Log(out), 0, content_hash([config.hash(), questions.hash()])
    if (last := checkpoint.latest(out)) is not None:
        first = checkpoint.restore(last, policy.model, optimizer, config_hash=digest)["step"]
        log.cut(first)
    else:
        check_seen(policy, questions, config)
    for step in range(first, config.steps):
        began = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        groups = ask(policy, rewarder, questions, config, step)
        metrics = update(policy, optimizer, groups, config)
        told: dict[str, Any] = {"step": step, **metrics, **diagnosed(groups)}
        if config.evaluate.every and (step + 1) % config.evaluate.every == 0:
            told |= evaluate(policy, rewarder, questions, config)
        log.write(told | {"lr": learning_rate(config, step), "seconds": round(time.perf_counter() - began, 3)})
        progress(told)
        if (step + 1) % config.save.every == 0 or step + 1 == config.steps:
            last = checkpoint.save(
                out, step=step + 1, model=policy.model, base=policy.path, optimizer=optimizer,
                config_hash=digest, log=told, card=card(config, told),
            )  # fmt: skip
    if last is None:
        raise ViubenchError("steps is 0: nothing was trained", where="config")
    return last


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up over `warm_up` steps, then linear decay to `final_lr` x lr at the last step."""
    if step < config.warm_up:
        return config.lr * (step + 1) / config.warm_up
    done = (step - config.warm_up) / max(config.steps - 1 - config.warm_up, 1)
    return config.lr * (1 - (1 - config.final_lr) * done)


def ask(policy: Policy, rewarder: Rewarder, questions: Questions, config: TrainConfig, step: int) -> list[Group]:
    """The step's questions, each answered `rollouts` times at the rollout temperature, and what the answers earn."""
    groups = []
    for place, sample in enumerate(questions.batch(step)):
        packed = policy.pack(sample, questions.videos(sample))
        seed = (config.seed * 1_000_003 + step) * 1_000_003 + place
        rollouts = policy.rollout(packed, config.rollouts, seed, config.temperature, config.max_tokens)
        groups.append(Group(packed, rollouts, _rewarded(rewarder, sample, rollouts)))
    return groups


def _rewarded(rewarder: Rewarder, sample: Sample, rollouts: Rollouts) -> list[Reward]:
    ends = ["stop" if stopped else "length" for stopped in rollouts.stopped]
    return [rewarder(sample, text, end) for text, end in zip(rollouts.texts, ends, strict=True)]


def update(
    policy: Policy, optimizer: torch.optim.Optimizer, groups: Sequence[Group], config: TrainConfig
) -> dict[str, float]:
    """One optimiser step over all groups, one in memory at a time; the loss is the mean over all answer tokens."""
    import torch

    rewards = torch.tensor([[reward.value for reward in group.rewards] for group in groups])
    advantages = objective.advantages(rewards, config.normalise)
    tokens = sum(int(group.rollouts.mask.sum()) for group in groups)
    totals: dict[str, float] = {}
    optimizer.zero_grad(set_to_none=True)
    for group, advantage in zip(groups, advantages, strict=True):
        mask, old = group.rollouts.mask, group.rollouts.logprobs
        asked = (group.packed, group.rollouts.tokens, mask, config.temperature)
        share = int(mask.sum()) / tokens
        reference = None
        if config.kl:
            with torch.no_grad(), policy.reference():
                reference, _ = policy.logprobs(*asked)
        logprobs, entropy = policy.logprobs(*asked)
        value, told = objective.loss(
            logprobs,
            group.rollouts.logprobs,
            advantage,
            group.rollouts.mask,
            reference,
            clip=config.clip,
            beta=config.kl,
        )
        (value * share).backward()
        told |= {"loss": float(value.detach()), "entropy": float(entropy.detach()[mask].mean())}
        told["gap"] = float((logprobs.detach() - old)[mask].abs().max())
        for key, number in told.items():
            totals[key] = max(totals.get(key, 0.0), number) if key == "gap" else totals.get(key, 0.0) + share * number
    parameters = [parameter for _, parameter in policy.trainable()]
    totals["grad_norm"] = float(torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm))
    optimizer.step()
    return totals


def diagnosed(groups: Sequence[Group]) -> dict[str, float]:
    """What the step's answers look like, as `TASK/measure`."""
    told = [Answered(group.packed.sample.task, group.rewards, group.rollouts.mask.sum(1).tolist()) for group in groups]
    found = diagnose_tasks(told)
    return {f"{task}/{name}": number for task, one in found.items() for name, number in one.numbers().items()}


def evaluate(policy: Policy, rewarder: Rewarder, questions: Questions, config: TrainConfig) -> dict[str, float]:
    """Greedy answers to the first `evaluate.n` validation questions of each task: mean reward and strict score."""
    scores: dict[str, list[Reward]] = {}
    for sample in questions.validation(config.evaluate.n):
        packed = policy.pack(sample, questions.videos(sample))
        rollouts = policy.rollout(packed, 1, 0, 0.0, config.max_tokens)
        scores.setdefault(sample.task, []).extend(_rewarded(rewarder, sample, rollouts))
    return {
        f"validation/{task}/{name}": math.fsum(getattr(r, name) for r in found) / len(found)
        for task, found in scores.items()
        for name in ("value", "strict")
    }


def check_seen(policy: Policy, questions: Questions, config: TrainConfig) -> None:
    """Refuse to train a model whose answers do not depend on the video: pixels dropped on the way are the worst bug.

    The first question is asked again with every frame turned to its negative and all else, the times too, kept.
    """
    sample = questions.batch(0)[0]
    videos = questions.videos(sample)
    negative = tuple(replace(video, pixels=255 - video.pixels, key="") for video in videos)
    packed, other = policy.pack(sample, videos), policy.pack(sample, negative)
    rollouts = policy.rollout(packed, 2, config.seed, config.temperature, config.max_tokens)
    gap = policy.swapped_gap(packed, other, rollouts.tokens, rollouts.mask)
    if gap < SEEN_GAP:
        raise ViubenchError(
            f"another video changes no log-probability by more than {gap:.1e}: the model does not see its video",
            where=str(policy.path),
            hint="check the checkpoint's processor: the frames must reach the vision tower",
        )


def card(config: TrainConfig, told: dict[str, Any]) -> str:
    """The model card of a checkpoint: what was trained, how, and what the last step measured."""
    lines = [f"# {config.train}", "", "Trained with GRPO by viubench.", "", f"Configuration hash: {config.hash()}", ""]
    lines += [
        f"- {key}: {value:.4f}" if isinstance(value, float) else f"- {key}: {value}" for key, value in told.items()
    ]
    return "\n".join([*lines, ""])
