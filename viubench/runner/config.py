"""The configuration of a run: the options of `viubench run`, which are the keywords of `viubench.evaluate`.

Example:
    >>> config = EvalConfig("my_model", ["viubench-mini"], engine="vllm", engine_args={"max_in_flight": 8})
    >>> config.names, config.engine_settings
    (('viubench-mini',), {'max_in_flight': '8'})
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from viubench.engines.base import Engine
from viubench.errors import ViubenchError
from viubench.schema import Protocol, Task
from viubench.video import cores
from viubench.video.frame_cache import FrameCache, default_root
from viubench.video.readers import OWN

if TYPE_CHECKING:
    import pandas as pd

PathLike = str | os.PathLike[str]
Rows: TypeAlias = "pd.DataFrame | Sequence[Mapping[str, Any]]"

MAX_ERRORS = 0.01
LEAST = {
    "workers": 1,
    "limit": 1,
    "frames": 1,
    "fps": 0.01,
    "max_pixels": 1024,
    "max_tokens": 1,
    "temperature": 0,
    "top_k": 0,
    "samples": 1,
    "replicas": 1,
    "filmstrips": 0,
    "frame_cache_gb": 0.001,
}


@dataclass(frozen=True)
class Progress:
    """How far a run is: `done` of `total` in a stage ("building items", "answering", ...), in samples, items or bytes;
    `statuses` counts the records of the stage "answering" by status."""

    stage: str
    done: int
    total: int
    statuses: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class EvalConfig:
    """The configuration of a run; None means the task's own setting, or the default place.

    Args:
        model: checkpoint folder, hub id, the server's name of the model, a server's URL, or an `Engine`.
        base_model: folder or hub id of the model that the checkpoint was made from: what it lacks is taken from there,
            the weights below an adapter, a tokenizer, a processor. An adapter names its own.
        tasks: tasks and suites by name (also `lmms:NAME`, or a pattern such as `viubench_ground_*`), YAML files, files
            of your own questions (JSONL, CSV, TSV, Excel, Parquet, JSON), folders of built items, of task files or of
            questions, `Task` objects and tables of questions (a DataFrame, or a list of dictionaries), mixed; a text
            may hold several, separated by commas.
        engine: vllm, hf, server, ray:vllm, ray:hf, random, blind, oracle, an engine of an installed plugin, or an
            `Engine`; by default server where there is a URL, else vllm where it is installed, else hf.
        base_url: OpenAI-compatible endpoints; several share the load.
        replicas: engine processes, a GPU each (`tensor_parallel_size` GPUs each).
        videos: folder of videos to build pretext items from; those of your own questions are looked for there too.
        data_root: folder with built items or benchmark data.
        protocol: a protocol by name, YAML file or object, instead of the task's.
        frames: frames of a video, at most.
        fps: frames a second, `frames` at most.
        max_pixels: pixels of a frame, at most.
        max_tokens: tokens of an answer, its reasoning included, at most.
        temperature: of the sampling; 0 is greedy.
        top_p: the likeliest tokens of this share in all are sampled from, 1 for all.
        top_k: so many likeliest tokens are sampled from, 0 for all.
        samples: answers to each question.
        system: system prompt.
        thinking: "on" or "off"; by default as the model does.
        probe: what evidence is taken away from every question, such as "blind" or "single-frame".
        set: any other field of the protocol by its path, such as {"decoding.min_p": 0.1}.
        limit: the first so many samples of each task.
        shard: "i/n", the i-th of n parts of the run, to be merged when all are finished.
        seed: of items and of the random engine.
        name: label of the run in tables and pages; the model's name where None.
        exclude: tasks that are left out, by name.
        out: run folder; a temporary one, deleted with the returned run, where None.
        resume: keep the records that are there; False starts the folder again.
        frame_cache: folder of decoded frames.
        frame_cache_gb: gigabytes (10^9 bytes) that it keeps; $VIUBENCH_CACHE_GB or 20 where None.
        frame_cache_compress: keep frames in about a third of the room, without loss, for processor time when they are
            read; None: where the run's frames are more than the cache keeps.
        reader: what decodes: pyav, decord, torchcodec, or the fastest whose frames are the same.
        workers: decoding processes, of each replica; by default one for each core that may be used.
        engine_args: settings of the engine; values that are not text are written as JSON.
        deterministic: an answer depends on its request alone; slower.
        include_path: more folders with task files.
        columns: what columns of your own questions mean, such as {"answer": "gold"}, where their names do not tell.
        answer_kind: how the answers in them are written: letter, text, index0, index1, number, interval, yes_no, open.
        max_errors: share of media and engine errors in [0, 1] above which the run is invalid.
        price_in: of a million prompt tokens, for the dry run of a server.
        price_out: of a million generated tokens, for the same.
        filmstrips: samples of each task whose frames are kept for the pages.
        track: trackio, wandb or tensorboard: a tracker that gets progress and scores, on this machine.
        debug: print the engine's own log.
        progress: called as the run goes on.
        argv: the command, for the manifest.

    Raises:
        ViubenchError: no task, no model where one is needed, or a value out of range.
    """

    model: PathLike | Engine | None = None
    tasks: PathLike | Task | Rows | Sequence[PathLike | Task | Rows] = ()
    engine: str | Engine | None = None
    base_url: str | Iterable[str] = ()
    replicas: int | None = None
    videos: PathLike | None = None
    data_root: PathLike | None = None
    protocol: PathLike | Protocol | None = None
    frames: int | None = None
    fps: float | None = None
    max_pixels: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    samples: int | None = None
    system: str | None = None
    thinking: str | None = None
    probe: str | None = None
    set: Mapping[str, Any] | None = None
    limit: int | None = None
    shard: str | None = None
    seed: int = 0
    name: str | None = None
    exclude: str | Iterable[str] = ()
    out: PathLike | None = None
    resume: bool = True
    frame_cache: PathLike | None = None
    frame_cache_gb: float | None = None
    frame_cache_compress: bool | None = None
    reader: str = OWN
    workers: int | None = None
    engine_args: Mapping[str, Any] | None = None
    base_model: PathLike | None = None
    deterministic: bool = False
    include_path: PathLike | Iterable[PathLike] = ()
    columns: Mapping[str, str] | None = None
    answer_kind: str | None = None
    max_errors: float = MAX_ERRORS
    price_in: float | None = None
    price_out: float | None = None
    filmstrips: int = 12
    track: str | None = None
    debug: bool = False
    progress: Callable[[Progress], None] | None = None
    argv: Sequence[str] = ()

    def __post_init__(self) -> None:
        for option, least in LEAST.items():
            if (value := getattr(self, option)) is not None and value < least:
                raise ViubenchError(f"{option} is {value:g}: at least {least:g} is needed", where=option)
        if self.name is not None and not self.name.strip():
            raise ViubenchError("the name of the run is empty", where="--name")

    @cached_property
    def names(self) -> tuple[str | Task | Rows, ...]:
        """What `tasks` names, one by one."""
        if isinstance(self.tasks, Mapping):
            hint = 'give a list of rows, or a part of it alone, such as dataset["test"]'
            raise ViubenchError("a dictionary is no list of questions or tasks", where="tasks", hint=hint)
        alone = isinstance(self.tasks, str | os.PathLike | Task) or is_table(self.tasks)
        several: Any = [self.tasks] if alone else self.tasks
        names: list[str | Task | Rows] = []
        for one in several:
            if isinstance(one, str) and not os.path.exists(one):  # a path may hold a comma
                names += [part.strip() for part in one.split(",") if part.strip()]
            else:
                names.append(os.fspath(one) if isinstance(one, str | os.PathLike) else one)
        if not names:
            raise ViubenchError("no task was named", hint="for example: --tasks viubench-mini")
        return tuple(names)

    @cached_property
    def excluded(self) -> frozenset[str]:
        """The tasks of `exclude`, one by one; commas part them."""
        several = [self.exclude] if isinstance(self.exclude, str) else self.exclude
        return frozenset(part.strip() for one in several for part in one.split(",") if part.strip())

    @property
    def decoders(self) -> int:
        """Decoding processes of a run with one engine."""
        return self.workers or cores.workers()

    @property
    def engine_object(self) -> Engine | None:
        """The caller's own engine."""
        return next((one for one in (self.model, self.engine) if isinstance(one, Engine)), None)

    @property
    def model_name(self) -> str | None:
        """Checkpoint folder, hub id or served name."""
        named = None if self.model is None or isinstance(self.model, Engine) else os.fspath(self.model)
        return None if named is None or _is_url(named) else named

    @property
    def base_urls(self) -> tuple[str, ...]:
        """The endpoints, one named as the model included."""
        urls = (self.base_url,) if isinstance(self.base_url, str) else tuple(self.base_url)
        return (self.model, *urls) if isinstance(self.model, str) and _is_url(self.model) else urls

    @property
    def engine_name(self) -> str:
        """The requested engine; else server where there is an address, vLLM where installed, else transformers."""
        if isinstance(self.engine, str):
            return self.engine
        if self.base_urls:
            return "server"
        if self.model_name is None:
            hint = "or choose --engine random, blind or oracle"
            raise ViubenchError("no model was named", where="--model", hint=hint)
        return "vllm" if find_spec("vllm") else "hf"

    @property
    def engine_settings(self) -> dict[str, str]:
        """`engine_args` as text, as `--engine-arg` gives them."""
        given = self.engine_args or {}
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}

    @property
    def videos_folder(self) -> Path | None:
        return None if self.videos is None else Path(self.videos)

    @property
    def data_folder(self) -> Path | None:
        return None if self.data_root is None else Path(self.data_root)

    @property
    def run_folder(self) -> Path:
        """Where the run is written; ViubenchError where none was named."""
        if self.out is None:
            raise ViubenchError("no run folder was named", where="--out")
        return Path(self.out)

    @property
    def cache_folder(self) -> Path | None:
        return None if self.frame_cache is None else Path(self.frame_cache)

    @property
    def cache_bytes(self) -> int | None:
        return None if self.frame_cache_gb is None else int(self.frame_cache_gb * 1e9)

    @property
    def compresses(self) -> bool:
        """Whether frames are compressed where they are more than the cache keeps."""
        return self.frame_cache_compress is not False

    @cached_property
    def cache(self) -> FrameCache:
        """Where decoded frames are kept."""
        compress = bool(self.frame_cache_compress)
        return FrameCache(self.cache_folder or default_root(), self.cache_bytes, self.reader, compress=compress)

    @property
    def include_paths(self) -> tuple[Path, ...]:
        return as_paths(self.include_path)


def as_paths(given: PathLike | Iterable[PathLike]) -> tuple[Path, ...]:
    """One path or several."""
    return tuple(map(Path, [given] if isinstance(given, str | os.PathLike) else given))


def is_table(tasks: Any) -> bool:
    """Whether these are questions themselves: a DataFrame, another library's table, or a list of dictionaries."""
    rows = isinstance(tasks, list | tuple) and bool(tasks) and all(isinstance(row, Mapping) for row in tasks)
    named = hasattr(tasks, "columns") or hasattr(tasks, "column_names")
    return rows or (named and any(hasattr(tasks, name) for name in ("to_dicts", "to_dict", "to_pylist", "to_list")))


def _is_url(name: str) -> bool:
    return name.startswith(("http://", "https://"))
