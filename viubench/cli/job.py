"""What `run` and `score` do, step by step: plan, claim the folder, answer, summarise, print.

Example:
    Job(wishes, out).run("oracle", None, [], fresh=False)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from viubench.cli.tables import results_table
from viubench.engines import BASELINES, checkpoints, make
from viubench.engines.base import Described, Engine
from viubench.engines.baselines import AnswersEngine, BlindEngine, OracleEngine, RandomEngine
from viubench.engines.memory import footprint
from viubench.engines.token_counts import Counter
from viubench.errors import Exit, ViubenchError
from viubench.runner import loop, planning, preflight
from viubench.runner.collect import Wishes
from viubench.runner.parallel.coordinator import Replicas
from viubench.runner.parallel.layout import Layout
from viubench.runner.parallel.worker import Spec
from viubench.runner.pipeline import Pipeline
from viubench.runner.planning import Planned
from viubench.schema import Counted, Fate, Manifest, Record, Results
from viubench.scoring.aggregate import summarise
from viubench.storage import record_log
from viubench.storage.run_dir import RunFolder, read_manifest
from viubench.tasks.registry import Catalogue
from viubench.video.frame_cache import FrameCache, default_root
from viubench.video.loader import Media
from viubench.video.process_pool import KillablePool

DECODE_SECONDS = 300.0
"""Wall limit for decoding one video; a decoder that hangs is killed and the sample becomes a media error."""

LOCAL = ("vllm", "hf")
"""Engines that run on this machine, from a checkpoint's files."""

SHOWN_MISSING = 10
"""Missing videos named before a run; `--dry-run` names all."""


@dataclass(frozen=True)
class Job:
    """One `viubench run`."""

    wishes: Wishes
    out: Path
    include_paths: tuple[Path, ...] = ()
    frame_cache: Path | None = None
    max_errors: float = 0.01
    quiet: bool = False
    debug: bool = False
    strips: int = loop.STRIPS_PER_TASK
    engine_args: Mapping[str, str] = field(default_factory=dict)
    deterministic: bool = False
    layout: Layout | None = None

    def run(self, kind: str, model: str | None, base_urls: Sequence[str], *, fresh: bool) -> Exit:
        if self.debug:
            os.environ["VIUBENCH_DEBUG"] = "1"
        if kind in BASELINES:
            return self._answer(lambda planned: self._baseline(kind, planned), None, fresh=fresh)
        factory = partial(
            make, kind, model=model, base_urls=base_urls, args=self.engine_args, deterministic=self.deterministic
        )
        engine = factory()
        if kind == "server":  # an address nobody answers at is found out before anything is built
            asyncio.run(_greet(engine))
        return self._answer(lambda _: engine, engine.size_multiple, fresh=fresh, factory=factory)

    def score(self, responses: Path, name: str, *, fresh: bool) -> Exit:
        texts = _read_responses(responses)
        return self._answer(lambda planned: AnswersEngine(name, _known(texts, planned, responses)), None, fresh=fresh)

    def dry_run(self, kind: str, model: str | None) -> None:
        """Print what a run would do: samples, frames, tokens, and media that cannot be used."""
        from viubench.cli.tables import plan_table

        local = model is not None and kind in LOCAL
        checkpoint = checkpoints.describe_checkpoint(str(model)) if local else None
        with RunFolder.claim(self.out):
            planned = self._plan(checkpoint["size_multiple"] if checkpoint else None)
        print(plan_table(planned))
        for line in planning.missing(planned).lines():
            print(line)
        if checkpoint is not None:
            self._foretell(planned, kind, checkpoint)

    def _foretell(self, planned: Planned, kind: str, checkpoint: Mapping[str, Any]) -> None:
        """Print tokens, memory and time of the samples that are still to be asked; decodes a few of their videos."""
        from viubench.runner.estimate import Forecast, try_decoding

        store, counter = FrameCache(self.frame_cache or default_root()), Counter(checkpoint)
        taken = footprint(kind, checkpoint, self.engine_args)
        done, pace = preflight.pace(self.out, taken.in_flight) if _same_model(self.out, checkpoint) else (set(), None)
        decoding = try_decoding(preflight.measure(planned, store, counter, done).undecoded, store)
        said = Forecast(planned, taken, preflight.measure(planned, store, counter, done), self._replicas)
        print(said.table(counter.basis))
        for line in (*said.memory(), *said.time(pace, decoding, self.wishes.workers)):
            print(line)
        for line in (*preflight.overlong(said.lengths, taken, len(planned.plan.samples), 1.0), *said.warnings()):
            print(f"warning: {line}")

    def _foresee(self, planned: Planned, engine: Engine) -> None:
        """Warn, before a local engine starts, of what would not fit; do not start when that is too much."""
        from viubench.runner.estimate import Forecast

        checkpoint = getattr(engine, "checkpoint", None)
        if engine.kind not in LOCAL or checkpoint is None:
            return
        taken = footprint(engine.kind, checkpoint, self.engine_args)
        doubtful = preflight.doubtful(planned, taken)
        store = FrameCache(self.frame_cache or default_root())
        lengths = preflight.measure(planned, store, Counter(checkpoint), wanted=doubtful)
        said = Forecast(planned, taken, lengths, self._replicas)
        most = self.max_errors if taken.setting else 1.0  # without a limit of its own an engine takes what is too long
        for line in (*preflight.overlong(lengths, taken, len(planned.plan.samples), most), *said.warnings()):
            print(f"warning: {line}", file=sys.stderr)

    @property
    def _replicas(self) -> int:
        return (self.layout.replicas if self.layout else None) or 1

    def _answer(
        self,
        engine_of: Callable[[Planned], Engine],
        multiple: int | None,
        *,
        fresh: bool,
        factory: Callable[[], Engine] | None = None,
    ) -> Exit:
        """Answer, or go on answering; `factory` makes further engines like the one of `engine_of`."""
        with RunFolder.claim(self.out, fresh=fresh) as folder:
            planned = self._plan(multiple)
            engine = engine_of(planned)
            if engine.needs_media:
                self._refuse_missing(planned)
            self._foresee(planned, engine)
            with self._way(planned, engine, factory) as (way, described):
                folder.begin(self._manifest(planned, described))

                def engine_known() -> None:
                    folder.note_engine(self._manifest(planned, described))

                with self._progress(planned, folder) as progress:
                    try:
                        asyncio.run(loop.run(planned.plan, way, folder, progress, engine_known))
                    except KeyboardInterrupt:
                        done, total = len(folder.done), len(planned.plan.samples)
                        print(f"stopped at {done} of {total}; the same command goes on from here", file=sys.stderr)
                        raise
                if isinstance(way, Pipeline) and engine.needs_media and not self.quiet and (line := way.stages.told()):
                    print(line, file=sys.stderr)
                results = summarise(record_log.read(self.out, Counted), self._manifest(planned, described))
            folder.write_results(results)
        print(results_table(results))
        return self._verdict(results)

    @contextlib.contextmanager
    def _way(
        self, planned: Planned, engine: Engine, factory: Callable[[], Engine] | None
    ) -> Iterator[tuple[loop.Answering, Described]]:
        """Who answers, and who is described in the manifest: the engine itself, or several like it."""
        strips = loop.strip_ids(planned.plan.samples, self.strips)
        if factory is None or self.layout is None or self.layout.replicas is None:
            with self._media(engine) as media:
                yield Pipeline(planned.plan, engine, media, self.out, strips), engine
            return
        debug = {name: os.environ[name] for name in ("VIUBENCH_DEBUG",) if name in os.environ}
        spec = Spec(
            factory, planned.plan, self.out, strips, self.frame_cache, self.wishes.workers, DECODE_SECONDS, debug
        )
        with self.layout.transport(spec) as transport:
            replicas = Replicas(engine, transport, tell=lambda line: print(line, file=sys.stderr))
            yield replicas, replicas

    def _plan(self, multiple: int | None) -> Planned:
        catalogue = Catalogue(self.include_paths)
        store = FrameCache(self.frame_cache or default_root())
        planned = planning.plan(self.wishes, catalogue, self.out, store, multiple, self._bar)
        for line in (*planned.notes, *planning.fewer(planned, catalogue, self.wishes)):
            print(line, file=sys.stderr)
        return planned

    def _refuse_missing(self, planned: Planned) -> None:
        """Say before the run starts how much of its media is not there, and do not start when that is too much."""
        missing = planning.missing(planned)
        if not missing.samples:
            return
        share = f"{missing.samples} of {missing.total} samples have videos that cannot be used"
        if missing.samples > self.max_errors * missing.total:
            raise ViubenchError(
                f"{share}, more than --max-errors {self.max_errors:g}; the first: {missing.lines()[0]}",
                hint="viubench data verify lists them; fetch them, or raise --max-errors: they count as wrong",
                exit_code=Exit.INVALID_RUN,
            )
        print(f"{share}; they count as wrong:", file=sys.stderr)
        for line in missing.lines()[:SHOWN_MISSING]:
            print(f"  {line}", file=sys.stderr)

    def _manifest(self, planned: Planned, engine: Described) -> Manifest:
        argv = ["viubench", *sys.argv[1:]]
        return planning.manifest(planned, engine, self.engine_args, self.wishes.seed, argv)

    def _baseline(self, kind: str, planned: Planned) -> Engine:
        unknown = [name for name, about in planned.about.items() if about.blind is None]
        if unknown and kind != "oracle":
            raise ViubenchError(
                f"no random rule and no best constant answer is known for {unknown[0]}",
                where=f"--engine {kind}",
                hint="leave the tasks named lmms: to models and to --engine oracle",
            )
        if kind == "random":
            return RandomEngine(self.wishes.seed, planned.plan.graders)
        return BlindEngine(planned.blind_texts) if kind == "blind" else OracleEngine()

    @contextlib.contextmanager
    def _media(self, engine: Engine) -> Iterator[Media | None]:
        """The decode processes, only where the engine looks at videos."""
        if not engine.needs_media:
            yield None
            return
        pool = KillablePool(self.wishes.workers, DECODE_SECONDS)
        try:
            yield Media(FrameCache(self.frame_cache or default_root()), pool)
        finally:
            pool.close()

    @contextlib.contextmanager
    def _progress(self, planned: Planned, folder: RunFolder) -> Iterator[Callable[[Record], None]]:
        done = len(folder.done)
        with self._bar("answering") as bar:
            bar(done, len(planned.plan.samples))
            yield lambda _: bar(len(folder.done), len(planned.plan.samples))

    @contextlib.contextmanager
    def _bar(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """A progress bar with rate and time left on standard error; nothing when quiet."""
        from viubench.cli.progress import bar

        with bar(what, quiet=self.quiet) as update:
            yield update

    def _verdict(self, results: Results) -> Exit:
        """Valid, or too many samples the harness itself failed."""
        total = sum(task.n for task in results.tasks.values())
        failed = sum(
            task.statuses.get(status, 0)
            for task in results.tasks.values()
            for status in ("media_error", "engine_error")
        )
        if failed:
            print(f"{failed} of {total} samples failed:", file=sys.stderr)
            for line in _faults(record_log.read(self.out, Fate)):
                print(f"  {line}", file=sys.stderr)
        return Exit.INVALID_RUN if failed > self.max_errors * total else Exit.OK


def default_engine(model: str | None, base_urls: Sequence[str]) -> str:
    """The engine when none was named: a server when an address was, vLLM where installed, else transformers."""
    if base_urls:
        return "server"
    if model is None:
        raise ViubenchError("no model was named", where="--model", hint="or choose --engine random, blind or oracle")
    return "vllm" if find_spec("vllm") else "hf"


def _same_model(folder: Path, checkpoint: Mapping[str, Any]) -> bool:
    """Whether a run of these very weights is in a folder."""
    there = (folder / "manifest.json").exists()
    return there and read_manifest(folder).model.get("fingerprint") == checkpoint["fingerprint"]


async def _greet(engine: Engine) -> None:
    async with engine:
        pass


def _faults(records: Iterator[Fate]) -> list[str]:
    """One line for each distinct failure, with how many samples it cost."""
    counts: dict[str, int] = {}
    for record in records:
        if record.error is not None:
            line = f"{record.status.replace('_', ' ')}: {record.error.detail}"
            counts[line] = counts.get(line, 0) + 1
    return [f"{count} x {line}" for line, count in sorted(counts.items())]


def pairs(arguments: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE arguments as a dictionary; ViubenchError for one that is not of that form."""
    pairs = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not (key and equals):
            raise ViubenchError(f"{argument!r} is not of the form KEY=VALUE", where="--engine-arg")
        pairs[key] = value
    return pairs


def _read_responses(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                sample, text = _response(line, f"{path}:{number}")
                if sample in texts:
                    raise ViubenchError(f"{sample} is answered twice", where=f"{path}:{number}")
                texts[sample] = text
    except (OSError, UnicodeDecodeError) as error:
        raise ViubenchError(f"cannot read the responses: {error}", where=str(path)) from None
    return texts


def _response(line: str, where: str) -> tuple[str, str]:
    try:
        row: Any = json.loads(line)
        sample, text = row["id"], row["response"]
    except (ValueError, KeyError, TypeError):
        raise ViubenchError('a line must be {"id": ..., "response": ...}', where=where) from None
    if not isinstance(text, str) or not isinstance(sample, str):
        raise ViubenchError("id and response must be text", where=where)
    return sample, text


def _known(texts: Mapping[str, str], planned: Planned, path: Path) -> Mapping[str, str]:
    """The answers by sample id; a row's own id, without the task's name, does as well where only one task has it."""
    samples = planned.plan.samples
    owners: dict[str, list[str]] = {}
    for sample in samples:
        owners.setdefault(sample.id.removeprefix(f"{sample.task}-"), []).append(sample.id)
    ids = {sample.id: sample.id for sample in samples}
    ids = {own: found[0] for own, found in owners.items() if len(found) == 1} | ids
    unknown = sorted(set(texts) - set(ids))
    if unknown:
        raise ViubenchError(
            f"{len(unknown)} responses belong to no sample, the first is {unknown[0]!r}",
            where=str(path),
            hint="give the items the answers were made for with --samples or --data-root",
        )
    known = {ids[name]: text for name, text in texts.items()}
    if len(known) < len(texts):
        twice = next(name for name in texts if ids[name] != name and ids[name] in texts)
        raise ViubenchError(f"{ids[twice]} is answered twice, also as {twice}", where=str(path))
    return known
