"""Several answers to each question: how far scores spread within and between questions, and the best of k answers.

Example:
    >>> import numpy as np
    >>> scores = np.array([[1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]])
    >>> between, within = components(scores)
    >>> within
    0.5
    >>> best_of(scores, 2).tolist()  # by question
    [1.0, 0.5]

The error of the mean over answers needs nothing of its own: it is that of the questions' means
(`viubench.stats.estimates`), whose variance is the one between questions and the Nth part of the one within
(Miller, "Adding Error Bars to Evals", arXiv 2411.00640, section 3.1).
"""

from __future__ import annotations

import math

import numpy as np

from viubench.stats.estimates import Floats


def components(scores: Floats) -> tuple[float, float]:
    """Standard deviations: between questions, of what each scores on average over all answers a model could give, and
    within a question, of its answers.

    They are the square roots of the variance components of a one-way analysis of variance, a question a group: the
    variance of the questions' means is that between them plus the Nth part of that within them. Where chance makes the
    one between negative, and with a single question, it is 0.

    Args:
        scores: [Q, N], each question's answers, N >= 2.
    """
    within = float(scores.var(axis=1, ddof=1).mean())
    means = float(scores.mean(axis=1).var(ddof=1)) if len(scores) > 1 else 0.0
    return math.sqrt(max(means - within / scores.shape[1], 0.0)), math.sqrt(within)


def best_of(scores: Floats, k: int) -> Floats:
    """[Q] the expected best score among k of each question's N answers, drawn without replacement.

    Of the N answers in ascending order the i-th is the best of those drawn in C(i-1, k-1) of C(N, k) draws. Where
    scores are 0 and 1 that is the unbiased pass@k, 1 - C(N-c, k) / C(N, k) with c right answers (Chen et al.,
    "Evaluating Large Language Models Trained on Code", arXiv 2107.03374, section 2.1).

    Args:
        scores: [Q, N].
        k: in 1..N.
    """
    n = scores.shape[1]
    weights = [math.comb(place, k - 1) / math.comb(n, k) for place in range(n)]
    found: Floats = np.sort(scores, axis=1) @ np.array(weights)
    return found


def ks(n: int) -> list[int]:
    """The k that pass@k is told for, with n answers: the powers of two, and n."""
    return [*(2**power for power in range(n.bit_length()) if 2**power < n), n]
