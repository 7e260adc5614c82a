"""All judges of one run: what each found, and how far they agree on the answers that at least two of them judged.

Example:
    panel(Path("runs/a")).alpha
    # {'mvbench': 0.87}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from viubench.errors import ViubenchError
from viubench.judging import rulings
from viubench.judging.verdict_log import FOLDER
from viubench.schema import Judged, Panel
from viubench.scoring.aggregate import rounded
from viubench.stats import agreement
from viubench.storage.record_log import Key
from viubench.storage.run_dir import read_file

JUDGED = "judged.json"
PANEL = "panel.json"


def judges(run: Path) -> list[Judged]:
    """What the judges of a run found, by name. Raises ViubenchError where that cannot be read."""
    return [read_file(path.parent, path.name, Judged) for path in sorted((run / FOLDER).glob(f"*/{JUDGED}"))]


def panel(run: Path, metrics: Mapping[str, str]) -> Panel | None:
    """How far the judges of a run agree, by the score that `metrics` names for each task; None where there is one
    judge. The scores 0 and 1 are names, others numbers."""
    found = judges(run)
    if len(found) < 2:
        return None
    scores = [_scores(run / FOLDER / one.judge, metrics) for one in found]
    alpha: dict[str, float | None] = {}
    counts: dict[str, int] = {}
    for task in sorted({task for own in scores for task in own}):
        answers = sorted({key for own in scores for key in own.get(task, {})})
        units = [[own.get(task, {}).get(key) for own in scores] for key in answers]
        shared = [unit for unit in units if sum(value is not None for value in unit) > 1]
        whole = all(value in (0.0, 1.0, None) for unit in shared for value in unit)
        value = agreement.alpha(shared, agreement.nominal if whole else agreement.interval)
        alpha[task], counts[task] = None if value is None else rounded(value), len(shared)
    return Panel(judges=[one.judge for one in found], alpha=alpha, n=counts)


def read_panel(run: Path) -> Panel | None:
    """The agreement of the judges of a run as it was last written; ViubenchError where that cannot be read."""
    return read_file(run / FOLDER, PANEL, Panel) if (run / FOLDER / PANEL).exists() else None


def _scores(folder: Path, metrics: Mapping[str, str]) -> dict[str, dict[Key, float]]:
    """The scores a judge gave, by task and answer; judge errors are none."""
    scores: dict[str, dict[Key, float]] = {}
    try:
        answers = rulings.read(folder)
    except (OSError, ValueError) as error:
        raise ViubenchError(f"the verdicts cannot be read: {error}", where=str(folder), hint="judge it again") from None
    for one in answers:
        if one.status == "ok":
            scores.setdefault(one.task, {})[one.id, one.number] = one.scores.get(metrics[one.task], 0.0)
    return scores
