"""A search for thresholds as a run: its plan, its rounds, its records, and what they say.

Example:
    with FrontierRun.start(config, FrontierOptions(axes="jigsaw.clips,counting.instances")) as run:
        in_event_loop(run.answer())
        report = run.report()

Engine, settings, records and resuming are those of `viubench run`; only what is asked is chosen round by round. Every
round follows from the answers before it, so that a search that was killed goes on as if it never was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from viubench.engines.base import Engine
from viubench.errors import ViubenchError
from viubench.frontier.axes import AXES, Levels, chosen
from viubench.frontier.items import make
from viubench.frontier.search import Search
from viubench.runner.config import EvalConfig
from viubench.runner.evaluate import ActiveRun
from viubench.runner.parallel.layout import Layout
from viubench.runner.plan import Plan
from viubench.schema import Manifest, Sample, ScoredRecord
from viubench.schema.frontier import FrontierAxis, FrontierLevel, FrontierPlan, FrontierReport
from viubench.stats import thresholds
from viubench.storage import output, record_log
from viubench.storage.run_dir import RunFolder, write_json
from viubench.tasks.registry import Catalogue

FILE = "frontier.json"

MODEL = (
    "score(x) = guess(x) + (1 - guess(x)) c(x), c logistic in the level x with threshold, width and lapse; c = 1/2 at "
    "the threshold"
)
LIKELIHOOD = (
    "Bernoulli, score log p + (1 - score) log (1 - p): scores between 0 and 1 (overlaps, means over shapes) enter as "
    "they are, which is right for their mean and never too sure of it"
)


@dataclass(frozen=True)
class FrontierOptions:
    """What is searched, and when it is found.

    Args:
        axes: names with commas between (see `viubench.frontier.axes`).
        levels: other values of an axis, by its name, from the easiest to the hardest.
        recipe: whose first task of each kind, and whose frames, the items are made with.
        questions: of each axis, at most.
        width: an axis is done once its 95 % interval is no wider, in levels.
        batch: questions of an axis in a round.
    """

    axes: str | Sequence[str] = tuple(AXES)
    levels: Mapping[str, Sequence[float]] | None = None
    recipe: str = "viubench"
    questions: int = 120
    width: float = 1.5
    batch: int = 4

    CERTAIN = 0.975
    POOL = 3
    """A level has items for this part of an axis' questions."""

    @property
    def pool(self) -> int:
        """Items of a level."""
        return -(-self.questions // self.POOL)

    def __post_init__(self) -> None:
        for name, least in (("questions", 1), ("batch", 1), ("width", 0.1)):
            if (value := getattr(self, name)) < least:
                raise ViubenchError(f"{name} is {value:g}: at least {least:g} is needed", where=f"--{name}")


class FrontierRun(ActiveRun):
    """A search for thresholds that is being answered; the folder is that of a run, without scores of tasks."""

    def __init__(self, config: EvalConfig, engine: Engine, layout: Layout, folder: RunFolder, plan: Plan) -> None:
        super().__init__(config, engine, layout, folder, plan)
        self.options = FrontierOptions()
        self.levels: Sequence[Levels] = ()
        self.search: Search  # from the first round on

    @classmethod
    def start(cls, config: EvalConfig, options: FrontierOptions) -> FrontierRun:
        """Build the items into `items` of the run folder, and open the run; nothing is answered yet. Raises
        ViubenchError as `make` and `ActiveRun.open` do."""
        axes = chosen(options.axes, options.levels)
        catalogue = Catalogue(config.include_paths)
        recipe = catalogue.recipe(options.recipe)
        items = config.run_folder / "items"
        RunFolder.claim(config.run_folder).close()  # before anything is built: it may be the folder of other things
        levels = make(config, axes, recipe, catalogue, items, options.pool)
        run = cls.open(replace(config, tasks=[str(items)], videos=None, frames=None))
        run.options, run.levels = options, levels
        return run

    @property
    def answers(self) -> int:
        """How many answers there will be, at most."""
        each = max((protocol.decoding.samples for protocol in self.plan.protocols.values()), default=1)
        return each * self.options.questions * len(self.levels)

    def rounds(self) -> Iterable[Sequence[Sample]]:
        """Each round once the one before has its records."""
        metrics = {task: evaluator.unit_metric for task, evaluator in self.plan.evaluators.items()}
        self.search = Search(self.frontier, self.plan.samples, metrics)
        return self._searched(self.search)

    def manifest(self) -> Manifest:
        return super().manifest().model_copy(update={"frontier": self.frontier})

    def finish(self) -> None:
        """Write `frontier.json` from the records."""
        with output.writing(self.out / FILE):
            write_json(self.out / FILE, self.report())

    def report(self) -> FrontierReport:
        """What the answers say, once there are all."""
        results, manifest = self.search.results(), self.manifest()
        failed = sum(level.failed for axis in results.values() for level in axis.levels)
        questions = sum(axis.questions for axis in results.values())
        invalid = ""
        if failed > self.config.max_errors * questions:
            invalid = (
                f"{failed} of {questions} questions failed, more than --max-errors {self.config.max_errors:g} allows"
            )
        return FrontierReport(
            model=str(manifest.model["name"]),
            engine=self.engine.kind,
            recipe=self.options.recipe,
            seed=self.config.seed,
            axes=results,
            questions=questions,
            failed=failed,
            invalid=invalid,
        )

    def _searched(self, search: Search) -> Iterator[list[Sample]]:
        """The rounds of a search, which gets the records of each that is answered."""
        while batch := search.next():
            yield batch
            search.add(batch, self._records())

    def _records(self) -> Mapping[str, Sequence[ScoredRecord]]:
        found: dict[str, list[ScoredRecord]] = {}
        for record in record_log.read(self.out, ScoredRecord):
            found.setdefault(record.id, []).append(record)
        return found

    @cached_property
    def frontier(self) -> FrontierPlan:
        """How thresholds are looked for, for the manifest."""
        lapses = zip(thresholds.LAPSES, thresholds.LAPSE_PRIOR / thresholds.LAPSE_PRIOR.sum(), strict=True)
        prior = {
            "threshold": f"uniform, half an axis (at least 2 levels) beyond both ends, in steps of {thresholds.STEP:g}",
            "width": f"uniform in logarithm, {thresholds.WIDTHS} values from a quarter of a level to three axes",
            "lapse": {f"{lapse:g}": round(float(weight), 4) for lapse, weight in lapses},
        }
        return FrontierPlan(
            recipe=self.options.recipe,
            axes={one.axis.name: self._axis(one) for one in self.levels},
            questions=self.options.questions,
            width=self.options.width,
            certain=self.options.CERTAIN,
            batch=self.options.batch,
            model=MODEL,
            likelihood=LIKELIHOOD,
            prior=prior,
        )

    def _axis(self, made: Levels) -> FrontierAxis:
        axis = made.axis
        levels = [self._level(value, task.task) for value, task in made.tasks.items()]
        return FrontierAxis(unit=axis.unit, base=made.base, scale=axis.scale, levels=levels, left_out=made.left_out)

    def _level(self, value: float, task: str) -> FrontierLevel:
        """A level with the score of its best constant answer; of all that could be drawn, where the items say how they
        were: that of the few there are would make a threshold depend on their luck."""
        samples = [sample for sample in self.plan.samples if sample.task == task]
        expected = self.plan.evaluators[task].blind(samples).expected
        guess = self.plan.entries[task].blind if expected is None else expected
        return FrontierLevel(value=value, task=task, items=len(samples), guess=round(guess or 0.0, 6))
