"""The statistics tried on runs that are drawn, so that the truth is known: what they say against what is so.

Example:
    >>> rows = simulate(experiments()[:1], runs=20, seed=0)
    >>> rows[0].what, rows[0].runs
    ('95 % interval of a mean covers', 20)

What is tried is what judges real runs: `viubench.stats.estimates`, `viubench.stats.paired_differences` and
`viubench.comparison.gate.judge`.
"""

from tests.bench.simulation import ends, intervals, verdicts
from tests.bench.simulation.experiment import Experiment, OutcomeRow, simulate

__all__ = ["Experiment", "OutcomeRow", "experiments", "simulate"]


def experiments() -> list[Experiment]:
    """All of them: intervals first, then the gate's verdicts, and both near the ends."""
    return [*intervals.experiments(), *verdicts.experiments(), *ends.experiments()]
