"""Where models break, from Python: thresholds on axes of difficulty, each found in few questions.

Example:
    found = find_frontier("my_model", videos="clips", axes="jigsaw.clips,counting.instances", out="frontiers/mine")
    found.axes["jigsaw.clips"].statement
    # '4.3 clips (3.8 to 5.1)'
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from viubench.frontier.run import FILE, FrontierOptions, FrontierRun
from viubench.runner.config import EvalConfig, PathLike
from viubench.runner.event_loop import in_event_loop
from viubench.schema.frontier import FrontierReport
from viubench.storage.run_dir import read_file, read_manifest


def find_frontier(
    model: Any = None,
    *,
    videos: PathLike,
    out: PathLike,
    axes: str | Sequence[str] | None = None,
    levels: Mapping[str, Sequence[float]] | None = None,
    recipe: str = FrontierOptions.recipe,
    questions: int = FrontierOptions.questions,
    width: float = FrontierOptions.width,
    batch: int = FrontierOptions.batch,
    **options: Any,
) -> FrontierReport:
    """Find for each axis the difficulty at which a model stands half way between guessing and all right.

    A search that is repeated resumes; its folder is a run folder with `frontier.json` instead of `results.json`.

    Args:
        videos: a folder of videos that the items are made from.
        out: the run folder.
        axes: names with commas between, such as "jigsaw.clips,grounding.strength:noise"; all by default.
        levels: other values of an axis by its name, from the easiest to the hardest.
        recipe: whose first task of each kind, and whose frames, the items are made with.
        questions: of each axis, at most.
        width: an axis is done once its 95 % interval is no wider, in levels.
        batch: questions of an axis in a round.
        options: as in `evaluate`, but tasks.

    Raises:
        ViubenchError: an unknown axis, levels that cannot be made, or as `evaluate` does.
    """
    given = {} if axes is None else {"axes": axes}
    chosen = FrontierOptions(**given, levels=levels, recipe=recipe, questions=questions, width=width, batch=batch)
    config = EvalConfig(model, videos=videos, out=out, **options)
    with FrontierRun.start(config, chosen) as run:
        in_event_loop(run.answer())
        run.finish()
    return load_frontiers([out])[0]


def load_frontiers(paths: Iterable[PathLike]) -> list[FrontierReport]:
    """The reports of finished searches by their folders; raises ViubenchError for a folder that is none."""
    for path in map(Path, paths):
        read_manifest(path)
    return [read_file(Path(path), FILE, FrontierReport) for path in paths]
