"""A probe on a planned run: the questions as they are asked, and the tasks that it does not apply to.

Example:
    probed(plan).left_out   # {'viubench_count_easy': 'option-shuffle: its questions have no options'}

No engine is asked anything here, and the items stay those of the run without a probe: the two can be paired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from evaluators import Evaluator
from viubench.errors import ViubenchError
from viubench.pretext.rng import Rng
from viubench.runner.plan import Plan
from viubench.runner.probes import options
from viubench.runner.probes.frames import FRAMES
from viubench.schema import JigsawItem, Probe, Protocol, Sample, TaskEntry
from viubench.scoring.aggregate import rounded

T = TypeVar("T")

MARK = "<video>"


def probed(plan: Plan) -> Plan:
    """The plan under the probe of its protocols, or itself where none has one; raises ViubenchError where the probe
    applies to no task."""
    probes = {task: protocol.probe for task, protocol in plan.protocols.items() if protocol.probe != "none"}
    if not probes:
        return plan
    own: dict[str, list[Sample]] = {task: [] for task in plan.protocols}
    for sample in plan.samples:
        own[sample.task].append(sample)
    reasons = {task: unfit(own[task], plan.protocols[task]) for task in probes}
    left_out = {task: f"{probes[task]}: {why}" for task, why in reasons.items() if why}
    if len(left_out) == len(plan.protocols):
        task, why = next(iter(left_out.items()))
        raise ViubenchError(f"the probe applies to no task; {task}: {why}", where="--probe")
    asked = {task: _asked(samples, probes.get(task, "none"), plan.seed) for task, samples in own.items()}
    notes = [f"{task} is left out: {why}" for task, why in left_out.items()]
    notes += [line for task, probe in probes.items() if probe in options.ORDERS and task not in left_out
              for line in _fixed(task, own[task])]  # fmt: skip
    return replace(
        _without(plan, left_out),
        samples=[sample for task, samples in asked.items() if task not in left_out for sample in samples],
        entries={
            task: _circular(entry, own[task], plan.evaluators[task]) if probes.get(task) == "circular" else entry
            for task, entry in plan.entries.items()
            if task not in left_out
        },
        notes=(*plan.notes, *notes),
        left_out=left_out,
    )


def unfit(samples: Sequence[Sample], protocol: Protocol) -> str:
    """Why a probe does not apply to a task; "" where it does."""
    probe = protocol.probe
    if probe in options.ORDERS:
        reasons = Counter(options.fixed(sample) for sample in samples)
        return "" if reasons[""] else f"each of its questions {next(iter(reasons))}"
    if not any(sample.clips for sample in samples):
        return "its questions show no video"
    if probe == "blind":
        return ""
    if probe == "other-video":
        alone = any(len({one.cluster for one in alike}) < 2 for alike in _by_videos(samples))
        return "there is no other video to show for some of its questions" if alone else ""
    if protocol.media == "file":
        return "its videos go to the server as files, which it samples itself"
    if probe in FRAMES and max(_frames(sample, protocol) for sample in samples) < 2:
        return "its videos are shown as one frame each"
    return ""


def _frames(sample: Sample, protocol: Protocol) -> int:
    """The frames of its longest video, at most."""
    item = sample.pretext
    if item is not None:
        return len(item.places) // (len(item.order) if isinstance(item, JigsawItem) else 1)
    return max(
        (
            1 if len(clip.frame_files) == 1 and clip.frame_fps is None else (clip.sampling or protocol.sampling).most
            for clip in sample.clips
        ),
        default=0,
    )


def _asked(samples: Sequence[Sample], probe: Probe, seed: int) -> list[Sample]:
    """The samples as they are planned; what a probe does to frames and options is done when a question's turn comes."""
    if probe == "blind":
        return [blind(sample) for sample in samples]
    return other_videos(samples, seed) if probe == "other-video" else list(samples)


def blind(sample: Sample) -> Sample:
    """The question as text alone."""
    text = sample.question.replace(MARK, "", _videos(sample)).strip()
    return replace(sample, clips=(), pretext=None, question=text)


def other_videos(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """Each question with what another one shows, always of another source video and of as many videos; where no source
    has more than half of the questions, each is shown once again. The order is drawn from `seed`."""
    found: dict[str, Sample] = {}
    for alike in _by_videos(samples):
        found |= _exchanged(alike, seed)
    return [found[sample.id] for sample in samples]


def _by_videos(samples: Sequence[Sample]) -> list[list[Sample]]:
    """The questions that show equally many videos."""
    found: dict[int, list[Sample]] = {}
    for sample in samples:
        found.setdefault(_videos(sample), []).append(sample)
    return list(found.values())


def _exchanged(samples: Sequence[Sample], seed: int) -> dict[str, Sample]:
    """Sources one after another, and each question gets what stands so many places on as the largest source has."""
    sizes = Counter(sample.cluster for sample in samples)
    names = sorted(sizes)
    drawn = {names[source]: place for place, source in enumerate(Rng(seed, "other-video").permutation(len(names)))}
    order = sorted(samples, key=lambda sample: (drawn[sample.cluster], sample.id))
    begins: dict[str, int] = {}
    total, most, found = len(order), max(sizes.values()), dict[str, Sample]()
    for place, sample in enumerate(order):
        begin = begins.setdefault(sample.cluster, place)
        size = sizes[sample.cluster]
        other = place + most if 2 * most <= total else begin + size + (place - begin) % (total - size)
        giver = order[other % total]
        found[sample.id] = replace(sample, clips=giver.clips, pretext=giver.pretext, seed=giver.seed)
    return found


def _videos(sample: Sample) -> int:
    """How many videos a question shows."""
    if isinstance(sample.pretext, JigsawItem):
        return len(sample.pretext.order)
    return 1 if sample.pretext else len(sample.clips)


def _fixed(task: str, samples: Sequence[Sample]) -> list[str]:
    counts = Counter(why for sample in samples if (why := options.fixed(sample)))
    return [f"{task}: {n} of {len(samples)} questions are asked as they stand: each {why}" for why, n in counts.items()]


def _without(plan: Plan, left_out: Mapping[str, str]) -> Plan:
    """The plan without tasks, and without the suites that they were of."""

    def kept(of: Mapping[str, T]) -> dict[str, T]:
        return {task: value for task, value in of.items() if task not in left_out}

    return replace(
        plan,
        protocols=kept(plan.protocols),
        evaluators=kept(plan.evaluators),
        roots=kept(plan.roots),
        rules=kept(plan.rules),
        tasks=kept(plan.tasks),
        suites=tuple(suite for suite in plan.suites if not left_out.keys() & set(suite.tasks)),
        blind_answers=kept(plan.blind_answers),
    )


def _circular(entry: TaskEntry, samples: Sequence[Sample], evaluator: Evaluator) -> TaskEntry:
    """The baselines where every order must be right: a guess at each of k orders, and one letter for all, which is
    right in one of them."""
    chances = [evaluator.chance(sample) ** (1 if options.fixed(sample) else len(sample.options)) for sample in samples]
    alone = type(evaluator).units is Evaluator.units and not entry.average
    constant = not any(map(options.fixed, samples))
    return entry.model_copy(
        update={
            "chance": rounded(sum(chances) / len(chances)) if alone else None,
            "blind": 0.0 if constant else None,
            "blind_statement": "one letter for all is right in one order of the options" if constant else "",
            "trivial": dict.fromkeys(entry.trivial, 0.0) if constant else {},
        }
    )
