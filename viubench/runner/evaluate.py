"""One evaluation, from its options to its results: plan, engine, records, results; prints nothing.

Example:
    with ActiveRun.open(EvalConfig(engine="oracle", tasks="viubench-mini", videos="clips", out="runs/a")) as run:
        in_event_loop(run.answer())
        run.finish()

What a user should know is logged to the logger `viubench` and to `run.log` in the run folder.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

from viubench.engines import make
from viubench.engines.base import Described, Engine, FrameFormat
from viubench.engines.memory import footprint
from viubench.engines.token_counts import Counter as TokenCounter
from viubench.errors import Exit, ViubenchError
from viubench.runner import loop, planning, preflight
from viubench.runner.alarms import Alarm
from viubench.runner.answer_forms import require_engine
from viubench.runner.config import EvalConfig, Progress
from viubench.runner.event_loop import in_event_loop
from viubench.runner.memory import MemoryCheck
from viubench.runner.needs import needs_of
from viubench.runner.parallel.coordinator import Replicas
from viubench.runner.parallel.layout import Layout
from viubench.runner.parallel.worker import ReplicaSpec
from viubench.runner.patience import Patience
from viubench.runner.pipeline import Pipeline
from viubench.runner.plan import Plan
from viubench.runner.sharding import part_of, shard_of
from viubench.runner.whole_files import require_whole_files
from viubench.schema import Manifest, Record, RecordState, Sample, ScoredRecord
from viubench.scoring.aggregate import summarise
from viubench.storage import record_log
from viubench.storage.environment import DEBUG
from viubench.storage.record_log import DAMAGED
from viubench.storage.run_dir import RunFolder, write_json
from viubench.storage.secrets import MaskingFilter
from viubench.video.loader import Media
from viubench.video.paths import FOLLOW
from viubench.video.process_pool import KillablePool, require_memory

log = logging.getLogger("viubench")
log.addHandler(logging.NullHandler())  # a library prints nothing
log.setLevel(logging.DEBUG)

LOG_SECONDS = 30.0
"""Time between two lines of progress in `run.log`."""

DECODE_SECONDS = 300.0
"""Wall limit for decoding one video; a decoder that hangs is killed and the sample becomes a media error."""

SHOWN_MISSING = 10
"""Missing videos named before a run; a dry run names all."""


class ActiveRun(AbstractContextManager["ActiveRun"]):
    """A run that is being answered, with its plan and its folder `out`, whose lock it holds until it is closed."""

    def __init__(self, config: EvalConfig, engine: Engine, layout: Layout, folder: RunFolder, plan: Plan) -> None:
        self.config = config
        self.engine = engine
        self.layout = layout
        self.folder = folder
        self.out = folder.path
        self.whole = plan
        self.plan = part_of(plan, config.shard)
        self._described: Described = engine
        self._log_file = ExitStack()

    @classmethod
    def open(cls, config: EvalConfig) -> Self:
        """Open the engine's checkpoint or reach its server, claim the run folder, and plan; nothing is answered yet.
        Raises ViubenchError for options that cannot be honoured, missing data, a folder of another run."""
        if config.debug:
            os.environ[DEBUG] = "1"
        if config.shard is not None:
            shard_of(config.shard)
        require_memory()
        engine, layout = open_engine(config)
        config = replace(config, engine_args=layout.engine_args)  # without those that are Ray's
        if engine.kind == "server":  # before anything is built: there may be no server at the address
            in_event_loop(reach(engine))
        folder = RunFolder.claim(config.run_folder, fresh=not config.resume)
        try:
            plan = plan_run(config, engine.frame_format)
            require_engine(plan, engine)
            require_whole_files(plan, engine.kind, engine.needs_media)
            engine.prepare(plan.evaluators, plan.blind_answers)
        except BaseException:
            folder.close()
            raise
        return cls(config, engine, layout, folder, plan)

    async def answer(self) -> None:
        """Answer every sample that has no record yet. Raises ViubenchError: too much of the media is missing, too many
        prompts are too long, the engine cannot start or be trusted, or the folder holds another run."""
        if self.engine.needs_media:
            refuse_missing(self.whole, self.config.max_errors)
            cache = self.config.cache
            if beyond := preflight.frames_beyond(self.plan, cache.max_bytes, self.config.compresses):
                cache.compress = self.config.compresses
                log.warning("%s", *beyond)
        warn_before_start(self.config, self.plan, self.engine, self.layout.replicas or 1)
        with self._answering() as answering:
            self.folder.begin(self.manifest())
            self._log_file.enter_context(log_file(self.out))
            if damaged := self.folder.damaged:
                log.warning("%d lines of records.jsonl cannot be read: kept in %s, asked again", damaged, DAMAGED)
            patience = Patience(self.answers, self.config.max_errors)
            with self._progress() as progress:

                def finished(record: Record) -> None:
                    progress(record)
                    patience(record)

                try:
                    await loop.run(self.plan, answering, self.folder, finished, self._note_engine, self.rounds())
                except BaseException as stop:
                    done, total = len(self.folder.done), self.answers
                    if not isinstance(stop, Exception):
                        log.warning("stopped at %d of %d answers; rerun the same command to resume", done, total)
                    raise
                if isinstance(answering, Pipeline) and self.engine.needs_media and answering.stages.summary():
                    log.info("%s", answering.stages.summary())

    @property
    def answers(self) -> int:
        """How many answers the run will have, at most."""
        return self.plan.answers

    def rounds(self) -> Iterable[Sequence[Sample]]:
        """What is asked, round by round: here everything at once."""
        return [self.plan.samples]

    def finish(self) -> None:
        """Aggregate the records and write `results.json`; a shard has none, its merged run has."""
        if self.plan.shard is None:
            self.folder.write_results(summarise(record_log.read(self.out, ScoredRecord), self.manifest()))
        if failed := failures(self.out):
            log.warning("%d of %d answers failed:", sum(failed.values()), self.plan.answers)
            for line, count in failed.items():
                log.warning("  %d x %s", count, line)

    def manifest(self) -> Manifest:
        """The manifest as far as the engine is known."""
        return planning.manifest(self.plan, self._described, self.config)

    def _note_engine(self) -> None:
        write_json(self.out / "manifest.json", self.manifest())

    @contextmanager
    def _answering(self) -> Iterator[loop.Answering]:
        """One engine of this process, or several in processes of their own."""
        strips = frozenset(sample.id for sample in planning.limited(self.whole.samples, self.config.filmstrips))
        if self.layout.replicas is None:
            with (
                KillablePool(self.config.decoders, DECODE_SECONDS) if self.engine.needs_media else nullcontext() as pool
            ):
                media = None if pool is None else Media(self.config.cache, pool)
                yield Pipeline(self.plan, self.engine, media, self.out, strips)
            return
        told = {name: os.environ[name] for name in (DEBUG, FOLLOW) if name in os.environ}
        factory, cache, decoders = (
            engine_factory(self.layout.kind, self.config),
            self.config.cache_folder,
            self.config.workers,
        )
        spec = ReplicaSpec(
            factory, self.plan, self.out, strips, cache, self.config.cache_bytes, decoders, DECODE_SECONDS, told
        )
        spec = replace(spec, needs=self.engine.needs, reader=self.config.reader, compress=self.config.cache.compress)
        with self.layout.transport(spec) as transport:
            replicas = Replicas(self.engine, transport, warn=log.warning)
            self._described = replicas
            yield replicas

    @contextmanager
    def _progress(self) -> Iterator[Callable[[Record], None]]:
        """Counts records and their statuses, for the callback and the log file."""
        report, total = self.config.progress or (lambda _: None), self.answers
        before, began = len(self.folder.done), time.monotonic()
        statuses: Counter[str] = Counter()
        alarm = Alarm(self.plan)
        report(Progress("answering", before, total))
        logged = began

        def count(record: Record) -> None:
            nonlocal logged
            statuses[record.status] += 1
            if line := alarm.add(record):
                log.warning("%s", line)
            done, now = len(self.folder.done), time.monotonic()
            report(Progress("answering", done, total, dict(statuses)))
            if now - logged > LOG_SECONDS or done == total:
                logged, rate = now, (done - before) / max(now - began, 1e-9)
                counts = ", ".join(f"{status} {n}" for status, n in statuses.items())
                log.debug("%d of %d, %.1f/s, %.0f s left: %s", done, total, rate, (total - done) / rate, counts)

        yield count

    def __exit__(self, *_: object) -> None:
        self._log_file.close()
        self.folder.close()


def open_engine(config: EvalConfig) -> tuple[Engine, Layout]:
    """The engine, not started, and how many of it there will be."""
    if config.engine_object is not None:
        others = "model_name base_model base_urls replicas engine_args deterministic"
        if any(getattr(config, name) for name in others.split()):
            hint = "leave out model, base_model, base_url, replicas, engine_args, deterministic; or name an engine"
            raise ViubenchError("an engine object has its own settings", hint=hint)
        return config.engine_object, Layout(config.engine_object.kind)
    layout = Layout.read(config.engine_name, config.replicas, config.engine_settings)
    engine = engine_factory(layout.kind, replace(config, engine_args=layout.engine_args))()
    if not layout.ray:  # Ray's machines may have what this one lacks
        engine.check()
    return engine, layout


def engine_factory(kind: str, config: EvalConfig) -> Callable[[], Engine]:
    """What creates the engines of a run; it can be pickled."""
    return partial(
        make,
        kind,
        model=config.model_name,
        base_urls=config.base_urls,
        args=config.engine_settings,
        deterministic=config.deterministic,
        base_model=None if config.base_model is None else os.fspath(config.base_model),
        seed=config.seed,
    )


def plan_run(config: EvalConfig, frames: FrameFormat | None) -> Plan:
    """The plan of a run; its notes are logged."""
    plan = planning.make_plan(config, config.run_folder, frames, partial(stage, config))
    for note in plan.notes:
        log.warning("%s", note)
    return plan


def refuse_missing(plan: Plan, max_errors: float) -> None:
    """Log how much of the media is not there; raises ViubenchError where that is more than `max_errors`."""
    missing = planning.missing(plan)
    if not missing.samples:
        return
    share = f"{missing.samples} of {missing.total} samples have videos that cannot be used"
    if missing.samples > max_errors * missing.total:
        published = any(task.dataset_path for task in plan.tasks.values())
        how = "viubench data verify" if published else "--dry-run"
        then = "fetch them" if published else "name their folder with --videos"
        raise ViubenchError(
            f"{share}, more than --max-errors {max_errors:g}; the first: {missing.lines()[0]}",
            hint=f"{how} lists them; {then}, or raise --max-errors: they count as wrong",
            exit_code=Exit.INVALID_RUN,
        )
    log.warning("%s; they count as wrong:", share)
    for line in missing.lines()[:SHOWN_MISSING]:
        log.warning("  %s", line)


def warn_before_start(config: EvalConfig, plan: Plan, engine: Engine, replicas: int) -> None:
    """Log, before a local engine starts, what would not fit; raises ViubenchError where that is too much."""
    checkpoint = getattr(engine, "checkpoint", None)
    if engine.kind not in ("vllm", "hf") or checkpoint is None:
        return
    counter = TokenCounter(checkpoint, kind=engine.kind)
    doubtful = preflight.doubtful(
        plan, footprint(engine.kind, checkpoint, config.engine_settings), counter.format.group
    )
    lengths = preflight.measure(plan, config.cache, counter, doubtful)
    needs = needs_of(plan, lengths)
    engine.expect(needs)
    taken = footprint(engine.kind, checkpoint, config.engine_settings, needs)
    most = config.max_errors if taken.setting else 1.0  # without a limit of its own an engine takes what is too long
    memory = MemoryCheck(taken, lengths, replicas)
    unfinished = preflight.unfinished(plan, counter.template)
    for line in (*unfinished, *preflight.overlong(lengths, taken, len(plan.samples), most), *memory.warnings()):
        log.warning("%s", line)


def failures(out: Path) -> dict[str, int]:
    """Each distinct failure of the harness (media and engine errors) in a run folder, and how many samples it cost."""
    counts = Counter(
        f"{record.status.replace('_', ' ')}: {record.error.detail}"
        for record in record_log.read(out, RecordState)
        if record.error is not None
    )
    return dict(sorted(counts.items()))


@contextmanager
def log_file(out: Path) -> Iterator[None]:
    """What is logged goes into `run.log` of the run folder too."""
    handler = logging.FileHandler(out / "run.log", encoding="utf-8", errors="replace", delay=True)
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk is told by what matters
    handler.addFilter(MaskingFilter())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        with suppress(OSError):
            handler.close()


@contextmanager
def stage(config: EvalConfig, what: str) -> Iterator[Callable[[int, int], None]]:
    """A stage of the run for the progress callback."""
    report = config.progress
    yield (lambda done, total: report(Progress(what, done, total))) if report else (lambda done, total: None)


async def reach(engine: Engine) -> None:
    """Start and close an engine: a server that is not there is known before anything else is done."""
    async with engine:
        pass
