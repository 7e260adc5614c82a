"""The loop of a run: every answer without a record is asked for, and its record appended as it finishes.

Example:
    await run(plan, Pipeline(plan, engine, media, folder.path, strips), folder, progress=print)

Samples are ordered by video, so that a video's second question finds its frames in the frame cache and its tokens in
the engine's caches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from viubench.errors import ViubenchError
from viubench.runner.plan import Attempt, Plan
from viubench.schema import Record, Sample
from viubench.storage import record_log
from viubench.storage.run_dir import RunFolder


class Answering(Protocol):
    """What answers questions: one engine of this process (`Pipeline`), or several engine processes (`Replicas`)."""

    async def answer_all(
        self,
        attempts: Sequence[Attempt],
        finished: Callable[[Record], None],
        opened: Callable[[], None],
        more: Callable[[], Sequence[Attempt]] = tuple,
    ) -> None:
        """Make every attempt; a failure of its video or its request becomes its record. `finished` is called with
        each record, `opened` is called when an engine knows its version and settings, or more of them than before.
        Once all are made, `more` says what follows, until that is nothing; the engine stays open.

        Raises:
            ViubenchError: the engine cannot start, or cannot be trusted; may come in an ExceptionGroup.
        """


async def run(
    plan: Plan,
    answering: Answering,
    folder: RunFolder,
    progress: Callable[[Record], None] = lambda record: None,
    engine_known: Callable[[], None] = lambda: None,
    rounds: Iterable[Sequence[Sample]] | None = None,
) -> None:
    """Ask for every answer of the plan that the folder has no record of, and call `progress` with each record as it
    finishes; `engine_known` is the `opened` of `Answering.answer_all`, which says what is raised, beside the
    ViubenchError for records of other answers. `rounds`, where given, are the samples that are asked, each round drawn
    when the one before has all its records."""
    asked = (attempt.key for sample in plan.samples for attempt in plan.attempts(sample))
    if foreign := sorted(folder.done.difference(asked)):
        name, number = foreign[0]
        raise ViubenchError(
            f"{len(foreign)} records are of no answer that this run asks for; the first is number {number} of {name}",
            where=str(folder.path / record_log.FILE),
            hint="delete their lines, or name another run folder",
        )
    coming = iter([plan.samples] if rounds is None else rounds)

    def following() -> list[Attempt]:
        """What the next round that is not answered yet lacks."""
        for samples in coming:
            lacking = [sample for sample in samples if any(one.key not in folder.done for one in plan.attempts(sample))]
            attempts = (attempt for sample in in_video_order(lacking) for attempt in plan.attempts(sample))
            if pending := [attempt for attempt in attempts if attempt.key not in folder.done]:
                return pending
        return []

    if not (pending := following()):
        return

    def finished(record: Record) -> None:
        if record.key not in folder.done:
            folder.append(record)
            progress(record)

    try:
        await answering.answer_all(pending, finished, engine_known, following)
    except BaseExceptionGroup as errors:
        raise first(errors) from None


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one of several errors that says most to a user."""
    single: list[BaseException] = []
    for error in group.exceptions:
        single.append(first(error) if isinstance(error, BaseExceptionGroup) else error)
    return min(single, key=lambda error: not isinstance(error, ViubenchError))


def in_video_order(samples: Iterable[Sample]) -> list[Sample]:
    """Questions of one video side by side; the order of the rest is stable."""
    return sorted(samples, key=lambda s: (s.cluster, "\0".join(c.path for c in s.clips), s.task, s.id))
