"""The GRPO loss: group advantages, the KL penalty against the reference, and the loss over answer tokens.

Example:
    >>> import torch
    >>> advantages(torch.tensor([[1.0, 0.0], [0.5, 0.5]]), "none").tolist()
    [[0.5, -0.5], [0.0, 0.0]]

r is a reward, A an advantage, pi the policy under the rollout temperature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

STD_EPSILON = 1e-6
"""Added to a group's standard deviation, as verl's GRPO does; rewards in [0, 1] that differ are far above it."""


def advantages(rewards: Tensor, scale_rewards: Literal["group", "none"]) -> Tensor:
    """Group-relative advantages: A = (r - mean) / (std + 1e-6) within each group, or A = r - mean.

    Source: arXiv 2402.03300, section 4.1.2 (outcome supervision), which the VideoSSR paper uses unchanged; `none`
    does not divide (arXiv 2503.20783). The standard deviation is that of a sample (n - 1), as in verl.

    From float [G, n], n rewards of each of G groups, to the same shape and dtype, without gradient; exactly 0 for a
    group whose rewards are all equal.

    Raises:
        ValueError: a reward that is not finite, another shape, or another `scale_rewards`.
    """
    if scale_rewards not in ("group", "none"):
        raise ValueError(f"scale_rewards must be group or none, not {scale_rewards!r}")
    if rewards.ndim != 2 or not rewards.numel():
        raise ValueError(f"rewards must be [groups, answers], not {list(rewards.shape)}")
    values = rewards.detach().double()
    if not bool(values.isfinite().all()):
        raise ValueError(f"rewards must be finite, not {values[~values.isfinite()][0].item()}")
    centred = values - values.mean(1, keepdim=True)
    if scale_rewards == "group":
        spread = (centred.square().sum(1, keepdim=True) / max(1, values.shape[1] - 1)).sqrt()
        centred = centred / (spread + STD_EPSILON)
    # The mean of equal numbers may be off by a rounding error.
    equal = values.amax(1, keepdim=True) == values.amin(1, keepdim=True)
    return centred.masked_fill(equal, 0.0).to(rewards.dtype)


def kl(logprobs: Tensor, reference: Tensor) -> Tensor:
    """Estimate of KL(pi || reference) at each token: exp(d) - d - 1 with d = log reference - log pi; never negative.

    Source: k3 of J. Schulman, "Approximating KL Divergence" (2020); equation 4 of arXiv 2402.03300.
    Tensors are float, of any one shape; `reference` is a constant of the gradient.
    """
    import torch

    difference = reference.detach() - logprobs
    # expm1: near the reference the result is d^2 / 2, which exp(d) - 1 loses to rounding in float32.
    return torch.expm1(difference) - difference


def loss(
    logprobs: Tensor,
    old: Tensor | None,
    advantages: Tensor,
    mask: Tensor,
    reference: Tensor | None,
    *,
    epsilon: float | None,
    beta: float,
) -> tuple[Tensor, dict[str, float]]:
    """The mean over all answer tokens of -min(ratio A, clipped ratio A) + beta KL.

    With `epsilon`: ratio = pi / old, clipped to [1 - epsilon, 1 + epsilon] (equation 3 of arXiv 2402.03300, after PPO,
    arXiv 1707.06347). Without: ratio = pi / (pi without gradient), which is 1 and has the gradient of log pi, the
    on-policy policy gradient; `old` is not read. Every token weighs the same whatever the length of its answer
    (token-mean, verl's default, where the GRPO paper averages each answer first), so the losses of parts of a batch,
    weighted by their shares of its answer tokens, add up to that of the batch, and so do gradients and diagnostics.

    Args:
        logprobs: float [B, L], log pi of the sampled tokens, with gradient.
        old: float [B, L], log-probabilities when they were sampled; needed with `epsilon`.
        advantages: float [B], one per answer.
        mask: bool [B, L], True on answer tokens; what the tensors hold elsewhere does not matter.
        reference: float [B, L], log-probabilities under the reference; needed when `beta` is not 0.
        epsilon: half width of the clipping range, in (0, 1), or None.

    Returns:
        The scalar to minimise, and the diagnostics `policy` (its first term), `kl` (when a reference is given) and
        `clipped` (share of the tokens whose gradient the clipping removes; with `epsilon` only).

    Raises:
        ValueError: shapes that do not fit, no answer token, `epsilon` without `old`, or `beta` without `reference`.
    """
    import torch

    _check(logprobs, advantages, epsilon, beta, old=old, mask=mask, reference=reference)
    count = int(mask.sum())

    def masked(values: Tensor) -> Tensor:
        # First of all: padding may hold -inf, and 0 * inf is NaN.
        return values.masked_fill(~mask, 0.0)

    current = masked(logprobs)
    before = current.detach() if epsilon is None or old is None else masked(old.detach())
    ratio = torch.exp(current - before)
    weight = advantages.detach().to(ratio.dtype).unsqueeze(1)
    gain = ratio * weight
    diagnostics: dict[str, float] = {}
    if epsilon is not None:
        bounded = ratio.clamp(1 - epsilon, 1 + epsilon) * weight
        diagnostics["clipped"] = float((masked(gain.detach()) > masked(bounded.detach())).sum()) / count
        gain = torch.minimum(gain, bounded)
    total = -masked(gain).sum() / count
    diagnostics["policy"] = float(total.detach())
    if reference is not None:
        penalty = masked(kl(current, masked(reference))).sum() / count
        diagnostics["kl"] = float(penalty.detach())
        total = total + beta * penalty
    return total, diagnostics


def _check(logprobs: Tensor, advantages: Tensor, epsilon: float | None, beta: float, **others: Tensor | None) -> None:
    """ValueError where the arguments of `loss` do not fit together; broadcasting would hide a wrong shape."""
    for name, values in others.items():
        if values is not None and values.shape != logprobs.shape:
            raise ValueError(f"{name} is {list(values.shape)}, logprobs {list(logprobs.shape)}")
    if advantages.shape != logprobs.shape[:1]:
        raise ValueError(f"advantages must be [{logprobs.shape[0]}], one per answer, not {list(advantages.shape)}")
    if (mask := others["mask"]) is None or not bool(mask.any()):
        raise ValueError("no answer token to learn from")
    if epsilon is not None and others["old"] is None:
        raise ValueError("the clipped loss needs the log-probabilities of the rollout")
    if beta and others["reference"] is None:
        raise ValueError(f"beta = {beta} needs the reference's log-probabilities")
