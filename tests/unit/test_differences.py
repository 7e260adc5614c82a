"""Paired differences against scipy and statsmodels where they have the same test, as properties, and by Monte Carlo."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from viubench.stats import paired_differences
from viubench.stats.estimates import Part, mean, spread
from viubench.stats.paired_differences import Difference, benjamini_hochberg, detectable, holm, mcnemar, needed, paired

statsmodels = pytest.importorskip("statsmodels.api")

UNITS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 5)), min_size=2, max_size=40)
Rows = list[tuple[float, float, int]]


def of(before: object, after: object, videos: object = None, level: float = 0.95) -> Difference:
    first = np.asarray(before, dtype=float).tolist()
    owners = list(range(len(first))) if videos is None else np.asarray(videos).tolist()
    return paired([(1.0, first, owners)], [(1.0, np.asarray(after, dtype=float).tolist(), owners)], level)


def split(rows: Rows) -> tuple[list[float], list[float], list[int]]:
    return [a for a, _, _ in rows], [b for _, b, _ in rows], [c for _, _, c in rows]


def test_with_a_video_an_item_it_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    before = rng.uniform(0, 1, 60)
    after = np.clip(before + rng.normal(0.03, 0.1, 60), 0, 1)
    found = of(before, after)
    worse = scipy_stats.ttest_rel(after, before, alternative="less")
    low, high = scipy_stats.ttest_rel(after, before).confidence_interval(0.95)
    assert found.test == "clustered t"
    assert found.p_worse == pytest.approx(worse.pvalue, rel=1e-9)
    assert found.p_better == pytest.approx(1 - worse.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    assert found.better + found.worse == 60


def test_clustered_it_is_the_cluster_robust_regression_of_the_differences() -> None:
    rng = np.random.default_rng(1)
    videos = np.arange(300) % 15
    before = rng.integers(0, 2, 300)
    after = np.where(rng.uniform(size=300) < 0.2 + 0.2 * (videos % 3 == 0), 1 - before, before)
    fit = statsmodels.OLS(after - before, np.ones(300)).fit()
    robust = fit.get_robustcov_results("cluster", groups=videos, use_correction=True, df_correction=True)
    found = of(before, after, videos)
    assert found.se == pytest.approx(robust.bse[0], rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(robust.conf_int()[0]), rel=1e-6)
    assert 2 * min(found.p_worse, found.p_better) == pytest.approx(robust.pvalues[0], rel=1e-6)
    assert (found.test, found.clusters) == ("clustered t", 15)
    assert found.degrees == pytest.approx(14)


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_the_exact_binomial_test_of_the_discordant_items(better: int, worse: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar as theirs

    p_worse, p_better = mcnemar(better, worse)
    two_sided = theirs([[5, worse], [better, 5]], exact=True).pvalue
    assert min(1.0, 2 * min(p_worse, p_better)) == pytest.approx(two_sided, rel=1e-9)
    if better + worse:
        one_sided = scipy_stats.binomtest(worse, better + worse, 0.5, alternative="greater").pvalue
        assert p_worse == pytest.approx(one_sided, rel=1e-9)


def test_right_or_wrong_with_a_video_each_is_tested_exactly_and_only_then() -> None:
    before, after = [1, 1, 1, 1, 0, 1], [0, 0, 0, 1, 1, 1]
    found = of(before, after)
    assert (found.better, found.worse, found.test) == (1, 3, "exact McNemar")
    assert (found.p_worse, found.p_better) == mcnemar(1, 3)
    assert of(before, after, [0, 0, 1, 2, 3, 4]).test == "clustered t"
    assert of([1, 1, 1, 1, 0, 0.5], after).test == "clustered t"
    halves: list[Part] = [(0.5, [1, 0], ["a", "b"]), (0.5, [0, 0], ["c", "d"])]
    assert paired(halves, [(w, [0, 1], c) for w, _, c in halves]).test == "clustered t"


@pytest.mark.parametrize(("ours", "theirs"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
@settings(max_examples=25, deadline=None)
@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_corrections_equal_those_of_statsmodels(
    ours: Callable[[list[float]], list[float]], theirs: str, p_values: list[float]
) -> None:
    from statsmodels.stats.multitest import multipletests

    assert ours(p_values) == pytest.approx(multipletests(p_values, method=theirs)[1])


def test_of_no_tests_nothing_is_corrected() -> None:
    assert holm([]) == benjamini_hochberg([]) == []


@pytest.mark.parametrize(("n", "alpha"), [(3, 0.05), (40, 0.05), (500, 0.05 / 18), (2700, 0.05)])
def test_the_detectable_loss_has_the_power_statsmodels_says(n: int, alpha: float) -> None:
    from statsmodels.stats.power import TTestPower

    after = np.linspace(0, 1, n)
    found = of(np.zeros(n), after)
    loss = detectable(found, alpha)
    effect = TTestPower().solve_power(nobs=n, alpha=alpha, power=0.8, alternative="larger")
    assert loss == pytest.approx(min(effect * after.std(ddof=1), 1.0), rel=1e-3)


@pytest.mark.parametrize(("n", "discordant", "points"), [(500, 0.2, 5.0), (2700, 0.1, 1.5), (2700, 0.3, 2.6)])
def test_the_detectable_loss_of_right_and_wrong_answers(n: int, discordant: float, points: float) -> None:
    """(z_0.95 + z_0.8) sqrt(discordant / n), the textbook's approximation."""
    flips = round(discordant * n / 2)
    before = [1] * flips + [0] * (n - flips)
    after = [0] * flips + [1] * flips + [0] * (n - 2 * flips)
    loss = detectable(of(before, after), 0.05)
    assert loss is not None
    assert 100 * loss == pytest.approx(points, abs=0.06)


@pytest.mark.parametrize(("spread", "margin"), [(0.1, 0.02), (0.3, 0.02), (0.3, 0.1), (0.0, 0.02)])
def test_as_many_units_as_are_needed_rule_the_margin_out(spread: float, margin: float) -> None:
    """With that many units and no true difference, the lower bound is above the margin in 4 of 5 runs."""
    small = np.tile([spread, -spread], 30)
    wanted = needed(of(np.full(60, 0.5), 0.5 + small), margin, 0.05)
    assert wanted is not None
    if spread == 0:
        bounds = [of(np.zeros(n), np.zeros(n), level=0.9).low for n in (wanted - 1, wanted)]
        assert bounds[0] < -margin <= bounds[1] + 1e-9
        return
    rng = np.random.default_rng(7)
    shown = 0
    for _ in range(400):
        after = 0.5 + spread * rng.choice([-1, 1], wanted)
        shown += of(np.full(wanted, 0.5), after, level=0.9).low > -margin
    assert shown / 400 == pytest.approx(0.8, abs=0.08)


def test_fewer_degrees_of_freedom_detect_less_and_need_more() -> None:
    """Of two suites with the same error, that of unequal videos knows its error less well."""
    from dataclasses import replace

    equal = of(np.zeros(60), np.tile([0.3, -0.3], 30))
    unequal = replace(equal, degrees=5.5)
    for alpha in (0.05, 0.05 / 18):
        one, other = detectable(equal, alpha), detectable(unequal, alpha)
        assert one is not None
        assert other is not None
        assert one < other < 4 * one
        least, most = needed(equal, 0.02, alpha), needed(unequal, 0.02, alpha)
        assert least is not None
        assert most is not None
        assert least < most < 2 * least


def test_one_video_and_no_margin_need_no_number() -> None:
    found = of([0.2, 0.4], [0.4, 0.9], ["a", "a"])
    assert (found.low, found.high, found.p_worse, found.test) == (-1, 1, 1, "none")
    assert detectable(found, 0.05) is None
    assert needed(found, 0.02, 0.05) is None
    assert needed(of([0, 1], [1, 1]), 0.0, 0.05) is None


@pytest.mark.parametrize("videos", [range(200), np.arange(200) // 5])
def test_without_spread_the_number_of_units_speaks(videos: object) -> None:
    nothing, everything = of([0.3] * 200, [0.3] * 200, videos), of([1] * 200, [0] * 200, videos)
    assert (nothing.mean, nothing.se, nothing.interval) == (0, 0, "exact")
    worth = 200 if isinstance(videos, range) else 200 / 1.4  # 1 + 4 x 0.1 times fewer
    assert nothing.high == -nothing.low == pytest.approx(1 - 0.025 ** (1 / worth))
    assert nothing.p_worse >= 0.5
    assert nothing.p_better >= 0.5
    assert everything.low == -1
    assert -1 < everything.high < -0.9
    assert everything.p_worse < 1e-9
    few = of([1] * 3, [0] * 3)
    assert few.high > 0, "three items prove nothing"


@pytest.mark.parametrize("lost", [0, 1, 3, 40])
def test_where_nothing_is_gained_the_loss_has_the_exact_interval_of_a_share(lost: int) -> None:
    from statsmodels.stats.proportion import proportion_confint

    found = of([1] * 1000, [0] * lost + [1] * (1000 - lost))
    low, high = proportion_confint(lost, 1000, method="beta")
    assert found.interval == "exact"
    assert -found.low == pytest.approx(high, abs=1e-4)
    unseen = proportion_confint(0, 1000, method="beta")[1]
    end = np.hypot(lost / 1000 - low, unseen) - lost / 1000 if lost else unseen
    assert found.high == pytest.approx(end, abs=1e-4)


@pytest.mark.parametrize(
    ("better", "worse", "interval"),
    [(8, 8, "exact"), (14, 14, "t"), (10, 40, "exact"), (30, 40, "t"), (0, 90, "exact")],
)
def test_the_interval_is_exact_where_few_differ_or_most_in_one_direction(
    better: int, worse: int, interval: str
) -> None:
    before = [0] * better + [1] * worse + [1] * 900
    after = [1] * better + [0] * worse + [1] * 900
    found, turned = of(before, after), of(after, before)
    assert found.interval == turned.interval == interval
    assert (found.low, found.high) == pytest.approx((-turned.high, -turned.low))


def test_gains_and_losses_together_give_the_interval_of_t_where_normal_theory_holds() -> None:
    rng = np.random.default_rng(5)
    videos = np.arange(3000) // 10
    change = rng.choice([-1.0, 0.0, 1.0], 3000, p=[0.2, 0.65, 0.15]) * (rng.random(300) < 0.8)[videos]
    parts: list[Part] = [(1.0, change, videos.tolist())]
    found = of(np.zeros(3000), change, videos)
    assert found.interval == "t"
    other = paired_differences.by_gains_and_losses(parts, spread(parts), 0.95)
    assert other == pytest.approx((found.low, found.high), abs=1.5e-3)


@given(UNITS)
def test_turning_the_runs_round_turns_the_signs_round(rows: Rows) -> None:
    before, after, videos = split(rows)
    one, other = of(before, after, videos), of(after, before, videos)
    assert one.mean == pytest.approx(-other.mean, abs=1e-12)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)
    assert (one.better, one.worse) == (other.worse, other.better)
    assert one.p_worse == pytest.approx(other.p_better, abs=1e-9)


@given(UNITS)
def test_the_mean_is_the_difference_of_the_means_and_lies_in_its_interval(rows: Rows) -> None:
    before, after, videos = split(rows)
    found = of(before, after, videos)
    assert found.mean == pytest.approx(mean(after, videos).value - mean(before, videos).value, abs=1e-9)
    assert -1 <= found.low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.high <= 1
    assert 0 <= found.p_worse <= 1


@given(UNITS, st.randoms())
def test_the_order_of_the_units_does_not_matter(rows: Rows, shuffler: object) -> None:
    mixed = list(rows)
    shuffler.shuffle(mixed)  # type: ignore[attr-defined]
    one, two = of(*split(rows)), of(*split(mixed))
    assert (one.low, one.high) == pytest.approx((two.low, two.high), abs=1e-9)
    assert (one.better, one.worse) == (two.better, two.worse)


@given(UNITS)
def test_an_equal_item_twice_in_its_video_changes_no_error(rows: Rows) -> None:
    before, after, videos = split(rows)
    once, twice = of(before, after, videos), of(before * 2, after * 2, videos * 2)
    if once.clusters > 1:
        assert twice.se == pytest.approx(once.se, abs=1e-12)


def test_parts_must_be_of_the_same_units() -> None:
    part: list[Part] = [(1.0, [0.5, 0.5], ["a", "b"])]
    for other in ([(1.0, [0.5, 0.5], ["a", "c"])], [(1.0, [0.5], ["a"])], [(0.5, [0.5, 0.5], ["a", "b"])]):
        with pytest.raises(ValueError, match="same units"):
            paired(part, other)
    with pytest.raises(ValueError, match="same units"):
        paired([(1.0, [], [])], [(1.0, [], [])])


def clustered_flips(rng: np.random.Generator, sizes: np.ndarray, loss: float, share: float) -> Difference:
    """Right and wrong answers of which a `share` flips, by videos of unequal size that lean one way or the other."""
    videos = np.repeat(np.arange(len(sizes)), sizes)
    lean = np.clip(rng.normal(0, 0.15, len(sizes)), -0.4, 0.4)[videos]
    flips = rng.uniform(size=len(videos)) < share
    down = rng.uniform(size=len(videos)) < 0.5 + loss / (2 * share) + lean
    before = np.where(flips, down, rng.uniform(size=len(videos)) < 0.6)
    return of(before, np.where(flips, ~down, before), videos, level=0.9)


@pytest.mark.parametrize(
    ("items", "videos", "share"), [(160, 160, 0.02), (400, 400, 0.03), (400, 66, 0.02), (300, 20, 0.05)]
)
def test_a_loss_as_large_as_the_margin_passes_no_more_often_than_alpha_where_few_items_differ(
    items: int, videos: int, share: float
) -> None:
    """Monte Carlo with known truth: 2 points lost, and a share of the items differs, by videos of their own rates."""
    rng = np.random.default_rng(11)
    owners, runs = np.arange(items) % videos, 500
    lost, gained = ((share + 0.02) / 2, (share - 0.02) / 2)
    rates = rng.beta(9 * lost, 9 * (1 - lost), (runs, videos))[:, owners] if videos < items else lost
    down = rng.random((runs, items)) < rates
    up = ~down & (rng.random((runs, items)) < gained / (1 - lost))
    found = [of(d, u, owners, level=0.9) for d, u in zip(down, up, strict=True)]
    assert sum(one.low > -0.02 for one in found) / runs < 0.06
    wide = [of(d, u, owners) for d, u in zip(down[:200], up[:200], strict=True)]
    assert sum(one.low <= -0.02 <= one.high for one in wide) / 200 > 0.93


def test_no_true_difference_is_called_worse_as_often_as_alpha_says() -> None:
    """Monte Carlo with known truth; the numbers of a naive test show that the clusters matter."""
    rng = np.random.default_rng(3)
    sizes = rng.integers(2, 40, 40)
    found = [clustered_flips(rng, sizes, loss=0.0, share=0.3) for _ in range(1200)]
    alarms = sum(d.p_worse < 0.05 for d in found) / len(found)
    covered = sum(d.low <= 0 <= d.high for d in found) / len(found)
    assert alarms == pytest.approx(0.05, abs=0.025)
    assert covered == pytest.approx(0.9, abs=0.03)


def test_a_real_loss_of_the_detectable_size_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(4)
    sizes = rng.integers(2, 40, 40)
    null = [detectable(clustered_flips(rng, sizes, 0.0, 0.3), 0.05) for _ in range(40)]
    loss = float(np.mean([value for value in null if value is not None]))
    found = [clustered_flips(rng, sizes, loss, 0.3) for _ in range(500)]
    assert np.mean([d.mean for d in found]) == pytest.approx(-loss, abs=0.004)
    assert sum(d.p_worse < 0.05 for d in found) / 500 == pytest.approx(0.8, abs=0.07)


def test_the_example_in_the_module_holds() -> None:
    import doctest

    assert doctest.testmod(paired_differences).failed == 0
