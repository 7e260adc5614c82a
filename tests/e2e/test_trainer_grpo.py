"""The GRPO loop on the tiny checkpoint: it moves the weights as the formulas say, and goes on where it stopped."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from tiny_training import FINETUNING, Stop, Vowels, asked, config, go, opened, stop_after, untimed

from trainer import grpo
from trainer.checkpoints import checkpoint
from trainer.checkpoints.metrics_log import read
from trainer.grpo import MicroBatch
from trainer.model.policy import Policy
from trainer.rewards import Rewarder
from trainer.rollouts.base import PolicyRollouts

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.engine


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_a_stopped_training_ends_as_one_never_stopped(
    kind: str, tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    chosen = config(world, tiny_model, finetuning=FINETUNING[kind])
    whole = go(chosen, world, tmp_path / "whole")
    with pytest.raises(Stop):
        go(chosen, world, tmp_path / "stopped", stop_after(2))  # after the checkpoint of step 2, before that of step 4
    resumed = go(chosen, world, tmp_path / "stopped")
    for (name, one), (_, other) in zip(whole.trainable(), resumed.trainable(), strict=True):
        assert torch.equal(one, other), name
    logs = [read(tmp_path / name) for name in ("whole", "stopped")]
    assert untimed(logs[0]) == untimed(logs[1])
    assert [line["step"] for line in logs[0]] == [0, 1, 2, 3]
    assert max(line["grad_norm"] for line in logs[0]) > 0
    fresh = opened(chosen).trainable()
    assert any(not torch.equal(a, b) for (_, a), (_, b) in zip(whole.trainable(), fresh, strict=True))
    if kind == "lora":
        last = checkpoint.latest(tmp_path / "whole")
        assert last is not None
        assert (last / "adapter" / "adapter_model.safetensors").is_file()
        assert (last / "model.safetensors").is_file()


def test_a_line_says_how_the_step_went(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    go(config(world, tiny_model, max_steps=2, epsilon=0.2), world, tmp_path / "run")
    first, second = read(tmp_path / "run")
    assert first["few/reward"] == first["reward"] > 0
    assert first["few/length"] == first["length"] == first["tokens"] / 8
    assert first["kl"] == 0 < second["kl"], "the first step's policy is the reference"
    assert first["gap"] <= first["gap_max"] < 1e-4
    assert first["ratio"] == pytest.approx(1, abs=1e-4)
    assert first["clipped"] == 0
    assert 0 < first["entropy"] < math.log(300)
    assert first["lr"] == 0.01
    assert 0 < first["floor/few"] < 1
    assert not any(key.startswith("validation/") for key in first)
    assert 0 <= second["validation/few/reward"] <= 1
    assert {"zero_advantage", "strict", "parsed", "few/distinct", "few/top"} <= set(first)


def test_chunks_of_any_size_give_one_step(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same questions, answers and rewards, and within rounding the same update."""
    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    tasks = {"few": {"weight": 1}, "order": {"weight": 1}}
    lines, weights = [], []
    for size in (1, 2, 3, 8):
        chosen = config(world, tiny_model, max_steps=1, train_batch_size=3, micro_batch_size=size, tasks=tasks)
        policy = go(chosen, world, tmp_path / str(size))
        lines.append(read(tmp_path / str(size))[0])
        weights.append(torch.cat([p.detach().flatten() for _, p in policy.trainable()]))
    for line, moved in zip(lines[1:], weights[1:], strict=True):
        for key in ("reward", "few/reward", "order/reward", "tokens", "zero_advantage"):
            assert line[key] == lines[0][key]
        assert line["grad_norm"] == pytest.approx(lines[0]["grad_norm"], rel=1e-4)
        assert line["entropy"] == pytest.approx(lines[0]["entropy"], rel=1e-5)
        assert (moved - weights[0]).norm() / weights[0].norm() < 1e-3


def test_the_learning_rate_rises_and_falls(tiny_model: Path, world: Path) -> None:
    chosen = config(world, tiny_model, max_steps=11, warmup_steps=2, learning_rate=1.0, min_lr_ratio=0.1)
    rates = [grpo.learning_rate(chosen, step) for step in range(11)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[-1] == pytest.approx(0.1)
    assert rates[2:] == sorted(rates[2:], reverse=True)


# --- one update against a slow reference ----------------------------------------------------------------------


def reference_gradient(
    policy: Policy, start: Any, micro_batches: list[MicroBatch], temperature: float, beta: float, clip: float
) -> Any:
    """Gradient of the loss in float64, answer by answer through transformers' own forward, by the papers' formulas.

    `start` is the reference policy. Returns the flat gradient of the trained parameters and the loss.
    """
    model, before = policy.base.double(), start.base.double()
    barred = [model.config.image_token_id, model.config.video_token_id]

    def answer_logprobs(which: Any, packed: Any, tokens: Any) -> Any:
        inputs = {name: value.double() if value.is_floating_point() else value for name, value in packed.inputs.items()}
        length = inputs["input_ids"].shape[1]
        inputs["input_ids"] = torch.cat([inputs["input_ids"], tokens[None]], 1)
        for name, filler in (("attention_mask", 1), ("mm_token_type_ids", 0)):
            more = torch.full((1, len(tokens)), filler, dtype=torch.long)
            inputs[name] = torch.cat([inputs[name], more], 1)
        which.model.rope_deltas = None
        logits = which(**inputs, use_cache=False).logits[0, length - 1 : -1] / temperature
        logits[:, barred] = -math.inf
        return torch.log_softmax(logits, -1).gather(1, tokens[:, None])[:, 0]

    terms = []
    for micro_batch in micro_batches:
        n = len(micro_batch.rewards) // len(micro_batch.packed)
        for at, (sample, videos) in enumerate(zip(micro_batch.packed.samples, micro_batch.packed.videos, strict=True)):
            packed = policy.pack(sample, videos)
            earned = [reward.value for reward in micro_batch.rewards[at * n : at * n + n]]
            mean = math.fsum(earned) / n
            spread = math.sqrt(math.fsum((value - mean) ** 2 for value in earned) / (n - 1))
            for row, value in enumerate(earned, start=at * n):
                kept = micro_batch.rollouts.mask[row]
                tokens, old = micro_batch.rollouts.tokens[row][kept], micro_batch.rollouts.logprobs[row][kept].double()
                advantage = (value - mean) / (spread + 1e-6)
                now = answer_logprobs(model, packed, tokens)
                with torch.no_grad():
                    apart = answer_logprobs(before, packed, tokens)
                ratio = torch.exp(now - old)
                gain = torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
                odds = torch.exp(apart - now)
                terms.append(-gain + beta * (odds - torch.log(odds) - 1))
    loss = torch.cat(terms).mean()
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for _, p in policy.trainable() if p.grad is not None]), float(loss.detach())


def test_an_update_follows_the_gradient_of_the_formula(tiny_model: Path, world: Path) -> None:
    """Off policy, away from the reference, clipped, two questions in one micro_batch and one in another."""
    tasks = {"few": {"weight": 1}, "order": {"weight": 1}}
    chosen = config(
        world, tiny_model, train_batch_size=3, micro_batch_size=2, tasks=tasks, temperature=0.8, beta=0.3, epsilon=0.2,
        max_grad_norm=1e6,
        checks={"max_logprob_gap": 50},
    )  # fmt: skip
    policy, start, questions = opened(chosen), opened(chosen), asked(chosen, world)
    micro_batches = grpo.generate_rollouts(
        policy,
        PolicyRollouts(policy),
        Rewarder(dict.fromkeys(tasks, "random"), questions.evaluators),
        questions,
        chosen,
        0,
    )
    assert [len(micro_batch.packed) for micro_batch in micro_batches] == [2, 1]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, parameter in policy.trainable():
            parameter += 0.06 * parameter.std() * torch.randn(parameter.shape, generator=generator)
    seen = {}

    class Still(torch.optim.SGD):
        """Notes the gradient and leaves the weights."""

        def step(self, *_: Any) -> None:
            seen["gradient"] = torch.cat([p.grad.flatten() for _, p in policy.trainable() if p.grad is not None])

    told = grpo.update(policy, Still([p for _, p in policy.trainable()], lr=0.0), micro_batches, chosen)
    expected, loss = reference_gradient(policy, start, micro_batches, 0.8, 0.3, 0.2)
    assert 0 < told["clipped"] < 1
    assert told["kl"] > 0.01
    assert abs(told["ratio"] - 1) > 1e-3
    assert told["loss"] == pytest.approx(loss, rel=1e-4)
    assert told["grad_norm"] == pytest.approx(float(expected.norm()), rel=1e-4)
    assert (seen["gradient"].double() - expected).norm() / expected.norm() < 1e-4


# --- a control ------------------------------------------------------------------------------------------------


def test_random_rewards_follow_from_the_turn_alone(tiny_model: Path, world: Path, tmp_path: Path) -> None:
    chosen = config(world, tiny_model, tasks={"few": {"reward": "random"}}, max_steps=2, save_steps=1)
    go(chosen, world, tmp_path / "run")
    first, second = read(tmp_path / "run")
    assert 0.2 < first["few/reward"] < 0.8
    assert first["few/reward"] != second["few/reward"]
    assert first["zero_advantage"] == first["few/parsed"] == 0, "nothing can be read, and yet there is an advantage"
    assert second["validation/few/reward"] == 0, "looks are told the true score"
    with pytest.raises(Stop):
        go(chosen, world, tmp_path / "again", stop_after(0))
    go(chosen, world, tmp_path / "again")
    assert untimed(read(tmp_path / "again")) == untimed([first, second])
