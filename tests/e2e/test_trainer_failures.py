"""The loop's guards: each stops the run it is there for, with the state saved, and no other."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from tiny_training import Stop, Vowels, asked, config, go, opened, stop_after

from evaluators.temporal_iou import TemporalIoU
from trainer import grpo, grpo_loss, rewards
from trainer.checkpoints import checkpoint
from trainer.checkpoints.metrics_log import read
from trainer.model.policy import Policy, Rollouts
from trainer.rewards import Reward
from trainer.rollouts.base import PolicyRollouts
from viubench.errors import ViubenchError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.engine


def test_a_model_that_does_not_see_its_video_is_not_trained(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixels lost on the way: every video reaches the model as the same grey."""
    pack = Policy.pack

    def blind(self: Policy, *args: Any) -> Any:
        packed = pack(self, *args)
        packed.inputs["pixel_values_videos"].zero_()
        return packed

    monkeypatch.setattr(Policy, "pack", blind)
    with pytest.raises(ViubenchError, match=r"does not see its video.*nothing was trained yet"):
        go(config(world, tiny_model), world, tmp_path / "run")
    assert not read(tmp_path / "run")


class Stale(PolicyRollouts):
    """A source that goes on sampling from the weights of step 1."""

    def sync(self) -> None:
        if not hasattr(self, "kept"):
            self.kept = {name: p.detach().clone() for name, p in self.policy.trainable()}

    def __call__(self, *args: Any) -> Rollouts:
        present = {name: p.data for name, p in self.policy.trainable()}
        for name, p in self.policy.trainable():
            p.data = self.kept[name]
        try:
            return super().__call__(*args)
        finally:
            for name, p in self.policy.trainable():
                p.data = present[name]


def test_rollouts_of_old_weights_stop_the_run_with_its_state_saved(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    chosen, policy = config(world, tiny_model, save_steps=4), opened(config(world, tiny_model))
    with pytest.raises(ViubenchError, match=r"nats off the trainer's.*after 1 steps.*-000001\)") as told:
        grpo.train(chosen, tmp_path / "run", asked(chosen, world), policy, dict, source=Stale(policy))
    assert str(told.value.where).startswith("item ")
    assert [line["step"] for line in read(tmp_path / "run")] == [0]
    lenient = config(world, tiny_model, save_steps=4, checks={"max_logprob_gap": 50}, max_steps=4)
    policy = opened(lenient)
    grpo.train(lenient, tmp_path / "run", asked(lenient, world), policy, dict, source=Stale(policy))
    lines = read(tmp_path / "run")
    assert [line["step"] for line in lines] == [0, 1, 2, 3]
    assert lines[1]["gap"] < 1e-4, "the new source took over the weights of the first resumed step"
    assert lines[2]["gap"] > 0.01


@pytest.mark.parametrize(("bad", "moment"), [(math.nan, "training"), (1.5, "validation")])
def test_a_reward_that_is_no_share_stops_at_its_step_with_the_state_saved(
    bad: float, moment: str, tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evaluator goes wrong in the second step's answers, or in the look after it."""
    chosen = config(world, tiny_model)
    questions = asked(chosen, world)
    bitten = questions.batch(1)[0].id if moment == "training" else questions.validation(1)[0].id
    assert bitten not in {sample.id for sample in questions.batch(0)}
    reward, armed = TemporalIoU.reward, []

    def wrong(self: Any, answer: Any, item: Any) -> float:
        return bad if armed and item.id == bitten else reward(self, answer, item)

    monkeypatch.setattr(TemporalIoU, "reward", wrong)
    steps = 1 if moment == "training" else 2
    with pytest.raises(ViubenchError, match=rf"sample '{bitten}' is {bad}.*\(after {steps} steps; they are saved in"):
        go(chosen, world, tmp_path / "run", armed.append)
    last = checkpoint.latest(tmp_path / "run")
    assert last is not None
    assert checkpoint.step_of(last) == steps
    assert [line["step"] for line in read(tmp_path / "run")] == list(range(steps))
    monkeypatch.setattr(TemporalIoU, "reward", reward)
    go(chosen, world, tmp_path / "run")
    assert [line["step"] for line in read(tmp_path / "run")] == [0, 1, 2, 3]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_leaves_the_weights_as_they_were(
    bad: float, tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    chosen = config(world, tiny_model, save_steps=1)
    loss, steps = grpo_loss.loss, []

    def wrong(*args: Any, **more: Any) -> Any:
        value, told = loss(*args, **more)
        return (value * bad if len(steps) == 2 else value), told

    monkeypatch.setattr(grpo_loss, "loss", wrong)
    policy = opened(chosen)
    with pytest.raises(ViubenchError, match=r"(loss|grad_norm) is (nan|inf) \(after 2 steps; .*-000002"):
        grpo.train(chosen, tmp_path / "run", asked(chosen, world), policy, steps.append)
    monkeypatch.setattr(grpo_loss, "loss", loss)
    saved = torch.cat([p.flatten() for _, p in policy.trainable()])
    again = opened(chosen)
    with pytest.raises(Stop):
        grpo.train(chosen, tmp_path / "other", asked(chosen, world), again, stop_after(1))
    assert torch.equal(saved, torch.cat([p.flatten() for _, p in again.trainable()]))


class Constant:
    """A reward beside answers that are all the same."""

    def __init__(self, *_: Any) -> None: ...

    def __call__(self, sample: Any, text: str, finish_reason: str, turn: Any = None) -> Reward:
        return Reward(len(set(text)) / max(len(text), 1), 0.0, True, "1.0-4.0")


def test_a_collapse_is_told_once_or_stops_the_run(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", Constant)
    monkeypatch.setattr(rewards, "MIN_QUESTIONS", 4)
    said: list[str] = []
    go(config(world, tiny_model), world, tmp_path / "run", warn=said.append)
    assert len(said) == 1
    assert said[0].startswith(
        'warning: the answers to few have collapsed: training: "1.0-4.0" answers 100% of the last 4 questions'
    )
    assert [("alarm/few" in line) for line in read(tmp_path / "run")] == [False, True, True, True]
    stopping = config(world, tiny_model, checks={"on_collapse": "stop"})
    with pytest.raises(
        ViubenchError, match=r"the answers to few have collapsed: .* \(after 2 steps; they are saved in"
    ):
        go(stopping, world, tmp_path / "other")
    assert [("alarm/few" in line) for line in read(tmp_path / "other")] == [False, True]
    with pytest.raises(ViubenchError, match=r"the answers to few have collapsed.*after 3 steps"):
        go(stopping, world, tmp_path / "other")  # what it saw before the stop is not forgotten
