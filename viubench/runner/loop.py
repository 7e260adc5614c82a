"""The loop of a run: every sample without a record is answered, and its record appended as it finishes.

Example:
    await run(plan, Pipeline(plan, engine, media, folder.path, strips), folder, progress=print)

Samples are ordered by video, so that a video's second question finds its frames in the store and its tokens in the
engine's caches. One engine of this process answers (`viubench.runner.pipeline.Pipeline`),
or several engine processes (`viubench.runner.parallel.coordinator.Replicas`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from viubench.errors import ViubenchError
from viubench.runner.plan import Plan
from viubench.schema import Record, Sample
from viubench.storage.run_dir import RunFolder


class Answering(Protocol):
    """What answers samples: one engine, or several replicas of it."""

    async def answer_all(
        self, samples: Sequence[Sample], finished: Callable[[Record], None], opened: Callable[[], None]
    ) -> None:
        """Answer every sample; a failure of its video or its request becomes its record.

        Args:
            finished: called with each record, in the order they finish.
            opened: called when an engine is open, and where it learns on the way also before it is closed: it then
                knows its version and settings.

        Raises:
            ViubenchError: the engine cannot start, or finds that it cannot be trusted; may come in an ExceptionGroup.
        """


async def run(
    plan: Plan,
    answering: Answering,
    folder: RunFolder,
    progress: Callable[[Record], None] = lambda record: None,
    engine_known: Callable[[], None] = lambda: None,
) -> None:
    """Answer every sample of the plan that the folder has no record of; one record each, as it finishes.

    Args:
        progress: called with each finished record.
        engine_known: called when the engine can say more of itself than before, see `Answering`.

    Raises:
        ViubenchError: the engine cannot start, or finds that it cannot be trusted.
    """
    pending = [s for s in in_video_order(plan.samples) if s.id not in folder.done]
    if not pending:
        return

    def finished(record: Record) -> None:
        if record.id not in folder.done:
            folder.append(record)
            progress(record)

    try:
        await answering.answer_all(pending, finished, engine_known)
    except ExceptionGroup as errors:
        for error in errors.exceptions:
            if isinstance(error, ViubenchError):
                raise error from None
        raise


def in_video_order(samples: Iterable[Sample]) -> list[Sample]:
    """Questions of one video side by side; the order of the rest is stable."""
    return sorted(samples, key=lambda s: (s.cluster, [c.path for c in s.clips], s.task, s.id))


def strip_ids(samples: Iterable[Sample], most: int) -> frozenset[str]:
    """The samples whose filmstrip is kept: the first `most` of each task."""
    kept: dict[str, list[str]] = {}
    for sample in samples:
        ids = kept.setdefault(sample.task, [])
        if len(ids) < most:
            ids.append(sample.id)
    return frozenset(sample_id for ids in kept.values() for sample_id in ids)
