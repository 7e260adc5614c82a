"""Numbers and names as a reader expects them, on pages and in terminals.

Example:
    >>> percent(0.5193), points(-0.0512), number(0.0000234), p_value(0.0312)
    ('51.9', '−5.1', '2.34e−5', '0.031')
    >>> short_names(["viubench_count_easy", "viubench_count_hard"])
    {'viubench_count_easy': 'easy', 'viubench_count_hard': 'hard'}
    >>> middle_cut("Qwen3-VL-8B-Instruct-step-400", 16)
    'Qwen3-V…step-400'
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile


def percent(fraction: float | None, digits: int = 1) -> str:
    """0.5193 -> "51.9"; a dash for none."""
    return "–" if fraction is None else f"{round(100 * fraction, digits) + 0.0:.{digits}f}".replace("-", "−")


def points(difference: float | None) -> str:
    """A difference in percentage points: 0.0512 -> "+5.1", with a true minus sign; a dash for none."""
    return "–" if difference is None else f"{round(100 * difference, 1) + 0.0:+.1f}".replace("-", "−")


def interval(low: float, high: float) -> str:
    """A confidence interval in percent: "49.5–54.3"."""
    return f"{percent(low)}–{percent(high)}"


def with_interval(value: float, low: float, high: float) -> str:
    """ "51.9 (49.5–54.3)", in percent."""
    return f"{percent(value)} ({interval(low, high)})"


def points_interval(ci: tuple[float, float]) -> str:
    """An interval of a difference: "+2.1 to +5.9"."""
    return f"{points(ci[0])} to {points(ci[1])}"


def number(value: float) -> str:
    """Three digits: 0.0123, 4.56, 1,234, and 2e−5 for the very small and large."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return (f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}").replace("-", "−")
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}".replace("-", "−")


def p_value(p: float | None) -> str:
    """0.0312 -> "0.031", and "< 0.001" below that; a dash for none."""
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def counted(count: int, noun: str) -> str:
    """ "1 checkpoint", "1,200 checkpoints"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def middle_cut(name: str, most: int) -> str:
    """A name in at most `most` characters, 3 or more: names of checkpoints differ at their ends."""
    return name if len(name) <= most else f"{name[: most - most // 2 - 1]}…{name[-(most // 2) :]}"


def short_names(tasks: Sequence[str]) -> dict[str, str]:
    """Task names without the first words all of them share: viubench_count_easy -> "count easy"."""
    words = [name.split("_") for name in tasks]
    alike = takewhile(lambda heads: len(set(heads)) == 1 < len(heads), zip(*words, strict=False))
    shared = len(list(alike))
    return {name: " ".join(parts[shared:]) or name for name, parts in zip(tasks, words, strict=True)}
