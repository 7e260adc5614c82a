"""The simulation: its worlds are what they say, its bounds can break, and the statistics meet them on a few runs."""

from __future__ import annotations

import doctest
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.bench import simulation
from tests.bench.__main__ import app
from tests.bench.simulation import (
    Experiment,
    OutcomeRow,
    ends,
    experiment,
    experiments,
    floors,
    intervals,
    simulate,
    verdicts,
    worlds,
)
from tests.bench.simulation.worlds import Sizes, World
from viubench.stats import paired_differences
from viubench.stats.estimates import Spread, spread


@pytest.mark.parametrize("sizes", ["equal", "geometric", "lognormal", "skewed"])
def test_every_item_has_a_video_and_every_video_an_item(sizes: Sizes) -> None:
    rng = np.random.default_rng(0)
    held = np.array([np.bincount(World(sizes, 50, 600).owners(rng), minlength=50) for _ in range(50)])
    assert held.shape == (50, 50)
    assert (held.sum(1) == 600).all()
    assert held.min() >= 1
    spread = held.std() / held.mean()
    assert 0.7 < spread < 1.5 or (sizes == "equal" and spread == 0)
    if sizes == "skewed":
        assert (held[:, :5].sum(1) == 300).all()


def test_a_giant_video_holds_half_of_the_items() -> None:
    held = np.bincount(World("giant", 50, 601).owners(np.random.default_rng(0)), minlength=50)
    assert held[0] == 300
    assert held.sum() == 601
    assert held[1:].min() >= 6


def test_near_the_end_few_items_differ_by_the_loss_and_go_wrong_by_video() -> None:
    rng = np.random.default_rng(4)
    world = World("equal", 4000, 40_000)
    owners = world.owners(rng)
    before, after = (np.array(run) for run in world.near_the_end(rng, owners, 0.97, 0.02, 0.04))
    assert before.mean() == pytest.approx(0.97, abs=0.005)
    assert (after - before).mean() == pytest.approx(-0.02, abs=0.004)
    assert (after != before).mean() == pytest.approx(0.04, abs=0.005)
    lost = ((before == 1) & (after == 0)).reshape(10, 4000).T
    assert (lost.mean(1).var() - lost.var(1).mean() / 9) / lost.var() == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize("graded", [False, True])
def test_two_runs_differ_by_the_loss_and_lean_by_video(graded: bool) -> None:
    rng = np.random.default_rng(1)
    world = World("equal", 400, 40_000, graded)
    owners = world.owners(rng)
    before, after = (np.array(run) for run in world.runs(rng, owners, world.leans(rng), 0.03))
    change = (after - before).reshape(100, 400).T
    assert change.mean() == pytest.approx(-0.03, abs=0.012)
    assert change.min() >= -1
    if not graded:
        assert set(change.ravel()) == {-1, 0, 1}
        assert (change != 0).mean() == pytest.approx(worlds.DISCORDANCE, abs=0.01)
    between = change.mean(1).var() - change.var(1).mean() / 99
    assert between / change.var() == pytest.approx(0.2 if graded else 0.033, rel=0.25)


@pytest.mark.parametrize("graded", [False, True])
def test_scores_have_the_mean_they_are_told(graded: bool) -> None:
    rng = np.random.default_rng(2)
    world = World("equal", 500, 25_000, graded)
    scores = np.array(world.scores(rng, world.owners(rng), 0.6)).reshape(50, 500).T
    assert scores.mean() == pytest.approx(0.6, abs=0.025)
    assert 0 <= scores.min() <= scores.max() <= 1
    if not graded:
        between = scores.mean(1).var() - scores.var(1).mean() / 49
        assert between / scores.var() == pytest.approx(0.1, rel=0.25)


def test_the_statistics_meet_their_bounds_on_a_few_runs() -> None:
    rows = simulate(experiments(), runs=20, seed=3)
    assert not [row for row in rows if row.broken]
    assert {row.what for row in rows} >= {
        intervals.OF_MEAN, intervals.OF_SUITE, intervals.OF_DIFFERENCE, verdicts.WORSE, verdicts.BETTER, "inconclusive",
        ends.PASSES,
    }  # fmt: skip
    assert all(0 <= row.low <= row.high <= 1 and row.runs == 20 for row in rows)


def named(found: list[Experiment], part: str) -> list[Experiment]:
    chosen = [one for one in found if part in one.scenario]
    assert chosen
    return chosen


def test_equal_seeds_give_equal_rows_and_progress_reaches_the_end() -> None:
    tried = named(experiments(), "8 geometric")
    told: list[tuple[int, int, str]] = []
    rows = simulate(tried, 10, 1, lambda *now: told.append(now))
    assert rows == simulate(tried, 10, 1)
    assert told[0] == (0, 10 * len(tried), tried[0].scenario)
    assert told[-1][:2] == (10 * len(tried), 10 * len(tried))


def test_the_usual_clustered_error_would_break_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the simulation is for: with t of C-1 degrees of freedom, intervals over unequal videos cover too little."""

    def usual(parts: Sequence[tuple[float, np.ndarray, list[int]]]) -> Spread:
        ((_, values, owners),) = parts
        sums = np.bincount(owners, values - values.mean())
        count = len(sums)
        return replace(
            spread(parts), se=np.sqrt(count / (count - 1) * (sums**2).sum()) / len(values), degrees=count - 1
        )

    world = World("lognormal", 8, 200, graded=True)
    tried = [Experiment("", partial(intervals._lost, world), {intervals.OF_DIFFERENCE: (0.95, 1.0)})]
    assert not simulate(tried, 500, 0)[0].broken
    monkeypatch.setattr(paired_differences, "spread", usual)
    assert simulate(tried, 500, 0)[0].broken


@pytest.mark.parametrize(("share", "broken"), [(0.05, False), (0.0639, False), (0.0670, True), (0.0, False)])
def test_a_bound_breaks_beyond_three_standard_errors(share: float, broken: bool) -> None:
    row = OutcomeRow("worse", "", 1600, share, 0.0, 0.05)
    assert row.broken == broken
    assert OutcomeRow("found", "", 1600, 1 - share, 0.95, 1.0).broken == broken
    assert row.error == pytest.approx(np.sqrt(share * (1 - share) / 1600))
    assert not OutcomeRow("any", "", 1600, share, *experiment.ANY).broken


def coin(chance: float) -> list[Experiment]:
    return [
        Experiment("a coin", lambda rng: {"heads": bool(rng.random() < chance)}, {"heads": (0.0, 0.5)}),
        Experiment("a die", lambda rng: {"six": bool(rng.random() < 1 / 6)}, {"six": experiment.ANY}),
    ]


@pytest.mark.parametrize(("chance", "code"), [(0.3, 0), (0.9, 1)])
def test_the_command_prints_the_table_and_its_exit_code_says_whether_bounds_hold(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chance: float, code: int
) -> None:
    monkeypatch.setattr(simulation, "experiments", lambda: coin(chance))
    command = ["stats", "--runs", "200", "--seed", "5", "--quiet", "--json", str(tmp_path / "rows.json")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == code
    written = json.loads((tmp_path / "rows.json").read_text())
    assert (written["runs"], written["seed"]) == (200, 5)
    coins, dice = written["rows"]
    assert (coins["what"], coins["scenario"], coins["broken"]) == ("heads", "a coin", code == 1)
    lines = done.stdout.splitlines()
    met = "NO" if code else "yes"
    assert lines[3].split() == [
        "heads", "a", "coin", f"{100 * coins['share']:.1f}", f"{100 * coins['error']:.1f}", "at", "most", "50", met,
    ]  # fmt: skip
    assert lines[4].split() == ["six", "a", "die", f"{100 * dice['share']:.1f}", f"{100 * dice['error']:.1f}"]
    assert lines[-1] == f"{1 - code} of 1 bounds met"


def test_a_table_that_cannot_be_written_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(simulation, "experiments", lambda: coin(0.3))
    done = CliRunner().invoke(app, ["stats", "--runs", "1", "--quiet", "--json", str(tmp_path / "no" / "f")])
    assert "cannot write" in str(done.exception)


def test_what_can_be_found_of_a_loss_in_one_of_eighteen_tasks() -> None:
    """The power of the best test at alpha / 18, of which the gate's has to come within a point."""
    from scipy.stats import norm

    error = np.sqrt((worlds.DISCORDANCE - verdicts.LOSS**2) / 2700)
    best = norm.cdf(verdicts.LOSS / error - norm.isf(0.05 / verdicts.TASKS))
    assert best == pytest.approx(0.76, abs=0.005)
    assert best - 0.02 < verdicts.FOUND_OF_18[0] < best


@pytest.mark.parametrize(("block", "tried"), [(0, floors.experiments), (1, experiments)])
def test_the_documents_table_is_of_these_experiments(block: int, tried: Callable[[], list[Experiment]]) -> None:
    """Each line of docs/statistics.md, as the command printed it: the same outcomes and bounds, and within them."""
    document = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text()
    table = document.split("```text\n")[1 + block].split("```")[0].splitlines()
    assert table[0].startswith("Share of 2,000 drawn runs (seed 0)")
    lines = [re.split(r" {2,}", line.strip()) for line in table[3:-1]]
    bounds = [(what, one.scenario, bound) for one in tried() for what, bound in one.bounds.items()]
    for (what, scenario, share, *_), (wanted, drawn, bound) in zip(lines, bounds, strict=True):
        assert (what, scenario) == (wanted, drawn)
        assert not OutcomeRow(what, scenario, 2000, float(share) / 100, *bound).broken
    bounded = sum(bound != experiment.ANY for *_, bound in bounds)
    assert table[-1] == f"{bounded} of {bounded} bounds met"


@pytest.mark.parametrize("module", [simulation, experiment, intervals, verdicts, ends])
def test_the_examples_in_the_modules_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


def test_the_example_of_the_worlds_holds() -> None:
    assert doctest.testmod(worlds).failed == 0
