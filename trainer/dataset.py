"""Pretext items as training questions: splits disjoint by video, tasks by weight, frames decoded on demand.

Example:
    questions = Questions.read(load("tiny-cpu").override(train="items", validation="held-out"), Catalogue(), cache)
    [sample.task for sample in questions.batch(7)][:3]
    # ['tiny_jigsaw', 'tiny_ground', 'tiny_count']
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count, islice
from pathlib import Path

import evaluators
from evaluators import Evaluator
from trainer.config import TrainConfig
from viubench.datasets import pretext_items
from viubench.datasets.dataset import Dataset
from viubench.engines.base import FrameFormat
from viubench.errors import MediaError, ViubenchError
from viubench.pretext.rng import Rng
from viubench.reward_groups.curriculum import VarianceCurriculum
from viubench.runner.config import EvalConfig
from viubench.runner.pipeline import frame_requests, shown
from viubench.runner.plan import Plan
from viubench.runner.protocols import protocol_of
from viubench.schema import Sample, Task, content_hash
from viubench.tasks.registry import Catalogue
from viubench.video.content_hash import located
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import VideoInput

STREAM = "grpo"  # order of the questions of GRPO; other streams draw the same items in another order


@dataclass
class Questions:
    """The questions of a run: training and validation items and how their videos are shown, from frame cache `store`.
    `tasks` are the configured ones. The batch of step k is a function of (seed, k), and of the curriculum's state if
    there is one."""

    config: TrainConfig
    tasks: dict[str, Task]
    train: Plan
    held_out: Plan
    store: FrameCache
    curriculum: VarianceCurriculum | None = field(init=False, repr=False, default=None)
    _pools: dict[str, list[Sample]] = field(init=False, repr=False)
    _plans: dict[str, Plan] = field(init=False, repr=False)
    _mixture: Iterator[tuple[str, int]] = field(init=False, repr=False)
    _drawn: list[tuple[str, int]] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        self._pools = {task: of_task(task, self.train.samples) for task in self.tasks}
        self._plans = {sample.id: plan for plan in (self.train, self.held_out) for sample in plan.samples}
        weights = {task: mix.weight for task, mix in self.config.tasks.items()}
        self._mixture = mixture(weights)
        if (how := self.config.curriculum).type == "reward_variance":
            self.curriculum = VarianceCurriculum.over(self.train.samples, weights, how.floor, how.decay)
            self._pools |= self.curriculum.pools(self.train.samples)

    @classmethod
    def read(
        cls,
        config: TrainConfig,
        catalogue: Catalogue,
        store: FrameCache,
        *,
        tests: Sequence[Path] = (),
        multiple: int | None = None,
        need_validation: bool = True,
    ) -> Questions:
        """The items that `config` names, every one with an answer and a video that is there. `tests` are folders of
        test items; `multiple` is the pixel multiple of the model's patches, when it is known; without
        `need_validation`, a configuration may lack validation items. Raises ViubenchError for no items of a task, an
        item without an answer, a missing video, one task with two evaluators, or two folders that share a video (the
        same file, or equal bytes elsewhere)."""
        videos = Path(config.items.videos) if config.items.videos else None
        splits: dict[str, Dataset] = {}
        for name, folder, option in (
            ("training", config.items.train, "--items (items.train)"),
            ("validation", config.items.validation, "--validation (items.validation)"),
        ):
            if folder:
                built = pretext_items.read(Path(folder), catalogue, store, videos, option)
                splits[name] = _chosen(built, config, folder)
            elif need_validation or name == "training":
                hint = "create one: viubench build, from videos of its own"
                raise ViubenchError(f"no folder of {name} items was given", where=option, hint=hint)
        tasks = splits["training"].tasks
        held_out = splits.get("validation", Dataset(tasks, [], Path()))
        if odd := [name for name, task in tasks.items() if held_out.tasks[name].evaluator != task.evaluator]:
            said = f"{odd[0]} has another evaluator in the validation items than in the training items"
            raise ViubenchError(said, where=config.items.validation, hint="build both from one task file")
        splits |= {f"test ({name})": pretext_items.read(name, catalogue, store, option="--tests") for name in tests}
        refuse_shared(splits, store)
        limits = {task: mix.limit for task, mix in config.tasks.items()}
        train = _plan(splits["training"], config, catalogue, limits, multiple)
        return cls(config, tasks, train, _plan(held_out, config, catalogue, dict.fromkeys(limits), multiple), store)

    @property
    def evaluators(self) -> Mapping[str, Evaluator]:
        """The evaluator of each task."""
        return self.train.evaluators

    def batch(self, step: int) -> list[Sample]:
        """The questions of step `step` (from 0): tasks, or the cells of the curriculum, by their weights, exact to one
        question, the items of each once an epoch, in a new order each epoch."""
        size = self.config.train_batch_size
        if self.curriculum is not None:
            turns = self.curriculum.turns(size, Rng("curriculum", self.config.seed, step).integer(0, 999) / 1000)
        else:
            self._drawn += islice(self._mixture, max((step + 1) * size - len(self._drawn), 0))
            turns = self._drawn[step * size : (step + 1) * size]
        order = Rng("batch", self.config.seed, STREAM, step).permutation(size)
        return [self.draw(STREAM, *turns[index]) for index in order]

    def validation(self, n: int | None = None) -> list[Sample]:
        """The first `n` validation items of each task (fewer where there are fewer), or all; task by task."""
        return [sample for task in self.tasks for sample in of_task(task, self.held_out.samples)[:n]]

    def videos(self, sample: Sample) -> tuple[VideoInput, ...]:
        """The frames of a sample, as a run of the harness shows them. Raises ViubenchError for an unusable video."""
        plan = self._plans[sample.id]
        try:
            wanted = frame_requests(sample, plan)
            return shown(sample, [self.store.get(clip, root, how, resize) for root, clip, how, resize in wanted])
        except MediaError as error:
            said = f"the video of an item cannot be used: {error}"
            raise ViubenchError(said, where=f"item {sample.id}", hint="build the items again") from None

    def hash(self) -> str:
        """16 hex digits over the training and validation items; with `TrainConfig.hash` it identifies a run."""
        splits = (self.train.samples, self.held_out.samples)
        return content_hash([[(sample.id, sample.answer_text) for sample in samples] for samples in splits])

    def draw(self, stream: str, pool: str, number: int) -> Sample:
        """The `number`-th question of a task, or of a cell of the curriculum, from 0, over all epochs."""
        samples = self._pools[pool]
        epoch, place = divmod(number, len(samples))
        return samples[_epoch(self.config.seed, stream, pool, epoch, len(samples))[place]]


def of_task(task: str, samples: Iterable[Sample]) -> list[Sample]:
    """The samples of one task."""
    return [sample for sample in samples if sample.task == task]


def mixture(weights: Mapping[str, float]) -> Iterator[tuple[str, int]]:
    """Endless (task, how often it came before); the next task is always the one furthest behind its share."""
    total = sum(weights.values())
    counts = dict.fromkeys(weights, 0)
    for draws in count(1):
        task = max(weights, key=lambda name: draws * weights[name] / total - counts[name])
        yield task, counts[task]
        counts[task] += 1


@lru_cache(maxsize=64)
def _epoch(seed: int, stream: str, task: str, epoch: int, n: int) -> tuple[int, ...]:
    return tuple(Rng("epoch", seed, stream, task, epoch).permutation(n))


def refuse_shared(splits: Mapping[str, Dataset], store: FrameCache) -> None:
    """Raises ViubenchError, naming the video, when two splits share one by real path or content, or lack one."""
    known: dict[str, tuple[str, str]] = {}
    for split, built in splits.items():
        for clip in dict.fromkeys(clip for sample in built.samples for clip in sample.clips):
            try:
                names = {str(path): name for name, path in located(clip, built.videos)}
                names[clip.content or store.content(clip, built.videos)] = clip.path or clip.frame_files[0]
            except MediaError as error:
                said = f"the video of an item cannot be used: {error}"
                hint = "give the folder the videos are in now (--videos, items.videos), or build the items again"
                raise ViubenchError(said, where=str(built.videos), hint=hint) from None
            for identity, video in names.items():
                other, twin = known.setdefault(identity, (split, video))
                if other != split:
                    same = f"{video} (there {twin})" if video != twin else video
                    said = f"the {other} and the {split} items share a source video: {same}"
                    hint = "build them from different videos, or the scores say nothing about unseen ones"
                    raise ViubenchError(said, where="items", hint=hint)


def _chosen(built: Dataset, config: TrainConfig, folder: str) -> Dataset:
    """The items of the configured tasks."""
    samples = [sample for sample in built.samples if sample.task in config.tasks]
    missing = sorted(set(config.tasks) - {sample.task for sample in samples})
    if missing:
        hint = f"there are: {', '.join(built.tasks) or 'none'}; build the task too, or take it out of the mixture"
        raise ViubenchError(f"there is no item of {missing[0]}", where=folder, hint=hint)
    return Dataset({name: built.tasks[name] for name in config.tasks}, samples, built.videos)


def _plan(
    built: Dataset, config: TrainConfig, catalogue: Catalogue, limits: Mapping[str, int | None], multiple: int | None
) -> Plan:
    """The plan of a run over these items, at most so many of each task; frames are those of a run of the harness."""
    samples = [sample for name, limit in limits.items() for sample in of_task(name, built.samples)[:limit]]
    options, frames = EvalConfig(protocol=config.protocol or None), FrameFormat(multiple)
    return Plan(
        samples,
        {name: protocol_of(options, catalogue, task.protocol, frames, task) for name, task in built.tasks.items()},
        {name: evaluators.get(task.evaluator.name, **task.evaluator.params) for name, task in built.tasks.items()},
        dict.fromkeys(built.tasks, built.videos),
    )
