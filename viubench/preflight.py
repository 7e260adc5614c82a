"""What a planned run asks of its engine, before it starts: the length of every prompt, and which will not fit.

Example:
    >>> lengths = measure(planned, store, Counter(checkpoint))
    >>> lengths.longest("viubench_jigsaw_hard"), lengths.overlong(4096)
    (7514, {'viubench_jigsaw_hard': 150})

A frame's size is exact where the store has measured the video before, else the most that the protocol allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from viubench import journal, runner, way
from viubench.engines.tokens import Counter, Shown
from viubench.errors import MediaError, ViubenchError
from viubench.media import Wanted
from viubench.planning import Planned
from viubench.schema import Clip, Fate, Resize, Sample, Sampling
from viubench.video import sampling
from viubench.video.store import FrameStore
from viubench.way import Plan


@dataclass(frozen=True)
class Length:
    """One prompt.

    Attributes:
        text, video: tokens; where not `exact`, those of the largest frames and the most of them there can be.
        answer: tokens that may be generated.
        frame_bytes: bytes of the frames shown.
    """

    task: str
    text: int
    video: int
    answer: int
    exact: bool
    frame_bytes: int

    @property
    def prompt(self) -> int:
        return self.text + self.video

    @property
    def whole(self) -> int:
        """Prompt and answer: what has to fit into the model's context."""
        return self.prompt + self.answer


@dataclass
class Lengths:
    """The prompts of a run, by sample id, and how its videos stand in the store.

    Attributes:
        fresh: tokens to be computed when a video's later questions find it in the prefix cache.
        undecoded: distinct clips whose frames the store does not hold; the number of all is `clips`.
    """

    samples: dict[str, Length] = field(default_factory=dict)
    fresh: int = 0
    clips: int = 0
    undecoded: list[Wanted] = field(default_factory=list)

    def of(self, task: str) -> list[Length]:
        return [length for length in self.samples.values() if length.task == task]

    def longest(self, task: str) -> int:
        """Tokens of a task's longest prompt, without its answer."""
        return max(length.prompt for length in self.of(task))

    def overlong(self, limit: int, *, surely: bool = False) -> dict[str, int]:
        """Task -> samples whose prompt and answer are more than `limit` tokens; only those known to be if `surely`."""
        found: dict[str, int] = {}
        for length in self.samples.values():
            if length.whole > limit and (length.exact or not surely):
                found[length.task] = found.get(length.task, 0) + 1
        return found


class Viewer:
    """Which videos a sample shows, as far as the store knows them; opens none."""

    def __init__(self, plan: Plan, store: FrameStore) -> None:
        self.plan = plan
        self.store = store
        self.seen: dict[Wanted, tuple[Shown, bool, bool]] = {}
        """Clip -> how it is shown, whether that is exact, whether the store holds its frames."""

    def shown(self, sample: Sample) -> tuple[list[Shown], bool]:
        """A sample's videos, and whether their sizes are exact."""
        clips = [self._clip(wanted) for wanted in way.clip_wants(sample, self.plan)]
        exact = all(known for _, known, _ in clips)
        if "kind" not in sample.params:
            return [video for video, _, _ in clips], exact
        video, times = clips[0][0], sample.params["times"]
        if sample.params["kind"] != "jigsaw":
            return [Shown(video.frames, video.height, video.width, tuple(times[:-1]))], exact
        count, step = len(sample.params["order"]), (times[-1] - times[0]) / video.frames
        size = video.frames // count
        return [Shown(size, video.height, video.width, tuple(step * k for k in range(size)))] * count, exact

    def _clip(self, wanted: Wanted) -> tuple[Shown, bool, bool]:
        if wanted not in self.seen:
            self.seen[wanted] = self._look(*wanted)
        return self.seen[wanted]

    def _look(self, root: Path, clip: Clip, how: Sampling, resize: Resize) -> tuple[Shown, bool, bool]:
        frames = len(how.indices) if how.kind == "indices" else how.frames
        across = resize.multiple * (resize.max_pixels // resize.multiple**2)
        still = len(clip.frame_files) == 1 and clip.frame_fps is None
        most = Shown(1 if still else frames, resize.multiple, across, still=still)
        try:
            facts, held = self.store.known(clip, root, how, resize)
            if facts is None:
                return most, False, held
            chosen = sampling.choose(facts.times, facts.duration, how, clip.start, clip.end)
        except MediaError:  # it will be a media error: no prompt at all
            return most, False, True
        height, width = sampling.fit(facts.height, facts.width, resize)
        return Shown(len(chosen), height, width, tuple(facts.times[chosen].tolist())), True, held


def measure(
    planned: Planned,
    store: FrameStore,
    counter: Counter,
    done: set[str] | None = None,
    wanted: Callable[[Sample], bool] = lambda sample: True,
) -> Lengths:
    """The prompts that are still to be asked, in the run's order.

    Args:
        done: ids that need not be asked.
        wanted: which of the others to count.
    """
    viewer = Viewer(planned.plan, store)
    lengths = Lengths()
    before: list[Wanted] = []
    for sample in runner.in_video_order(planned.plan.samples):
        if sample.id in (done or set()) or not wanted(sample):
            continue
        shown, exact = viewer.shown(sample)
        video = sum(map(counter.video, shown))
        lengths.samples[sample.id] = Length(
            sample.task,
            counter.prompt(sample.question, shown) - video,
            video,
            planned.plan.protocols[sample.task].decoding.max_tokens,
            exact,
            sum(each.frames * each.height * each.width * 3 for each in shown),
        )
        wants = way.clip_wants(sample, planned.plan)
        again = wants == before and "kind" not in sample.params  # a pretext item shows its video changed
        lengths.fresh += lengths.samples[sample.id].text + (0 if again else video)
        before = wants
    lengths.clips = len(viewer.seen)
    lengths.undecoded = [clip for clip, (_, _, held) in viewer.seen.items() if not held]
    return lengths


def doubtful(planned: Planned, limit: int) -> Callable[[Sample], bool]:
    """Whether a sample might not fit, by its bytes and its protocol's largest frames: a bound that costs nothing."""
    plan = planned.plan

    def check(sample: Sample) -> bool:
        bound = len(sample.question.encode()) + 256 + plan.protocols[sample.task].decoding.max_tokens
        for _, _, how, resize in way.clip_wants(sample, plan):
            groups = ((len(how.indices) if how.kind == "indices" else how.frames) + 1) // 2
            bound += (groups + 16) * (resize.max_pixels // resize.multiple**2 + 24)  # a jigsaw's clips round up
        return bound > limit

    return check


def overlong(lengths: Lengths, limit: int, setting: str, total: int, max_errors: float) -> list[str]:
    """What to tell of prompts that do not fit, one line a task.

    Args:
        limit: tokens of the context; `setting` is where it was set.

    Raises:
        ViubenchError: more than the share `max_errors` of all `total` samples are known to be too long.
    """
    hint = "show fewer --frames or --max-pixels" + (f", or raise --engine-arg {setting}" if setting else "")
    lines = []
    for task, count in sorted(lengths.overlong(limit).items()):
        surely = sum(length.exact and length.whole > limit for length in lengths.of(task))
        most = max(lengths.of(task), key=lambda length: length.whole)
        kind = "" if surely == count else f" ({count - surely} of them if their frames are as large as they may be)"
        lines.append(
            f"{task}: {count} samples do not fit into {limit} tokens{kind}: "
            f"the longest prompt has {most.prompt}, its answer up to {most.answer}"
        )
    sure = sum(lengths.overlong(limit, surely=True).values())
    if sure > max_errors * total:
        raise ViubenchError(
            f"{sure} of {total} samples are too long, more than --max-errors {max_errors:g}; the first: {lines[0]}",
            hint=f"{hint}; with a higher --max-errors each of them is an engine error, and counts as wrong",
        )
    return [*lines, hint] if lines else []


class Timed(Fate):
    """What the pace of a run is read from."""

    seconds: dict[str, float] = Field(default_factory=dict)


@dataclass(frozen=True)
class Pace:
    """What the answers on record took: their number, and wall seconds of the engine for each."""

    answers: int
    seconds: float


def pace(folder: Path, in_flight: int) -> tuple[set[str], Pace | None]:
    """The ids a run folder need not ask again, and its pace, where any answer on record says how long it took with
    `in_flight` others beside it."""
    done: set[str] = set()
    seconds, answers = 0.0, 0
    for record in journal.read(folder, Timed):
        if not record.mendable:
            done.add(record.id)
        if took := record.seconds.get("engine"):
            seconds, answers = seconds + took, answers + 1
    return done, Pace(answers, seconds / answers / min(in_flight, answers)) if answers else None


def by_task(lengths: Lengths) -> Mapping[str, list[Length]]:
    """The prompts of each task, tasks by name."""
    found: dict[str, list[Length]] = {}
    for length in lengths.samples.values():
        found.setdefault(length.task, []).append(length)
    return dict(sorted(found.items()))
