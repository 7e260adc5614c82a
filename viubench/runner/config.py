"""What is asked of a run: the options of `viubench run` and the keywords of `viubench.evaluate`, in one place.

Example:
    >>> config = configure("my_model", ["viubench-mini"], engine="vllm", engine_args={"max_in_flight": 8})
    >>> config.tasks, config.engine_args
    (('viubench-mini',), {'max_in_flight': '8'})
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from viubench.engines.base import Engine
from viubench.errors import ViubenchError
from viubench.schema import Protocol, Task

PathLike = str | os.PathLike[str]

FILMSTRIPS = 12
"""Samples of each task whose frames are kept for the pages."""

MAX_ERRORS = 0.01


@dataclass(frozen=True)
class Progress:
    """How far a run is: `done` of `total` in a stage ("building items", "answering", ...), in samples, items or bytes.

    `statuses` counts the records of the stage "answering" by status.
    """

    stage: str
    done: int
    total: int
    statuses: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class EvalConfig:
    """What is asked of a run, as `configure` reads it; None means the task's own setting, or the default place."""

    tasks: tuple[str | Task, ...] = ()
    model: str | None = None
    engine: str | Engine = ""
    base_urls: tuple[str, ...] = ()
    replicas: int | None = None
    videos: Path | None = None
    data_root: Path | None = None
    protocol: str | Protocol | None = None
    frames: int | None = None
    fps: float | None = None
    max_pixels: int | None = None
    limit: int | None = None
    seed: int = 0
    out: Path | None = None
    resume: bool = True
    frame_cache: Path | None = None
    workers: int = 2
    engine_args: Mapping[str, str] = field(default_factory=dict)
    deterministic: bool = False
    include_paths: tuple[Path, ...] = ()
    max_errors: float = MAX_ERRORS
    filmstrips: int = FILMSTRIPS
    debug: bool = False
    progress: Callable[[Progress], None] | None = None
    argv: tuple[str, ...] = ()


def configure(
    model: PathLike | Engine | None = None,
    tasks: PathLike | Task | Sequence[PathLike | Task] = (),
    *,
    engine: str | Engine | None = None,
    base_url: str | Iterable[str] = (),
    replicas: int | None = None,
    videos: PathLike | None = None,
    data_root: PathLike | None = None,
    protocol: PathLike | Protocol | None = None,
    frames: int | None = None,
    fps: float | None = None,
    max_pixels: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    out: PathLike | None = None,
    resume: bool = True,
    frame_cache: PathLike | None = None,
    workers: int = 2,
    engine_args: Mapping[str, Any] | None = None,
    deterministic: bool = False,
    include_path: PathLike | Iterable[PathLike] = (),
    max_errors: float = MAX_ERRORS,
    filmstrips: int = FILMSTRIPS,
    debug: bool = False,
    progress: Callable[[Progress], None] | None = None,
    argv: Sequence[str] = (),
) -> EvalConfig:
    """The options of a run, checked and of one form.

    Args:
        model: checkpoint folder, hub id, the server's name of the model, a server's URL, or an `Engine`.
        tasks: tasks and suites by name (also `lmms:NAME`), YAML files, folders of built items, folders of task files,
            and `Task` objects, mixed; a text may hold several, separated by commas.
        engine: vllm, hf, server, ray:vllm, ray:hf, random, blind, oracle, an engine of an installed plugin, or an
            `Engine`; by default server where there is a URL, else vllm where it is installed, else hf.
        base_url: OpenAI-compatible endpoints; several share the load.
        replicas: engine processes, a GPU each (`tensor_parallel_size` GPUs each).
        videos: folder of videos to build pretext items from.
        data_root: folder with built items or benchmark data.
        protocol: a protocol by name, YAML file or object, instead of the task's.
        frames, fps, max_pixels: frames of a video at most, frames a second, pixels of a frame at most.
        limit: the first so many samples of each task.
        seed: of items and of the random engine.
        out: run folder; a temporary one, deleted with the returned run, where None.
        resume: keep the records that are there; False starts the folder again.
        frame_cache: where decoded frames are kept.
        workers: decoding processes, of each replica.
        engine_args: settings of the engine; values that are not text are written as JSON.
        deterministic: an answer depends on its request alone; slower.
        include_path: more folders with task files.
        max_errors: share of media and engine errors in [0, 1] above which the run is invalid.
        filmstrips: samples of each task whose frames are kept for the pages.
        debug: print the engine's own log.
        progress: called as the run goes on.
        argv: the command, for the manifest.

    Raises:
        ViubenchError: no task, no model where one is needed, or a value out of range.
    """
    urls = [base_url] if isinstance(base_url, str) else list(base_url)
    if isinstance(model, Engine):
        model, engine = None, model
    name = None if model is None else os.fspath(model)
    if name is not None and name.startswith(("http://", "https://")):
        urls, name = [name, *urls], None
    _check(workers=(workers, 1), limit=(limit, 1), frames=(frames, 1), fps=(fps, 0.01), max_pixels=(max_pixels, 1024),
           replicas=(replicas, 1), filmstrips=(filmstrips, 0))  # fmt: skip
    return EvalConfig(
        tasks=tuple(_names(tasks)),
        model=name,
        engine=engine or default_engine(name, urls),
        base_urls=tuple(urls),
        replicas=replicas,
        videos=_path(videos),
        data_root=_path(data_root),
        protocol=protocol if protocol is None or isinstance(protocol, Protocol) else os.fspath(protocol),
        frames=frames,
        fps=fps,
        max_pixels=max_pixels,
        limit=limit,
        seed=seed,
        out=_path(out),
        resume=resume,
        frame_cache=_path(frame_cache),
        workers=workers,
        engine_args={k: v if isinstance(v, str) else json.dumps(v) for k, v in (engine_args or {}).items()},
        deterministic=deterministic,
        include_paths=paths(include_path),
        max_errors=max_errors,
        filmstrips=filmstrips,
        debug=debug,
        progress=progress,
        argv=tuple(argv),
    )


def default_engine(model: str | None, base_urls: Sequence[str]) -> str:
    """The engine when none was named: a server where there is an address, vLLM where installed, else transformers."""
    if base_urls:
        return "server"
    if model is None:
        raise ViubenchError("no model was named", where="--model", hint="or choose --engine random, blind or oracle")
    return "vllm" if find_spec("vllm") else "hf"


def _check(**options: tuple[float | None, float]) -> None:
    for option, (value, least) in options.items():
        if value is not None and value < least:
            raise ViubenchError(f"{option} is {value:g}: at least {least:g} is needed", where=option)


def _names(tasks: PathLike | Task | Sequence[PathLike | Task]) -> list[str | Task]:
    several = [tasks] if isinstance(tasks, str | os.PathLike | Task) else tasks
    names: list[str | Task] = []
    for one in several:
        if isinstance(one, str):  # a path may hold a comma
            names += [one] if Path(one).exists() else [part.strip() for part in one.split(",") if part.strip()]
        else:
            names.append(one if isinstance(one, Task) else os.fspath(one))
    if not names:
        raise ViubenchError("no task was named", hint="for example: --tasks viubench-mini")
    return names


def paths(given: PathLike | Iterable[PathLike]) -> tuple[Path, ...]:
    """One path or several."""
    return tuple(map(Path, [given] if isinstance(given, str | os.PathLike) else given))


def _path(value: PathLike | None) -> Path | None:
    return None if value is None else Path(value)
