"""What training items can still teach a model: several answers to each, and how their rewards spread.

Example:
    probe = probe_data("runs/train/checkpoint-000468", "items/train", out="runs/probe", limit=200)
    probe.groups.total.smooth.zero_std.value
    # 0.34: a third of the groups has no advantage
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viubench.api.evaluate import evaluate
from viubench.api.run import Run
from viubench.datasets import pretext_items
from viubench.errors import Exit, ViubenchError
from viubench.reward_groups import saved
from viubench.reward_groups.summary import summary
from viubench.runner.config import PathLike, as_paths
from viubench.schema.reward_groups import RewardGroups
from viubench.tasks.registry import Catalogue
from viubench.video.frame_cache import FrameCache, default_root


@dataclass(frozen=True)
class Probe:
    """The run with the answers, and what their groups can teach."""

    run: Run
    groups: RewardGroups


def probe_data(
    model: Any = None,
    items: PathLike = "",
    *,
    out: PathLike,
    samples: int = 8,
    temperature: float = 1.0,
    **options: Any,
) -> Probe:
    """Sample several answers to each item, as GRPO does, and measure how their rewards spread; into the run folder
    `out`, with `reward-groups.json`. A repeated call resumes the run.

    Args:
        items: a folder of built items.
        samples: answers to each question, 2 or more.
        temperature: of the sampling; give that of the training.
        options: as in `evaluate`.

    Raises:
        ViubenchError: as `evaluate`, and for a run that is invalid, or of one answer to a question.
    """
    run = evaluate(model, items, out=out, samples=samples, temperature=temperature, **options)
    if invalid := run.invalid():
        raise ViubenchError(invalid, where=str(run.path), exit_code=Exit.INVALID_RUN)
    chosen = {name: options[name] for name in ("videos", "frame_cache", "include_path") if name in options}
    return Probe(run, group_rewards(run, items, **chosen))


def group_rewards(
    run: Run | PathLike,
    items: PathLike,
    *,
    videos: PathLike | None = None,
    frame_cache: PathLike | None = None,
    include_path: Any = (),
) -> RewardGroups:
    """What the groups of answers of a finished run on `items` can teach; also written into its folder. Raises
    ViubenchError for a run of one answer to each question, or of other items."""
    folder = run.path if isinstance(run, Run) else Path(run)
    catalogue = Catalogue(as_paths(include_path))
    cache = FrameCache(Path(frame_cache) if frame_cache is not None else default_root())
    built = pretext_items.read(Path(items), catalogue, cache, Path(videos) if videos else None, "--items")
    found = summary(folder, built)
    saved.write(folder, found)
    return found
