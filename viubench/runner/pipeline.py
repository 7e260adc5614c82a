"""The pipeline of a sample: decode once, make the frames, query the engine, score. All stages overlap.

Example:
    pipeline = Pipeline(plan, engine, media, Path("runs/a"), filmstrips=frozenset())
    record = await pipeline.answer(Attempt(sample))

What is under way is bounded by the engine's own limit and by the bytes of the frames it holds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence, Set
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from viubench.engines.base import Engine, Request, Response
from viubench.errors import EngineError, MediaError, ViubenchError
from viubench.pretext import generate
from viubench.runner.plan import Attempt, Plan
from viubench.runner.timing import Stages
from viubench.runner.whole_files import by_file, file_of
from viubench.schema import Failure, FrameInfo, Record, Sample, Sampling, Status, content_hash
from viubench.scoring.grade import Grade, grade
from viubench.scoring.reasoning import part
from viubench.video import filmstrip
from viubench.video.frames import VideoInput
from viubench.video.loader import FRAME_BYTES, ByteBudget, FrameRequest, Media
from viubench.video.sampling import largest

LOOK_AHEAD = 4
"""Samples whose frames are made ready while the engine is busy with others."""

AHEAD = 64
"""Samples whose videos are decoded before their turn, into the frame cache and not into memory, so that a slow video
does not leave the engine idle. The first ones are decoded while the engine is still being loaded."""


@dataclass(frozen=True)
class Made:
    """The videos of a question, what its record says of them, and their ids for the engine's caches."""

    videos: tuple[VideoInput, ...] = ()
    info: FrameInfo | None = None
    ids: tuple[str, ...] = ()


@dataclass
class _Shared:
    """The videos of a question while `users` answers to it are under way."""

    users: int = 0
    made: Made | None = None
    making: asyncio.Lock = field(default_factory=asyncio.Lock)
    held: AsyncExitStack = field(default_factory=AsyncExitStack)


class Pipeline:
    """What all samples that go to one engine share. `filmstrips` are the ids of the samples whose filmstrip is kept, in
    the run folder `out`; `media` is not used for an engine that needs none."""

    def __init__(self, plan: Plan, engine: Engine, media: Media | None, out: Path, filmstrips: Set[str]) -> None:
        self.plan = plan
        self.engine = engine
        self.media = media if engine.needs_media else None
        self.out = out
        self.filmstrips = filmstrips
        self.slots = asyncio.Semaphore(engine.max_in_flight)
        self.budget = ByteBudget(FRAME_BYTES)
        self.stages = Stages()
        self._shared: dict[str, _Shared] = {}

    async def answer_all(
        self,
        attempts: Sequence[Attempt],
        finished: Callable[[Record], None],
        opened: Callable[[], None],
        more: Callable[[], Sequence[Attempt]] = tuple,
    ) -> None:
        """Start the engine, make every attempt and what follows them, close it. See `runner.Answering`."""
        self._expect(attempts)
        async with self.engine:
            opened()
            self.stages.open()
            while attempts:
                await self._answer_round(attempts, finished)
                if attempts := more():
                    self._expect(attempts)
            opened()

    def _expect(self, attempts: Sequence[Attempt]) -> None:
        """Have the first clips of these attempts decoded."""
        if self.media is not None:
            samples = {attempt.sample.id: attempt.sample for attempt in attempts}.values()
            self.media.expect(request for sample in samples for request in frame_requests(sample, self.plan))
        self.look_ahead(attempts[:AHEAD])

    async def _answer_round(self, attempts: Sequence[Attempt], finished: Callable[[Record], None]) -> None:
        window = asyncio.Semaphore(self.engine.max_in_flight + LOOK_AHEAD)

        async def one(attempt: Attempt) -> None:
            try:
                finished(await self.answer(attempt))
            finally:
                window.release()

        async with asyncio.TaskGroup() as group:
            for place, attempt in enumerate(attempts, start=AHEAD):
                await window.acquire()
                self.look_ahead(attempts[place : place + 1])
                group.create_task(one(attempt))

    def look_ahead(self, attempts: Iterable[Attempt]) -> None:
        """Have the clips of samples whose turn is soon decoded."""
        if self.media is not None:
            for attempt in attempts:
                for request in frame_requests(attempt.sample, self.plan):
                    self.media.decode(request)

    async def answer(self, attempt: Attempt) -> Record:
        """One answer from its videos to its record; a failure of its video or its request becomes its record."""
        try:
            if self.media is None or not attempt.sample.clips:  # a judge's question is text alone
                return await self.query(attempt)
            if by_file(attempt.sample, self.plan):
                return await self.query(attempt, file=file_of(attempt.sample, self.plan))
            started = time.perf_counter()
            async with self._made(attempt.sample, self.media) as made:
                return await self.query(attempt, made, time.perf_counter() - started)
        except MediaError as error:
            return failed(attempt, "media_error", error.fault, str(error))
        except EngineError as error:
            return failed(attempt, "engine_error", "engine", str(error))
        except (ViubenchError, OSError):
            raise
        except Exception as error:  # of a plugin, say: one question must not end the others
            return failed(attempt, "engine_error", "unforeseen", f"{type(error).__name__}: {error!s:.300}")

    @asynccontextmanager
    async def _made(self, sample: Sample, media: Media) -> AsyncIterator[Made]:
        """The videos of a sample, made once for all answers to it that are under way; raises MediaError."""
        shared = self._shared.setdefault(sample.id, _Shared())
        shared.users += 1
        try:
            async with shared.making:
                if shared.made is None:
                    shared.made = await self._make(sample, media, shared.held)
            yield shared.made
        finally:
            shared.users -= 1
            if not shared.users:
                del self._shared[sample.id]
                await shared.held.aclose()

    async def _make(self, sample: Sample, media: Media, held: AsyncExitStack) -> Made:
        """The videos of a sample; their bytes are counted until `held` is closed."""
        with self.stages.at("decode"):
            loaded = await load(sample, self.plan, media)
        await held.enter_async_context(self.budget.hold(sum(video.pixels.nbytes for video in loaded)))
        with self.stages.at("make"):
            videos = await asyncio.to_thread(shown, sample, loaded)
            made = Made(videos, *await asyncio.to_thread(frame_info, videos))
            if sample.id in self.filmstrips:
                await asyncio.to_thread(filmstrip.write, filmstrip.strip_path(self.out, sample.id), videos)
        return made

    async def query(
        self, attempt: Attempt, made: Made | None = None, waited: float = 0.0, file: str | None = None
    ) -> Record:
        """Put the question; `waited` goes into the record, `file` to a server that samples it itself."""
        made, sample = made or Made(), attempt.sample
        protocol = self.plan.protocols[sample.task]
        request = Request(
            sample,
            made.videos,
            made.ids,
            protocol.decoding,
            protocol.chat,
            attempt.number,
            self.plan.seed_of(attempt),
            protocol.answers,
            self.plan.constraint_of(sample),
            file,
        )
        with self.stages.at("queue"):
            await self.slots.acquire()
        try:
            began = time.perf_counter()
            with self.stages.at("engine"):
                response = await self.engine.generate(request)
            if response.finish_reason in ("abort", "error"):
                raise EngineError(f"the engine ended the answer with {response.finish_reason!r}")
        finally:
            self.slots.release()
        seconds = {"frames": waited, "engine": time.perf_counter() - began}
        return graded(sample, response, self.plan, made.info, seconds, attempt.number)


async def load(sample: Sample, plan: Plan, media: Media) -> list[VideoInput]:
    """The untouched frames of a sample's clips; raises MediaError."""
    return [await media.video(request) for request in frame_requests(sample, plan)]


def shown(sample: Sample, loaded: Sequence[VideoInput]) -> tuple[VideoInput, ...]:
    """The videos a sample shows: its clips, a pretext item's after its transformation."""
    return generate.apply(sample.pretext, sample.seed, loaded) if sample.pretext else tuple(loaded)


def frame_requests(sample: Sample, plan: Plan) -> list[FrameRequest]:
    """Each clip with its sampling: a pretext item fixes its frames, any other sample follows the protocol, unless it
    chooses its frames itself; none where the file is sent."""
    root, protocol = plan.roots[sample.task], plan.protocols[sample.task]
    if protocol.media == "file":
        return []
    if sample.pretext is None:
        share = len(sample.clips) if protocol.frame_budget == "per_item" else 1
        sampling, frames = protocol.sampling, max(protocol.sampling.frames // max(share, 1), 1)
        sampling = sampling if frames == sampling.frames else sampling.model_copy(update={"frames": frames})
        return [(root, clip, clip.sampling or sampling, protocol.resize) for clip in sample.clips]
    second, resize = sample.pretext.other, protocol.resize
    if sample.pretext.shown and (resize.tokens or resize.total_pixels):  # a budget is shared by those that are shown
        most = int(largest(resize, len(sample.pretext.shown)))
        resize = resize.model_copy(update={"max_pixels": most, "tokens": None, "total_pixels": None})
    indices = (sample.pretext.indices, *([second.indices] if second else []))
    fixed = [Sampling(kind="indices", indices=numbers) for numbers in indices]
    return [(root, clip, how, resize) for clip, how in zip(sample.clips, fixed, strict=True)]


def frame_info(videos: Sequence[VideoInput]) -> tuple[FrameInfo, tuple[str, ...]]:
    """What goes into the record (the frames of several videos in shown order), and one id a video for the engine's
    caches; two videos have one id only when both their pixels and their times are equal."""
    hashes = [video.pixel_hash() for video in videos]
    info = FrameInfo(
        indices=[index for video in videos for index in video.indices],
        times=[round(time, 3) for video in videos for time in video.times],
        height=videos[0].pixels.shape[1],
        width=videos[0].pixels.shape[2],
        hash="-".join(hashes),
        videos=len(videos),
    )
    return info, tuple(f"{part}-{content_hash(video.times)}" for part, video in zip(hashes, videos, strict=True))


def graded(
    sample: Sample,
    response: Response,
    plan: Plan,
    frames: FrameInfo | None,
    seconds: dict[str, float],
    number: int = 0,
) -> Record:
    """The record of a response, the answer of this number."""
    parts = part(response.text, response.prompt_end, response.reasoning)
    result = grade(parts.answer, response.finish_reason, sample, plan.evaluators[sample.task])
    if not parts.finished and result.status != "refused":
        result = Grade("truncated")
    if response.first_token is not None:
        seconds = seconds | {"first_token": response.first_token}
    return _record(
        Attempt(sample, number),
        result.status,
        response=parts.answer,
        reasoning=parts.reasoning or None,
        finish_reason=response.finish_reason,
        answer=result.answer.value if result.answer else None,
        rule=result.answer.rule if result.answer else None,
        span=result.answer.span if result.answer and parts.answer[slice(*result.answer.span)] != parts.answer else None,
        scores=result.scores,
        rules={rule.name: rule.verdict(parts.answer, sample) for rule in plan.rules.get(sample.task, ())},
        frames=frames,
        shown=response.shown,
        option_logprobs=response.option_logprobs,
        usage=response.usage,
        seconds={name: round(value, 4) for name, value in seconds.items()},
    )


def failed(attempt: Attempt, status: Status, fault: str, detail: str) -> Record:
    """The record of an attempt that got no answer."""
    return _record(attempt, status, error=Failure(fault=fault, detail=detail))


def _record(attempt: Attempt, status: Status, **more: Any) -> Record:
    own = {name: getattr(attempt.sample, name) for name in ("task", "id", "cluster", "question", "target", "groups")}
    return Record(status=status, number=attempt.number, files=_files(attempt.sample), **own, **more)


def _files(sample: Sample) -> list[str]:
    """The names of a sample's video files, for readers; none where `cluster` is one."""
    names = list(dict.fromkeys(PurePath(clip.path).name for clip in sample.clips if clip.path))
    return [] if PurePath(sample.cluster).name in names else names
