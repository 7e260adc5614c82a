"""Runs under fire: random schedules of faults, after which a run must end as one that met none.

Example:
    rows = campaign.run(runs=20, seed=0)
    print(tally.table(rows))
"""
