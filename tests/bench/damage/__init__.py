"""Sound videos damaged on purpose: is the damage told, and if not, what could have told it?

Example:
    rows = measure(sources(folder), files=700, seed=0, frames=24, workers=2)
    rows[0].kind, rows[0].outcome, rows[0].wrong
    # ('h264 mp4', 'corrupt', 0)
"""

from tests.bench.damage.kinds import Source, sources
from tests.bench.damage.table import kept_wrong, table
from tests.bench.damage.trial import DamageRow, measure

__all__ = ["DamageRow", "Source", "kept_wrong", "measure", "sources", "table"]
