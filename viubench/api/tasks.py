"""The task catalogue from Python, and items built from any videos.

Example:
    >>> "viubench_count_easy" in list_tasks()
    True
    >>> get_task("viubench_count_easy").metric
    'exact'
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path

from viubench.datasets.questions import table
from viubench.datasets.questions.understanding import understand
from viubench.errors import ViubenchError
from viubench.pretext import build
from viubench.pretext.build import BuildReport
from viubench.reward_groups import saved as reward_groups
from viubench.reward_groups.proposal import Proposal, propose
from viubench.runner.config import PathLike, Progress, Rows, as_paths
from viubench.runner.parallel.ray_cluster import cluster
from viubench.runner.parallel.ray_pool import RayPool
from viubench.schema import Recipe, Suite, Task
from viubench.tasks.registry import Catalogue, load_task
from viubench.video import cores
from viubench.video.frame_cache import FrameCache, default_root

log = logging.getLogger("viubench")


def list_tasks(include_path: PathLike | Iterable[PathLike] = ()) -> list[str]:
    """The names of all tasks."""
    return sorted(_catalogue(include_path).task_files)


def list_suites(include_path: PathLike | Iterable[PathLike] = ()) -> dict[str, list[str]]:
    """The names of all suites, and the tasks of each."""
    return {name: list(suite.tasks) for name, suite in sorted(_catalogue(include_path).suites.items())}


def get_task(name: PathLike, include_path: PathLike | Iterable[PathLike] = ()) -> Task:
    """A task by name, or from a YAML file; raises ViubenchError with the nearest names where there is none."""
    text = os.fspath(name)
    return load_task(Path(text)) if text.endswith((".yaml", ".yml")) else _catalogue(include_path).task(text)


def new_task(
    questions: PathLike | Rows,
    *,
    name: str = "",
    videos: PathLike | None = None,
    columns: Mapping[str, str] | None = None,
    answer_kind: str | None = None,
) -> str:
    """The task file, as YAML, of a file of your own questions or a table of them; what was understood is logged.

    Args:
        name: of the task, by default the file's.
        videos: a folder its videos may lie in, beside the file's own.
        columns, answer_kind: as in `evaluate`.

    Raises:
        ViubenchError: the file cannot be read, or what its columns or answers mean is not clear.
    """
    found = table.read(Path(questions) if isinstance(questions, str | os.PathLike) else questions, table.embedded())
    homes = [Path(found.path).parent if found.path else Path()]
    own = understand(found, [Path(videos), *homes] if videos else homes, columns, answer_kind, name)
    for line in own.lines:
        log.info("%s", line)
    return own.yaml()


def get_suite(name: str, include_path: PathLike | Iterable[PathLike] = ()) -> Suite:
    """A suite by name; raises ViubenchError where there is none."""
    suites = _catalogue(include_path).suites
    if name not in suites:
        raise ViubenchError(f"unknown suite: {name!r}", hint=f"known: {', '.join(sorted(suites))}")
    return suites[name]


def build_items(
    recipe: PathLike | Recipe,
    videos: PathLike,
    out: PathLike,
    *,
    seed: int = 0,
    live: bool = False,
    n: int | None = None,
    fitted_to: PathLike | None = None,
    proposed: Callable[[Proposal], None] = lambda proposal: None,
    frames: int | None = None,
    max_pixels: int | None = None,
    workers: int | None = None,
    ray: str | None = None,
    materialize: bool = False,
    frame_cache: PathLike | None = None,
    include_path: PathLike | Iterable[PathLike] = (),
    progress: Callable[[Progress], None] | None = None,
) -> BuildReport:
    """Build pretext items from any videos, into `out/items.jsonl` and `out/build.json`.

    Args:
        recipe: a recipe by name (viubench, viubench-mini, videossr-30k), YAML file or object.
        videos: folder of videos; it is only read.
        seed: equal seeds give equal items.
        live: items that nobody can have seen: the seed is drawn from the system's entropy, and kept in `build.json`.
        n: items of each task, instead of the recipe's numbers.
        fitted_to: a run of `probe_data` on items of this recipe: as many items, where the rewards of its groups varied.
        proposed: called with the recipe that is built then.
        frames: frames of a video that items are made of, instead of the recipe's; a run may show fewer of them.
        max_pixels: pixels of a frame at which items are proved answerable and written as pictures, at most.
        workers: processes, by default one for each core that may be used; the items do not depend on it.
        ray: address of a Ray cluster to build on ("auto" or "local" too).
        materialize: also write the shown frames as pictures.

    Raises:
        ViubenchError: no usable video, an unknown recipe, a task without an item, or a run that is not of `probe_data`.
    """
    if live:
        seed = _fresh_seed(Path(out), seed)
    catalogue = _catalogue(include_path)
    chosen = recipe if isinstance(recipe, Recipe) else catalogue.recipe(os.fspath(recipe))
    proposal = None if fitted_to is None else _fitted(chosen, catalogue, Path(fitted_to), n)
    if proposal is not None:
        proposed(proposal)
        chosen, n = proposal.recipe, None
    report = progress or (lambda _: None)
    workers = workers or cores.workers()
    with nullcontext() if ray is None else cluster(ray, cores=workers):
        return build.build(
            chosen, catalogue.tasks_of(chosen), Path(videos), Path(out), seed=seed, n=n, frames=frames,
            max_pixels=max_pixels, about=None if proposal is None else proposal.about(), workers=workers,
            materialize=materialize,
            pool_of=None if ray is None else RayPool,
            cache=FrameCache(Path(frame_cache) if frame_cache is not None else default_root()),
            scanned=lambda done, total: report(Progress("reading videos", done, total)),
            progress=lambda done, total: report(Progress("building items", done, total)),
        )  # fmt: skip


def _fitted(recipe: Recipe, catalogue: Catalogue, run: Path, n: int | None) -> Proposal:
    sized = [entry.model_copy(update={"n": n or entry.n}) for entry in recipe.items]
    return propose(recipe.model_copy(update={"items": sized}), catalogue.tasks_of(recipe), reward_groups.read(run))


def _fresh_seed(out: Path, seed: int) -> int:
    """63 bits of entropy; ViubenchError where a seed was chosen, or where a set would be lost that nobody could draw
    again but by its seed."""
    if seed:
        raise ViubenchError("a live set draws its seed itself", where="--seed", hint="leave --seed or --live out")
    if (out / "build.json").exists():
        hint = "name another folder; the seed in build.json makes this set again: --seed"
        raise ViubenchError(f"{out} holds a set already", where="--out", hint=hint)
    return secrets.randbits(63)


def _catalogue(include_path: PathLike | Iterable[PathLike]) -> Catalogue:
    return Catalogue(as_paths(include_path))
