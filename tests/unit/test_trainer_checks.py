"""Guards by themselves: each fires at what it is there for, and lets everything else pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer import checks, rewards
from trainer.model.packing import Packed
from trainer.model.policy import Policy, Rollouts
from trainer.rewards import Diagnostics
from viubench.engines.families import FAMILIES
from viubench.errors import ViubenchError
from viubench.schema import Sample
from viubench.video.frames import STILL, VideoInput

torch = pytest.importorskip("torch")


def clip(frames: int = 5, size: int = 64, reader: str = "", every: float = 0.48) -> VideoInput:
    pixels = np.random.default_rng(0).integers(0, 256, (frames, size, size, 3), np.uint8)
    times = tuple(every * number for number in range(frames))
    return VideoInput(pixels, 25.0, tuple(range(0, 12 * frames, 12)), times, 12 * frames, every * frames, reader)


def asked(name: str, videos: int) -> Sample:
    question = "<video>" * videos + "\nWhen?"
    return Sample(id=name, task="t", cluster="c", clips=(), question=question, target=None, answer_text="")


# --- what the model is shown ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def policy(tiny_model: Path) -> Policy:
    return Policy.open(tiny_model)


SHOWN = [(clip(),), (clip(3, 96), clip(8)), (clip(4), clip(1, 64, STILL))]
"""One video, two of other lengths and sizes, a video and a still picture."""


def packed(policy: Policy, row: int) -> Packed:
    return policy.pack(asked(f"s{row}", len(SHOWN[row])), SHOWN[row])


@pytest.mark.parametrize("row", range(3))
def test_prompts_that_show_the_frames_as_they_are_pass(policy: Policy, row: int) -> None:
    checks.check_prompt(policy, packed(policy, row))


def refusal(policy: Policy, wrong: Packed) -> ViubenchError:
    with pytest.raises(ViubenchError, match="does not show the model the frames it was given") as refused:
        checks.check_prompt(policy, wrong)
    return refused.value


def test_times_that_are_not_the_frames_own_are_refused(policy: Policy) -> None:
    """The prompt was written for a clip of another rate."""
    error = refusal(policy, replace(packed(policy, 1), videos=((clip(3, 96), clip(8, every=0.6)),)))
    assert error.where == "item s1"
    assert "expected" in error.message


def test_frames_that_were_resized_or_sampled_again_are_refused(policy: Policy) -> None:
    error = refusal(policy, replace(packed(policy, 0), videos=((clip(5, 96),),)))
    assert error.where == "item s0"
    assert "12 vision tokens where 27 were due" in error.message
    picture = (SHOWN[2][0], clip(1, 96, STILL))
    assert refusal(policy, replace(packed(policy, 2), videos=(picture,))).where == "item s2"


def test_a_guessed_frame_rate_is_refused_where_a_model_only_knows_the_spacing(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for Qwen2.5-VL, which writes no times and takes seconds per group of frames; 24 a second is its guess."""
    monkeypatch.setattr(policy.prover, "family", FAMILIES["qwen2_5_vl"])
    right = packed(policy, 1)
    right.inputs["second_per_grid_ts"] = torch.tensor([0.96, 0.96])
    checks.check_prompt(policy, right)
    right.inputs["second_per_grid_ts"] = torch.tensor([0.96, 2 / 24])
    error = refusal(policy, right)
    assert error.where == "item s1"
    assert "0.083" in error.message


# --- what comes back ------------------------------------------------------------------------------------------


def rollouts() -> Rollouts:
    """Two answers to each of two questions."""
    mask = torch.tensor([[1, 1, 0], [1, 1, 1], [1, 0, 0], [1, 1, 0]], dtype=torch.bool)
    logprobs = torch.where(mask, torch.tensor(-1.0), torch.tensor(0.0))
    return Rollouts(torch.ones(4, 3, dtype=torch.long), mask, logprobs, ["a"] * 4, [True] * 4)


def test_the_gap_is_a_mean_over_each_questions_tokens() -> None:
    found = rollouts()
    trainer = found.logprobs.clone()
    trainer[1, 2] += 1.0
    trainer[3, 1] -= 0.6
    trainer[0, 2] = 99.0  # padding
    gap, largest = checks.gaps(trainer - found.logprobs, found.mask, 2)
    assert gap.tolist() == pytest.approx([1 / 5, 0.6 / 3])
    assert largest == pytest.approx(1.0)


def test_a_question_above_the_limit_is_named_though_the_mean_is_below() -> None:
    pair = Packed((asked("fine", 0), asked("other", 0)), ((), ()), {})
    checks.check_logprob_gap(torch.tensor([0.01, 0.09]), pair, 0.1)
    for worst in (0.11, float("nan"), float("inf")):
        with pytest.raises(ViubenchError, match=r"above 0\.1") as refused:
            checks.check_logprob_gap(torch.tensor([0.0, worst]), pair, 0.1)
        assert refused.value.where == "item other"


class TestPatience:
    """A run that cannot learn ends, and one that sometimes can goes on."""

    def whole(self, parsed: float, equal: float) -> Diagnostics:
        return Diagnostics(0.5, 0.0, parsed, equal, 1.0, 0.1, 4.0, ())

    def test_answers_that_are_never_read_end_it(self) -> None:
        patience = checks.Patience(3)
        for parsed in (0, 0, 0.01, 0, 0):
            patience.update(self.whole(parsed, 0.9))
        with pytest.raises(ViubenchError, match="no answer of the last 3 steps could be read") as refused:
            patience.update(self.whole(0, 0.9))
        assert "OUT/answers" in str(refused.value.hint)
        assert refused.value.exit_code != 0

    def test_groups_that_never_vary_end_it(self) -> None:
        patience = checks.Patience(2)
        for equal in (1, 0.99, 1):
            patience.update(self.whole(0.5, equal))
        with pytest.raises(ViubenchError, match="in the last 2 steps all answers to a question had the same reward"):
            patience.update(self.whole(0.5, 1))

    def test_no_patience_is_no_end(self) -> None:
        patience = checks.Patience(0)
        for _ in range(50):
            patience.update(self.whole(0, 1))


# --- what the policy has become -------------------------------------------------------------------------------


def seen(answers: list[Any]) -> dict[str, Diagnostics]:
    return {"t": Diagnostics(0.5, 0.0, 1.0, 0.0, 1.0, 0.1, 4.0, tuple(answers))}


def monitor(said: list[str], *, stop: bool = False) -> checks.CollapseMonitor:
    return checks.CollapseMonitor({"t": 0.2}, stop=stop, warn=said.append)


def test_a_healthy_policy_raises_no_alarm() -> None:
    said: list[str] = []
    monitored = monitor(said, stop=True)
    for step in range(40):
        alarms = monitored.update("training", seen([f"{step}.{at}" for at in range(8)]))
        monitored.report(alarms)
        assert not alarms
    assert not said


def test_an_alarm_is_logged_each_time_and_said_once() -> None:
    said: list[str] = []
    monitored = monitor(said)
    told = []
    for _ in range(10):
        alarms = monitored.update("training", seen(["1.0-4.0"] * 8))
        monitored.report(alarms)
        told.append(alarms)
    assert [bool(alarms) for alarms in told] == [False] * 7 + [True] * 3
    assert told[-1]["alarm/t"].startswith("training: 1.0-4.0 answers 100% of the last 64 questions")
    assert len(said) == 1


def test_an_alarm_stops_the_run_where_it_shall() -> None:
    monitored = monitor([], stop=True)
    with pytest.raises(ViubenchError, match="the answers to t have collapsed: validation: a answers 100%"):
        monitored.report(monitored.update("validation", seen(["a"] * 64)))


def test_steps_and_looks_are_told_apart() -> None:
    """A look's answers are greedy ones to the same questions each time: they say nothing about those of a step."""
    monitored = monitor([])
    assert not monitored.update("validation", seen(["a"] * 32))
    assert not monitored.update("training", seen(["a"] * 32))


def test_what_was_seen_survives_a_restart_and_stays_small() -> None:
    one, other = monitor([]), monitor([])
    for step in range(60):
        one.update("training", seen([f"{step}.{at}" for at in range(8)]))
    other.restore(json.loads(json.dumps(one.state())))
    assert other.state() == one.state()
    kept = one.state()["training/t"]
    assert len(kept["first"]) == len(kept["last"]) == rewards.MIN_QUESTIONS
    for _ in range(8):
        alarms = [
            monitored.update("training", seen(["a", "b", "c", "d", "e", "f", "g", None])) for monitored in (one, other)
        ]
    assert (
        alarms[0]
        == alarms[1]
        == {"alarm/t": "training: different answers fell from 64 in the first 64 questions to 7 in the last"}
    )
