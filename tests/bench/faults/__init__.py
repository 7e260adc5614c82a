"""Runs under fire: random schedules of faults, after which a run must end as one that met none.

Example:
    campaign = run(runs=20, seed=0)
    print(table(campaign))
"""

from tests.bench.faults.campaign import run
from tests.bench.faults.tally import broken, table

__all__ = ["broken", "run", "table"]
