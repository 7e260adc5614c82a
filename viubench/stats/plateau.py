"""Where more stops helping: the smallest of several settings that is as good as any of the others, within a margin.

Example:
    >>> videos = [str(k) for k in range(400)]
    >>> scores = [[float(k % 10 < right) for k in range(400)] for right in (3, 6, 6)]
    >>> plateau([[(1.0, own, videos)] for own in scores], margin=0.02).enough
    1

A setting is enough where each of its paired differences to the other settings has a lower bound above minus the margin.
No best setting is picked from the data first, so that none is flattered by chance: a setting that is enough is not
worse than the best by more than the margin, whichever that is (an intersection-union test: Berger, "Multiparameter
hypothesis testing and acceptance sampling" (1982)). With K settings the bounds are one-sided ones at alpha / (K - 1)
(Bonferroni: all but the best may be wrongly named), so that any that is not enough is named with a chance of at most
alpha.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from viubench.stats.estimates import Part
from viubench.stats.paired_differences import Difference, needed, paired


@dataclass(frozen=True)
class Plateau:
    """What the rule says of settings, by their place.

    Attributes:
        bounds: of each setting the lowest bound of its differences to the others, in [-1, 1].
        enough: the first setting whose bound is above minus the margin; None where there is none.
        units: where there is none, how many units would show it of the setting with the highest bound, were it as good
            as the others; None where this cannot be said.
    """

    bounds: tuple[float, ...]
    enough: int | None
    units: int | None


def plateau(settings: Sequence[Sequence[Part]], margin: float, alpha: float = 0.05) -> Plateau:
    """The rule, over settings from the smallest to the largest.

    Args:
        settings: the parts of each setting's headline, over the same units in the same order.
        margin: a loss that does not matter, in (0, 1).

    Raises:
        ValueError: fewer than two settings, or other units.
    """
    if len(settings) < 2:
        raise ValueError("one setting alone has no plateau")
    each = alpha / (len(settings) - 1)
    found: list[list[Difference]] = [
        [paired(other, own, 1 - 2 * each) for other in settings if other is not own] for own in settings
    ]
    bounds = tuple(min(difference.low for difference in to_others) for to_others in found)
    enough = next((place for place, bound in enumerate(bounds) if bound > -margin), None)
    if enough is not None:
        return Plateau(bounds, enough, None)
    best = max(range(len(bounds)), key=bounds.__getitem__)
    sizes = [needed(difference, margin, each) for difference in found[best]]
    return Plateau(bounds, None, None if None in sizes else max(size for size in sizes if size is not None))
