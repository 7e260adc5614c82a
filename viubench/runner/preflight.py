"""What a planned run requires of its engine, before it starts: the length of every prompt, and which will not fit.

Example:
    lengths = measure(plan, cache, Counter(checkpoint))
    overlong(lengths, footprint, total=2700, max_errors=0.01)  # []

A frame's size is exact where the frame cache has measured the video before, else the most that the protocol allows.
"""

from __future__ import annotations

import functools
import sys
from collections import Counter as Counts
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from viubench.engines.image_tokens import RuleCounter
from viubench.engines.memory import Footprint
from viubench.engines.token_counts import Counter, Shown
from viubench.errors import MediaError, ViubenchError
from viubench.runner import loop, pipeline
from viubench.runner.plan import Plan
from viubench.schema import Clip, JigsawItem, Resize, Sample, Sampling
from viubench.video import sampling
from viubench.video.frame_cache import FrameCache

COUNTED = 20_000
"""Prompts of a task that a forecast counts; of more, so many evenly spread ones stand for all."""

THINKING_TOKENS = 2048
"""Fewer tokens than that seldom hold the reasoning and the answer of a model that thinks."""


@dataclass(frozen=True, slots=True)
class Length:
    """One prompt: its tokens, those of the answer that may be generated, and the bytes of its frames.

    Attributes:
        text, video: tokens; where not `exact`, those of the largest frames and the most of them there can be.
        largest: of the video tokens, those that the vision encoder makes of the largest video.
    """

    task: str
    text: int
    video: int
    largest: int
    answer: int
    exact: bool
    frame_bytes: int
    pictures: int = 0

    @property
    def prompt(self) -> int:
        return self.text + self.video

    @property
    def whole(self) -> int:
        """Prompt and answer: what has to fit into the model's context."""
        return self.prompt + self.answer


Lengths = Mapping[str, Length]
"""The prompts of a run, by sample id."""


def shown(sample: Sample, clips: Sequence[tuple[Shown, bool]]) -> tuple[list[Shown], bool]:
    """A sample's videos, and whether their sizes are exact, from those of its clips."""
    exact = all(known for _, known in clips)
    pretext = sample.pretext
    if pretext is None:
        return [video for video, _ in clips], exact
    video, times = clips[0][0], pretext.times
    if not isinstance(pretext, JigsawItem):
        told = tuple(times[place] for place in pretext.places)
        return [Shown(len(told), video.height, video.width, told)], exact
    count, step = len(pretext.order), (times[-1] - times[0]) / video.frames
    size = video.frames // count
    return [Shown(size, video.height, video.width, tuple(step * k for k in range(size)))] * count, exact


def _probe(cache: FrameCache, root: Path, clip: Clip, how: Sampling, resize: Resize) -> tuple[Shown, bool]:
    """The video a clip is shown as, as far as the frame cache knows it, and whether it does; opens none."""
    frames = how.most
    still = len(clip.frame_files) == 1 and clip.frame_fps is None
    frames = 1 if still else frames
    across = resize.multiple * _pads(resize, frames)
    most = Shown(frames, resize.multiple, across, still=still)
    try:
        facts, _ = cache.known(clip, root, how, resize)
        if facts is None:
            return most, False
        chosen = sampling.choose(facts.times, facts.duration, how, clip.start, clip.end)
    except MediaError:  # it will be a media error: no prompt at all
        return most, False
    height, width = sampling.fit(facts.height, facts.width, resize, len(chosen))
    return Shown(len(chosen), height, width, tuple(facts.times[chosen].tolist())), True


def _pads(resize: Resize, frames: int) -> int:
    """Vision tokens of a frame, at most; a budget leaves more to each of fewer frames, but not to all together."""
    return max(int(sampling.largest(resize, frames)) // resize.multiple**2, 1)


def measure(
    plan: Plan, cache: FrameCache, counter: Counter | RuleCounter, which: Callable[[Sample], bool] = lambda sample: True
) -> Lengths:
    """The prompts of the samples of which `which` is true, in the run's order."""
    probe = functools.lru_cache(64)(lambda request: _probe(cache, *request))  # a clip's questions are side by side
    lengths: dict[str, Length] = {}
    for sample in filter(which, loop.in_video_order(plan.samples)):
        videos, exact = shown(sample, [probe(request) for request in pipeline.frame_requests(sample, plan)])
        video = sum(map(counter.video, videos))
        lengths[sample.id] = Length(
            sample.task,
            counter.prompt(sample.question, videos, plan.protocols[sample.task].chat) - video,
            video,
            max(map(counter.embeddings, videos), default=0),
            plan.protocols[sample.task].decoding.max_tokens,
            exact,
            sum(each.frames * each.height * each.width * 3 for each in videos),
            sum(each.frames for each in videos),
        )
    return lengths


def spread(plan: Plan, most: int = COUNTED) -> set[str]:
    """The ids of at most about `most` samples of each task, evenly spread over the run; of all where there are no more.
    Tokenizing a million prompts takes minutes, and their mean is known long before."""
    sizes = Counts(sample.task for sample in plan.samples)
    seen: Counts[str] = Counts()
    chosen = set()
    for sample in plan.samples:
        if not seen[sample.task] % -(-sizes[sample.task] // most):
            chosen.add(sample.id)
        seen[sample.task] += 1
    return chosen


def frames_beyond(plan: Plan, room: int, compress: bool = False) -> list[str]:
    """A line where the frames of a run, at the most of them and at their largest, take more than `room` bytes; whether
    they are compressed then."""
    most: dict[object, float] = {}
    for sample in plan.samples:
        for root, clip, how, resize in pipeline.frame_requests(sample, plan):
            frames = how.most
            most[root, clip, how, resize] = 3 * frames * sampling.largest(resize, frames)
    total = sum(most.values())
    if total <= room:
        return []
    taken = f"the frames of this run take up to {total / 1e9:.3g} GB, the frame cache keeps {room / 1e9:.3g}"
    found = f"the next model finds about {room / total:.0%} of them decoded"
    if compress:
        found = f"new ones are compressed to about a third, and {found.replace('about', 'at least')}"
    return [f"{taken}: {found} (--frame-cache-gb, or VIUBENCH_CACHE_GB)"]


def doubtful(plan: Plan, taken: Footprint, group: int = 2) -> Callable[[Sample], bool]:
    """Whether a sample might not fit, by its bytes and its protocol's largest frames (the model merges `group` of
    them): a bound that costs nothing."""
    limit, most = taken.limit or sys.maxsize, taken.video or sys.maxsize

    def check(sample: Sample) -> bool:
        protocol = plan.protocols[sample.task]
        bound = len((sample.question + protocol.chat.system).encode()) + 256 + protocol.decoding.max_tokens
        for _, _, how, resize in pipeline.frame_requests(sample, plan):
            frames = how.most
            groups, pads = -(-frames // group), _pads(resize, frames)
            if groups * pads > most:
                return True
            bound += (groups + 16) * (pads + 24)  # a jigsaw's clips round up
        return bound > limit

    return check


def unfinished(plan: Plan, template: str | None) -> list[str]:
    """One line for each answer budget that is too small for a model whose chat template lets it think first."""
    if not template or not ("<think>" in template or "enable_thinking" in template):
        return []
    short: dict[int, list[str]] = {}
    for task, protocol in sorted(plan.protocols.items()):
        most, thinks = protocol.decoding.max_tokens, protocol.chat.thinking != "off"
        if most < THINKING_TOKENS and thinks and protocol.answers != "likelihood":
            short.setdefault(most, []).append(task)
    return [
        f"{', '.join(tasks)}: the model may think before it answers, and {most} tokens seldom hold both: "
        "--thinking off, or --max-tokens 32768"
        for most, tasks in short.items()
    ]


def overlong(lengths: Lengths, taken: Footprint, total: int, max_errors: float) -> list[str]:
    """Prompts and videos that do not fit, one line a task, and what to change. Raises ViubenchError where more than the
    share `max_errors` of all `total` samples are known to be too long."""
    limit, most = taken.limit or sys.maxsize, taken.video or sys.maxsize
    lines: list[str] = []
    settings: set[str] = set()
    sure = 0
    for task, prompts in by_task(lengths).items():
        long = [length for length in prompts if length.whole > limit]
        large = [length for length in prompts if length.largest > most]
        sure += sum(length.exact and (length.whole > limit or length.largest > most) for length in prompts)
        if long:
            longest = max(long, key=lambda length: length.whole)
            settings |= {taken.setting}
            lines.append(
                f"{task}: {len(long)} samples do not fit into {limit} tokens{_perhaps(long)}: "
                f"the longest prompt has {longest.prompt}, its answer up to {longest.answer}"
            )
        if large:
            settings |= {"max_num_batched_tokens"}
            lines.append(
                f"{task}: {len(large)} samples have a video of more than {most} tokens{_perhaps(large)}: "
                f"the largest has {max(length.largest for length in large)}"
            )
    change = " and ".join(sorted(filter(None, settings)))
    hint = "show fewer --frames or --max-pixels" + (f", or raise --engine-arg {change}" if change else "")
    if sure > max_errors * total:
        raise ViubenchError(
            f"{sure} of {total} samples are too long, more than --max-errors {max_errors:g}; the first: {lines[0]}",
            hint=f"{hint}; with a higher --max-errors each of them is an engine error, and counts as wrong",
        )
    return [*lines, hint] if lines else []


def _perhaps(lengths: Sequence[Length]) -> str:
    guessed = sum(not length.exact for length in lengths)
    return f" ({guessed} of them if their frames are as large as they may be)" if guessed else ""


def by_task(lengths: Lengths) -> Mapping[str, list[Length]]:
    """The prompts of each task, tasks by name."""
    ordered = sorted(lengths.values(), key=lambda length: length.task)
    return {task: list(own) for task, own in groupby(ordered, key=lambda length: length.task)}
