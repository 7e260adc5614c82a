"""Advantages, KL and loss against a slow float64 reference: plain Python, written from the published formulas."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import grpo_oracle
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

TOLERANCE = {"rel": 1e-9, "abs": 1e-12}


# --- the reference --------------------------------------------------------------------------------------------


def group_advantages(rewards: list[float], scale_rewards: str) -> list[float]:
    """arXiv 2402.03300, 4.1.2, with the epsilon stated in our docstring; a constant group has no advantage."""
    if all(reward == rewards[0] for reward in rewards):
        return [0.0] * len(rewards)
    mean = math.fsum(rewards) / len(rewards)
    spread = math.sqrt(math.fsum((reward - mean) ** 2 for reward in rewards) / (len(rewards) - 1))
    return [(reward - mean) / (spread + 1e-6 if scale_rewards == "group" else 1.0) for reward in rewards]


@dataclass(frozen=True)
class Batch:
    """Rows of tokens: log-probabilities now, when sampled, and under the reference; None: not an answer token."""

    now: list[list[float]]
    old: list[list[float]]
    reference: list[list[float]]
    mask: list[list[bool]]
    advantages: list[float]
    clip: float | None
    beta: float

    def loss(self, behaviour: list[list[float]]) -> float:
        """`behaviour`: the denominator of the ratio."""
        terms = []
        for row, keep in enumerate(self.mask):
            for token, kept in enumerate(keep):
                if not kept:
                    continue
                now = self.now[row][token]
                ratio = math.exp(now) / math.exp(behaviour[row][token])
                gain = ratio * self.advantages[row]
                if self.clip is not None:
                    clipped = min(max(ratio, 1 - self.clip), 1 + self.clip)
                    gain = min(gain, clipped * self.advantages[row])
                odds = math.exp(self.reference[row][token]) / math.exp(now)
                terms.append(-gain + self.beta * (odds - math.log(odds) - 1))
        return math.fsum(terms) / len(terms)

    def ours(self, **changed: object) -> tuple[object, dict[str, float], object]:
        """Our loss and its diagnostics, and the leaf the gradient is taken of."""
        leaf = torch.tensor(self.now, dtype=torch.float64, requires_grad=True)
        given: dict[str, object] = {
            "old": torch.tensor(self.old, dtype=torch.float64),
            "advantages": torch.tensor(self.advantages, dtype=torch.float64),
            "mask": torch.tensor(self.mask),
            "reference": torch.tensor(self.reference, dtype=torch.float64),
        }
        value, seen = grpo_oracle.loss(leaf, epsilon=self.clip, beta=self.beta, **(given | changed))  # type: ignore[arg-type]
        return value, seen, leaf


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    rows, length = draw(st.integers(1, 4)), draw(st.integers(1, 5))

    def table(entry: st.SearchStrategy[float]) -> list[list[float]]:
        return [[draw(entry) for _ in range(length)] for _ in range(rows)]

    now = table(st.floats(-4, -0.01))
    shift = st.floats(-1, 1)
    old = [[value + step for value, step in zip(*pair, strict=True)] for pair in zip(now, table(shift), strict=True)]
    mask = [[token < n for token in range(length)] for n in (draw(st.integers(0, length)) for _ in range(rows))]
    assume(any(map(any, mask)))
    clip = draw(st.sampled_from([None, 0.1, 0.2, 0.5]))
    advantages = [draw(st.floats(-2, 2)) for _ in range(rows)]
    return Batch(now, old, table(st.floats(-4, -0.01)), mask, advantages, clip, draw(st.sampled_from([0, 1e-3, 0.5])))


# --- advantages -----------------------------------------------------------------------------------------------


@given(
    st.integers(1, 8).flatmap(
        lambda n: st.lists(st.lists(st.sampled_from([0.0, 0.1, 1 / 3, 0.7, 1.0]), min_size=n, max_size=n), min_size=1)
    ),
    st.sampled_from(["group", "none"]),
)
def test_advantages_are_the_formula(groups: list[list[float]], scale_rewards: str) -> None:
    ours = grpo_oracle.advantages(torch.tensor(groups, dtype=torch.float64), scale_rewards).tolist()
    for row, rewards in zip(ours, groups, strict=True):
        assert row == pytest.approx(group_advantages(rewards, scale_rewards), **TOLERANCE)


@pytest.mark.parametrize("scale_rewards", ["group", "none"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_group_without_variance_teaches_nothing(scale_rewards: str, dtype: object) -> None:
    """0.1 added seven times is not 0.7: without care the rounding error would become an advantage of about 1."""
    rewards = torch.tensor([[0.1] * 7, [1 / 3] * 7, [0.0] * 7, [1.0] * 6 + [0.5]], dtype=dtype)
    ours = grpo_oracle.advantages(rewards, scale_rewards)
    assert ours.dtype == dtype
    assert torch.equal(ours[:3], torch.zeros(3, 7, dtype=dtype))
    assert (ours[3] != 0).all()


def test_a_known_group() -> None:
    ours = grpo_oracle.advantages(torch.tensor([[1.0, 0.0, 0.0, 1.0]]), "group")
    assert ours.tolist()[0] == pytest.approx([0.8660239, -0.8660239, -0.8660239, 0.8660239], abs=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=f"finite, not {bad}"):
        grpo_oracle.advantages(torch.tensor([[0.0, 1.0], [bad, 0.5]]), "group")


def test_another_shape_or_normalisation_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[groups, answers\], not \[2\]"):
        grpo_oracle.advantages(torch.tensor([0.0, 1.0]), "group")
    with pytest.raises(ValueError, match="group or none, not 'max'"):
        grpo_oracle.advantages(torch.tensor([[0.0, 1.0]]), "max")  # type: ignore[arg-type]


# --- KL -------------------------------------------------------------------------------------------------------


@given(st.floats(-8, 0), st.floats(-8, 0))
def test_kl_is_the_formula_and_never_negative(now: float, reference: float) -> None:
    odds = math.exp(reference) / math.exp(now)
    ours = grpo_oracle.kl(torch.tensor(now, dtype=torch.float64), torch.tensor(reference, dtype=torch.float64)).item()
    assert ours == pytest.approx(odds - math.log(odds) - 1, rel=1e-9, abs=1e-11)
    assert ours >= 0


def test_the_mean_kl_over_samples_is_the_kl_divergence() -> None:
    """Exact, over a whole vocabulary: the estimator weighted by the policy is sum p log(p / q)."""
    p = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    q = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    estimate = (p * grpo_oracle.kl(p.log(), q.log())).sum().item()
    assert estimate == pytest.approx(sum(a * math.log(a / b) for a, b in zip(p.tolist(), q.tolist(), strict=True)))


def test_kl_near_the_reference_survives_float32() -> None:
    now = torch.tensor(-1e-4, dtype=torch.float32)
    assert grpo_oracle.kl(now, torch.zeros(())).item() == pytest.approx(5e-9, rel=1e-3)


# --- loss -----------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(batches())
def test_loss_is_the_formula(batch: Batch) -> None:
    value, seen, _ = batch.ours()
    assert value.item() == pytest.approx(batch.loss(batch.now if batch.clip is None else batch.old), **TOLERANCE)
    assert value.item() == pytest.approx(seen["policy"] + batch.beta * seen["kl"], **TOLERANCE)
    assert ("clipped" in seen) == (batch.clip is not None)


@settings(max_examples=60)
@given(batches(), st.data())
def test_the_gradient_is_that_of_the_formula(batch: Batch, data: st.DataObject) -> None:
    if batch.clip is not None:  # at the corners there is no derivative to compare with
        ratios = [
            math.exp(a - b) for pair in zip(batch.now, batch.old, strict=True) for a, b in zip(*pair, strict=True)
        ]
        assume(all(abs(abs(ratio - 1) - batch.clip) > 1e-4 for ratio in ratios))
    value, _, leaf = batch.ours()
    value.backward()
    behaviour = batch.now if batch.clip is None else batch.old
    for _ in range(3):
        row = data.draw(st.integers(0, len(batch.now) - 1))
        token = data.draw(st.integers(0, len(batch.now[0]) - 1))
        moved = []
        for step in (1e-6, -1e-6):
            now = [list(values) for values in batch.now]
            now[row][token] += step
            moved.append(replace(batch, now=now).loss(behaviour))
        assert leaf.grad[row][token].item() == pytest.approx((moved[0] - moved[1]) / 2e-6, rel=1e-5, abs=1e-8)


@given(batches())
def test_parts_add_up_to_the_batch(batch: Batch) -> None:
    """Groups pass through the model one by one: their losses, gradients and diagnostics must sum to the batch's."""
    value, seen, leaf = batch.ours()
    value.backward()
    parts = []
    for at in range(len(batch.now)):
        row = slice(at, at + 1)
        part = Batch(batch.now[row], batch.old[row], batch.reference[row], batch.mask[row], batch.advantages[row],
                     batch.clip, batch.beta)  # fmt: skip
        if share := sum(part.mask[0]) / sum(map(sum, batch.mask)):
            loss, told, rows = part.ours()
            (loss * share).backward()
            parts.append((share, loss.item(), told))
            assert torch.allclose(rows.grad, leaf.grad[row], rtol=1e-12, atol=1e-15)
    assert sum(share * loss for share, loss, _ in parts) == pytest.approx(value.item(), **TOLERANCE)
    for key, mean in seen.items():
        assert sum(share * told[key] for share, _, told in parts) == pytest.approx(mean, **TOLERANCE)


@pytest.mark.parametrize("clip", [None, 0.2])
@pytest.mark.parametrize("junk", [math.nan, -math.inf, math.inf, 1e30])
def test_padding_never_reaches_loss_or_gradient(clip: float | None, junk: float) -> None:
    def batch(padding: float) -> Batch:
        return Batch([[-1.0, padding]], [[-1.1, padding]], [[-0.9, padding]], [[True, False]], [1.5], clip, 0.1)

    clean, seen, leaf = batch(0.0).ours()
    dirty, seen_dirty, leaf_dirty = batch(junk).ours()
    clean.backward()
    dirty.backward()
    assert dirty.item() == clean.item()
    assert seen == seen_dirty
    assert leaf_dirty.grad.tolist() == leaf.grad.tolist()
    assert leaf.grad[0][1] == 0


def test_the_first_on_policy_step_is_the_policy_gradient() -> None:
    """Ratio 1: the value is the mean of -A, the gradient -A / tokens, a long answer weighing more than a short one."""
    batch = Batch([[-1.0, -2.0, -3.0], [-0.5, 0.0, 0.0]], [[0.0] * 3] * 2, [[0.0] * 3] * 2,
                  [[True] * 3, [True, False, False]], [1.0, -2.0], None, 0.0)  # fmt: skip
    value, seen, leaf = batch.ours(reference=None, old=None)
    value.backward()
    assert value.item() == -0.25
    assert set(seen) == {"policy"}
    assert leaf.grad.tolist() == [[-0.25] * 3, [0.5, 0.0, 0.0]]


def test_clipping_stops_the_gradient_only_where_it_would_go_too_far() -> None:
    """Ratio 1.5 and clip 0.2: too good already for A > 0 (no gradient), still to be undone for A < 0."""
    for advantage, slope, clipped in ((1.0, 0.0, 1.0), (-1.0, 1.5, 0.0)):
        batch = Batch([[math.log(1.5) - 1]], [[-1.0]], [[0.0]], [[True]], [advantage], 0.2, 0.0)
        value, seen, leaf = batch.ours()
        value.backward()
        assert value.item() == pytest.approx(-1.2 if advantage > 0 else 1.5)
        assert leaf.grad.item() == pytest.approx(slope)
        assert seen["clipped"] == clipped


@pytest.mark.parametrize(
    ("changed", "clip", "message"),
    [
        ({"old": None}, 0.2, "needs the log-probabilities of the rollout"),
        ({"reference": None}, None, "beta = 0.1 needs the reference"),
        ({"mask": torch.zeros(1, 2, dtype=torch.bool)}, None, "no answer token"),
        ({"mask": torch.ones(1, 1, dtype=torch.bool)}, None, r"mask is \[1, 1\], logprobs \[1, 2\]"),
        ({"advantages": torch.ones(2)}, None, r"\[1\], one per answer, not \[2\]"),
    ],
)
def test_what_does_not_fit_is_refused(changed: dict[str, object], clip: float | None, message: str) -> None:
    batch = Batch([[-1.0, -1.0]], [[-1.0, -1.0]], [[-1.0, -1.0]], [[True, True]], [1.0], clip, 0.1)
    with pytest.raises(ValueError, match=message):
        batch.ours(**changed)
