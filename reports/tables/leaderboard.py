"""The main table as data: models, baselines and published rows against suites and tasks.

Example:
    first = rows([load(path) for path in folders], references)[0]
    first.label, first.rank, first.cells["viubench"].value
    # ('Qwen3-VL-8B', 1, 0.195)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from reports.data.runs import RunData
from reports.html.escape import clean, one_line
from reports.html.format import middle_cut, short_names
from reports.tables.ranking import Cell, Contest, Pairing, against_best, ranks
from viubench.schema import ANSWERED, ReferenceRow, Results, TaskEntry
from viubench.tasks.registry import Catalogue

LONGEST_NAME = 72
"""Characters of a model's name on a page; its run is listed with all of them."""

KINDS = ("model", "constrained", "likelihood", "single", "random", "chance", "blind", "pixels", "oracle", "published")

NOTES = {
    "single": "a model that saw one frame of each video",
    "random": "guesses at random",
    "chance": "expected of guessing, computed",
    "blind": "best constant answer",
    "pixels": "classical image processing, no model",
    "oracle": "gives the true answer",
}


@dataclass(frozen=True)
class Column:
    """A suite, a group of it ("suite/group"), the mean of the tasks ("mean") or a task; `label` is its header.

    `shares` are the tasks' shares in its value; empty means equal ones.
    """

    key: str
    label: str
    kind: str
    tasks: tuple[str, ...]
    shares: tuple[float, ...] = ()

    @property
    def weights(self) -> dict[str, float]:
        """Each task's share in the column's value."""
        shares = self.shares or (1 / len(self.tasks),) * len(self.tasks)
        return dict(zip(self.tasks, shares, strict=True))

    def mean(self, values: Sequence[float]) -> float:
        """The column's value from one value per task."""
        return sum(share * value for share, value in zip(self.weights.values(), values, strict=True))


@dataclass(frozen=True)
class LeaderboardRow:
    """One line of the table.

    `kind` is one of `KINDS`; a row made from figures inside the runs (chance, blind) says so in `note`. `badges` are
    short warnings. `gain` is the first column's score minus the blind score on the same items. `rank` is by the first
    column, shared by models that the data cannot separate (`reports.tables.ranking.ranks`); None for all but models.
    """

    label: str
    kind: str
    note: str = ""
    cells: Mapping[str, Cell] = field(default_factory=dict)
    badges: tuple[str, ...] = ()
    n: int | None = None
    not_ok: float | None = None
    gain: float | None = None
    rank: int | None = None


def columns(runs: Sequence[RunData]) -> list[Column]:
    """Every suite (the one most runs share first) with its groups, then every task, in the order of the suites.

    Where there is no suite, the mean of the tasks that all models have comes first: one task does not name the best.
    Tasks that a judge alone can score stand last.
    """
    shared = Counter(name for run in runs for name in run.results.suites)
    tasks: dict[str, None] = {}
    found = []
    for name in sorted(shared, key=lambda name: (-shared[name], name)):
        run = next(run for run in runs if name in run.results.suites)
        suite = run.results.suites[name]
        known = run.manifest.suites.get(name)
        shares, members = (known.shares(), known.groups) if known else ({}, {})
        weights = tuple(shares[task] for task in suite.tasks) if known else ()
        found.append(Column(name, name, "suite", tuple(suite.tasks), weights))
        found += [Column(f"{name}/{group}", group, "group", tuple(members.get(group, ()))) for group in suite.groups]
        tasks |= dict.fromkeys(suite.tasks)
    judged = {name for run in runs for name, task in run.results.tasks.items() if task.needs_judge}
    tasks |= dict.fromkeys(
        sorted((name for run in runs for name in run.results.tasks), key=lambda name: (name in judged, name))
    )
    present = {name for run in runs for name in run.results.tasks}
    short = short_names([name for name in tasks if name in present])
    ruled = [name for name in short if name not in judged]
    everywhere = tuple(name for name in ruled if all(name in run.results.tasks for run in _models(runs)))
    if not found and len(everywhere) > 1:
        found.append(Column("mean", f"mean of {len(everywhere)} tasks", "mean", everywhere))
    return [*found, *(Column(name, short[name], "task", (name,)) for name in short)]


def shown(heads: Sequence[Column]) -> list[Column]:
    """The columns of the main table: a task that is all of a group stands there once, as the group."""
    whole = {head.tasks[0] for head in heads if head.kind == "group" and len(head.tasks) == 1}
    return [head for head in heads if head.kind != "task" or head.key not in whole]


def rows(
    runs: Sequence[RunData], references: Sequence[ReferenceRow], pairing: Pairing | None = None
) -> list[LeaderboardRow]:
    """Models by score, then baselines (chance and blind from the runs' own figures where nobody ran them), then
    published rows that share a column."""
    heads = columns(runs)
    if not heads:
        return []
    unlike = set(mixed(runs, "protocol_hash"))
    pairing = pairing or Pairing(runs)
    made = [_measured(k, runs, label, heads, unlike, pairing) for k, label in enumerate(labels(runs))]
    models = _ranked({place: row for place, row in enumerate(made) if row.kind == "model"}, heads, pairing)
    baselines = [row for row in made if row.kind != "model"]
    kinds = {row.kind for row in baselines}
    baselines += [
        _computed(runs, heads, what) for what, own in (("chance", "random"), ("blind", "blind")) if own not in kinds
    ]
    published = [_published(reference, runs, heads) for reference in references]

    def order(row: LeaderboardRow) -> tuple[int, int, float, str]:
        cell = row.cells.get(heads[0].key) if row.kind in ("model", "published") else None
        return KINDS.index(row.kind), row.rank or 0, -cell.value if cell else 1.0, row.label

    return sorted([*models, *(row for row in (*baselines, *published) if row.cells)], key=order)


def labels(runs: Sequence[RunData]) -> list[str]:
    """A name for each run that no other run has: the model, then also its engine, its folder, its place in the list."""
    names = [middle_cut(one_line(run.results.model), LONGEST_NAME) for run in runs]
    for more in (
        ["one frame" if run.one_frame else run.answers if run.apart else run.results.engine for run in runs],
        [clean(run.path.name) for run in runs],
        [str(k) for k in range(1, len(runs) + 1)],
    ):
        seen = Counter(names)
        names = [f"{name} · {extra}" if seen[name] > 1 else name for name, extra in zip(names, more, strict=True)]
    return names


def mixed(runs: Sequence[RunData], what: str) -> list[str]:
    """Tasks that the runs answered under different values of `what` ("items_hash" or "protocol_hash").

    A baseline sees no frames and decodes nothing, so its protocol does not count.
    """
    seen: dict[str, set[str]] = {}
    for run in runs if what == "items_hash" else _models(runs):
        for name, result in run.results.tasks.items():
            seen.setdefault(name, set()).add(getattr(result, what))
    return sorted(name for name, values in seen.items() if len(values) > 1)


def _models(runs: Sequence[RunData]) -> list[RunData]:
    """The models; all runs where there is none."""
    return [run for run in runs if run.kind == "model"] or list(runs)


def mean_of(results: Results, head: Column, what: str) -> float | None:
    """The column's value of the tasks' "chance" or "blind" scores; None where one task has none."""
    values = [getattr(results.tasks[name], what) if name in results.tasks else None for name in head.tasks]
    known = [value for value in values if value is not None]
    return head.mean(known) if known and len(known) == len(values) else None


def _measured(
    place: int, runs: Sequence[RunData], label: str, heads: Sequence[Column], unlike: set[str], pairing: Pairing
) -> LeaderboardRow:
    run = runs[place]
    results, first = run.results, heads[0]
    cells = {head.key: cell for head in heads if (cell := _cell(place, results, head, pairing))}
    n = sum(task.n for task in results.tasks.values())
    tasks = results.tasks.values()
    failed = sum(n for task in tasks for status, n in task.statuses.items() if status not in ANSWERED)
    blind = mean_of(results, first, "blind")
    answers = sum(task.answers for task in results.tasks.values())
    gain = cells[first.key].value - blind if first.key in cells and blind is not None else None
    badges = sorted(
        {f"protocol {task.protocol}" for name, task in results.tasks.items() if run.kind == "model" and name in unlike}
    )
    note = NOTES.get(run.kind, f"imported from {run.imported_from}" if run.imported_from else results.engine)
    return LeaderboardRow(label, run.kind, note, cells, tuple(badges), n, failed / answers if answers else 0.0, gain)


def _cell(place: int, results: Results, head: Column, pairing: Pairing) -> Cell | None:
    chance = mean_of(results, head, "chance")
    if head.kind == "mean":
        if not all(task in results.tasks and not results.tasks[task].needs_judge for task in head.tasks):
            return None
        value = head.mean([results.tasks[task].value for task in head.tasks])
        found = pairing.estimate(place, head.weights)
        return Cell(value, found.low, found.high, chance) if found else Cell(value, chance=chance)
    if head.kind == "task" or len(head.tasks) == 1:
        task = results.tasks.get(head.tasks[0])
        return Cell(task.value, *task.ci, chance) if task and not task.needs_judge else None
    suite = results.suites.get(head.key.removesuffix(f"/{head.label}"))
    if suite is None:
        return None
    if head.kind == "group":
        return Cell(suite.groups[head.label], chance=chance) if head.label in suite.groups else None
    return Cell(suite.value, *suite.ci, chance)


def contests(runs: Sequence[RunData], head: Column, pairing: Pairing) -> list[Contest]:
    """The best model of a column against every other, the nearest first."""
    cells = {
        place: cell
        for place, run in enumerate(runs)
        if run.kind == "model" and (cell := _cell(place, run.results, head, pairing))
    }
    return against_best(pairing, head.weights, cells)


def evidence(runs: Sequence[RunData], heads: Sequence[Column], pairing: Pairing) -> list[tuple[Column, Contest]]:
    """The first column's best against every other model, then each other column's best against its next."""
    found = []
    for number, head in enumerate(heads):
        tried = contests(runs, head, pairing)
        found += [(head, contest) for contest in (tried if number == 0 else tried[:1])]
    return found


def _ranked(rows: Mapping[int, LeaderboardRow], heads: Sequence[Column], pairing: Pairing) -> list[LeaderboardRow]:
    """The models, by the places of their runs: the best of each column marked, its ties, and the ranks."""
    cells: dict[int, dict[str, Cell]] = {place: dict(row.cells) for place, row in rows.items()}
    for head in heads:
        here = {place: found[head.key] for place, found in cells.items() if head.key in found}
        found = against_best(pairing, head.weights, here)
        for contest in found:
            cells[contest.other][head.key] = replace(here[contest.other], tied=contest.tied)
        if found:
            best, tied = found[0].best, any(contest.tied for contest in found)
            cells[best][head.key] = replace(here[best], best=True, tied=tied)
    first = heads[0]
    ranked = {place: found[first.key] for place, found in cells.items() if first.key in found}
    rank = ranks(pairing, first.weights, ranked)
    return [replace(row, cells=cells[place], rank=rank.get(place, len(ranked) + 1)) for place, row in rows.items()]


def _computed(runs: Sequence[RunData], heads: Sequence[Column], what: str) -> LeaderboardRow:
    """Chance or the blind answerer, from figures inside the runs."""
    cells = {
        head.key: Cell(value, chance=first_known(runs, head, "chance"))
        for head in heads
        if (value := first_known(runs, head, what)) is not None
    }
    return LeaderboardRow(what, what, NOTES[what], cells)


def first_known(runs: Sequence[RunData], head: Column, what: str) -> float | None:
    """A column's "chance" or "blind" value from the first run that carries it."""
    known = (mean_of(run.results, head, what) for run in runs)
    return next((value for value in known if value is not None), None)


def _published(reference: ReferenceRow, runs: Sequence[RunData], heads: Sequence[Column]) -> LeaderboardRow:
    cells = {}
    for head in heads:
        chance = first_known(runs, head, "chance")
        values = [reference.values[task] for task in head.tasks if task in reference.values]
        if head.key in reference.values:
            cells[head.key] = Cell(reference.values[head.key], chance=chance)
        elif head.kind != "task" and values and len(values) == len(head.tasks):
            cells[head.key] = Cell(head.mean(values), chance=chance)
    same = {
        "other protocol": all(same_protocol(reference, run) for run in _models(runs)),
        "other rows": all(whole(run, reference.values) for run in _models(runs)),
    }
    badges = tuple(badge for badge, alike in same.items() if not alike)
    return LeaderboardRow(reference.model, "published", reference.source, cells, badges)


def whole(run: RunData, tasks: Iterable[str]) -> bool:
    """Whether a run has all rows of those of the tasks whose published number of rows is known."""
    shared = [task for task in tasks if task in run.results.tasks]
    expected = {task: run.manifest.tasks.get(task, TaskEntry()).expected for task in shared}
    return all(expected[task] in (None, run.results.tasks[task].n) for task in shared)


def same_protocol(reference: ReferenceRow, run: RunData) -> bool:
    """Whether every task that a run shares with a published row was run under the row's protocol.

    A row names its protocol by hash or by the name of a built-in one; the name counts for its content, so a run that
    kept the name but changed a setting does not match.
    """
    wanted = _built_in().get(reference.protocol, reference.protocol)
    return all(task.protocol_hash == wanted for name, task in run.results.tasks.items() if name in reference.values)


@cache
def _built_in() -> dict[str, str]:
    """The hash of each built-in protocol; they are read once, not once per published row and run."""
    return {name: protocol.hash() for name, protocol in Catalogue().protocols.items()}
