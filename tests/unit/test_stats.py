"""The clustered mean against statsmodels' cluster-robust regression, exact intervals against its, and coverage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viubench.stats import estimates

statsmodels = pytest.importorskip("statsmodels.api")

SCORES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5)), min_size=2, max_size=60)


def some_scores(rng: np.random.Generator, videos: np.ndarray) -> np.ndarray:
    lean = 0.2 * rng.normal(size=videos.max() + 1)
    return np.clip(0.5 + lean[videos] + 0.2 * rng.normal(size=len(videos)), 0, 1)


def test_where_videos_weigh_the_same_it_is_cluster_robust_regression() -> None:
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(12), 15)
    scores = some_scores(rng, clusters)
    fit = statsmodels.OLS(scores, np.ones(180)).fit()
    # statsmodels' small-sample factor is C/(C-1) * (n-1)/(n-k); with one regressor the second part is 1.
    robust = fit.get_robustcov_results("cluster", groups=clusters, use_correction=True, df_correction=True)
    ours = estimates.mean(scores.tolist(), clusters.tolist())
    assert ours.value == pytest.approx(scores.mean())
    assert ours.se == pytest.approx(robust.bse[0], rel=1e-9)
    assert (ours.low, ours.high) == pytest.approx(tuple(robust.conf_int()[0]), rel=1e-6)


def test_of_unequal_videos_it_is_regression_with_each_left_out_in_turn() -> None:
    rng = np.random.default_rng(2)
    clusters = rng.geometric(0.2, 200) - 1
    scores = some_scores(rng, clusters)
    of_all = statsmodels.OLS(scores, np.ones(200)).fit().params[0]
    videos = np.unique(clusters)
    without = [statsmodels.OLS(scores[clusters != c], np.ones((clusters != c).sum())).fit().params[0] for c in videos]
    variance = (len(videos) - 1) / len(videos) * ((np.array(without) - of_all) ** 2).sum()
    assert estimates.mean(scores.tolist(), clusters.tolist()).se == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_the_jackknife_leaves_a_video_out_of_every_part() -> None:
    rng = np.random.default_rng(3)
    videos = [rng.integers(0, 9, size) for size in (30, 60, 90)]
    parts = [(w, some_scores(rng, ids).tolist(), ids.tolist()) for w, ids in zip((0.2, 0.3, 0.5), videos, strict=True)]
    means = [
        sum(w * np.mean([s for s, v in zip(scores, ids, strict=True) if v != c]) for w, scores, ids in parts)
        for c in range(9)
    ]
    found = estimates.weighted_mean(parts)
    assert found.se == pytest.approx(np.sqrt(8 / 9 * ((np.array(means) - found.value) ** 2).sum()), rel=1e-9)


@pytest.mark.parametrize("sizes", [[5] * 10, [1] * 40, [30, 1, 1, 4, 9, 2], [1, 99], range(1, 30)])
def test_the_degrees_of_freedom_are_those_of_the_variances_matrix(sizes: Sequence[int]) -> None:
    """Satterthwaite's 2 mean^2 / variance of a quadratic form of normals, from the whole matrices."""
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    n, count = len(clusters), len(sizes)
    scores = some_scores(np.random.default_rng(4), clusters)
    deviations = scores - scores.mean()
    together = clusters[:, None] == clusters
    pairs = together.sum() - n
    within = (deviations**2).sum() / n
    covariance = (np.outer(deviations, deviations)[together].sum() - n * within) / pairs if pairs else 0.0
    errors = np.where(together, np.clip(covariance, 0, within), 0.0)
    np.fill_diagonal(errors, within)
    centring = np.eye(n) - 1 / n
    left = 1 / (n - np.bincount(clusters)[clusters])
    form = (count - 1) / count * centring @ (np.outer(left, left) * together) @ centring
    product = form @ errors
    found = estimates.spread([(1.0, scores, clusters.tolist())])
    assert found.degrees == pytest.approx(np.trace(product) ** 2 / np.trace(product @ product), rel=1e-8)
    assert found.se**2 == pytest.approx(scores @ form @ scores, rel=1e-9)


@given(st.lists(st.integers(1, 30), min_size=2, max_size=12), st.integers(0, 99))
def test_the_degrees_of_freedom_are_at_most_those_of_equal_videos(sizes: list[int], seed: int) -> None:
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    degrees = estimates.spread([(1.0, some_scores(np.random.default_rng(seed), clusters), clusters.tolist())]).degrees
    assert 1 - 1e-6 <= degrees <= len(sizes) - 1 + 1e-6
    if len(set(sizes)) == 1:
        assert degrees == pytest.approx(len(sizes) - 1)


@pytest.mark.parametrize(("right", "n"), [(0, 10), (1, 30), (299, 300), (300, 300), (20, 400)])
def test_near_the_ends_an_item_a_video_has_clopper_and_pearsons_interval(right: int, n: int) -> None:
    from statsmodels.stats.proportion import proportion_confint

    found = estimates.mean([1.0] * right + [0.0] * (n - right), list(range(n)))
    theirs = proportion_confint(right, n, method="beta")
    assert found.interval == "exact"
    assert (found.low, found.high) == pytest.approx(theirs, rel=0.1, abs=1e-3)  # n - 1 for n, and t for z


def test_an_oracle_has_an_interval_that_admits_doubt() -> None:
    estimate = estimates.mean([1.0] * 300, [i % 20 for i in range(300)])
    assert estimate.high == pytest.approx(1)
    assert 0.97 < estimate.low < 1


def test_one_video_says_nothing_about_others() -> None:
    estimate = estimates.mean([0.2, 0.4], ["a", "a"])
    assert (estimate.low, estimate.high) == (0, 1)


def test_repeating_every_item_of_a_video_does_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(3)
    scores = rng.uniform(0.2, 0.8, 40).tolist()
    once = estimates.mean(scores, list(range(40)))
    thrice = estimates.mean(scores * 3, list(range(40)) * 3)
    assert thrice.se == pytest.approx(once.se)
    assert thrice.design_effect > 2.5


def test_clustered_interval_covers_the_truth() -> None:
    """Monte Carlo with known truth: nominal 95 %, 20 clusters of 10; a naive interval covers far less."""
    rng = np.random.default_rng(0)
    hits = naive = 0
    clusters = np.repeat(np.arange(20), 10)
    for _ in range(400):
        effect = rng.uniform(-0.3, 0.3, 20)[clusters]
        scores = np.clip(0.5 + effect + rng.uniform(-0.1, 0.1, 200), 0, 1)
        estimate = estimates.mean(scores.tolist(), clusters.tolist())
        hits += estimate.low <= 0.5 <= estimate.high
        naive += abs(scores.mean() - 0.5) <= 1.96 * scores.std(ddof=1) / np.sqrt(200)
    assert 0.92 <= hits / 400 <= 0.98
    assert naive / 400 < 0.7


def test_suite_mean_is_the_mean_of_task_means_and_clusters_across_tasks() -> None:
    rng = np.random.default_rng(5)
    video = rng.uniform(0.2, 0.8, 30)
    tasks = [((video + rng.uniform(-0.1, 0.1, 30)).clip(0, 1).tolist(), list(range(30))) for _ in range(4)]
    together = estimates.weighted_mean([(1 / len(tasks), *task) for task in tasks])
    apart = estimates.weighted_mean(
        [(1 / len(tasks), scores, [f"{i}-{c}" for c in ids]) for i, (scores, ids) in enumerate(tasks)]
    )
    assert together.value == pytest.approx(np.mean([np.mean(scores) for scores, _ in tasks]))
    assert together.se > 1.5 * apart.se  # shared videos make the tasks agree, which must widen the interval


@given(SCORES)
def test_the_interval_holds_the_mean_and_stays_in_range(rows: list[tuple[float, int]]) -> None:
    estimate = estimates.mean([score for score, _ in rows], [cluster for _, cluster in rows])
    assert -1e-12 <= estimate.low <= estimate.value + 1e-9
    assert estimate.value - 1e-9 <= estimate.high <= 1 + 1e-12


@given(SCORES)
def test_right_and_wrong_are_mirror_images(rows: list[tuple[float, int]]) -> None:
    clusters = [cluster for _, cluster in rows]
    one = estimates.mean([score for score, _ in rows], clusters)
    other = estimates.mean([1 - score for score, _ in rows], clusters)
    assert other.se == pytest.approx(one.se, abs=1e-12)
    if one.se == 0 or one.se > 1e-6:  # between them, whether there is any spread is a matter of rounding
        assert (1 - other.high, 1 - other.low) == pytest.approx((one.low, one.high), abs=1e-9)


@pytest.mark.parametrize(("wrong", "interval"), [(30, "exact"), (40, "t"), (960, "t"), (970, "exact")])
def test_the_interval_is_exact_with_fewer_than_about_34_items_right_or_wrong(wrong: int, interval: str) -> None:
    found = estimates.mean([0.0] * wrong + [1.0] * (1000 - wrong), list(range(1000)))
    assert found.interval == interval
    assert found.low < 1 - wrong / 1000 < found.high


def test_near_the_ends_equal_items_of_a_video_are_as_good_as_one() -> None:
    scores = [0.0] * 5 + [1.0] * 95
    once, often = estimates.mean(scores, list(range(100))), estimates.mean(scores * 9, list(range(100)) * 9)
    assert (once.interval, often.interval) == ("exact", "exact")
    assert (often.low, often.high) == pytest.approx((once.low, once.high), abs=2e-3)


def test_where_nothing_is_wrong_items_of_a_video_count_less_than_items_of_many() -> None:
    """What videos of ten equal items are worth where nothing tells their correlation: 1 + 9 x 0.1 times fewer."""
    apart, together = (estimates.mean([1.0] * 400, [i // size for i in range(400)]) for size in (1, 10))
    assert apart.low == pytest.approx(0.025 ** (1 / 400))
    assert together.low == pytest.approx(0.025 ** (1.9 / 400))


def test_the_more_pairs_of_items_could_be_wrong_together_the_more_their_correlation_counts() -> None:
    error = estimates.spread([(1.0, [1.0, 0.0] * 500, [i // 10 for i in range(1000)])])
    assert error.correlation == 0
    sizes = [error.size(share) for share in (0.0, 0.01, 0.1, 0.5)]
    assert sizes[0] == pytest.approx(1000 / 1.9)
    assert sizes == sorted(sizes)
    assert sizes == [error.size(1 - share) for share in (0.0, 0.01, 0.1, 0.5)]
    assert sizes[-1] > 900


@pytest.mark.parametrize(
    ("items", "videos", "mean"), [(50, 50, 0.99), (300, 100, 0.97), (600, 30, 0.99), (160, 8, 0.05)]
)
def test_the_interval_covers_near_the_ends(items: int, videos: int, mean: float) -> None:
    """Monte Carlo with known truth: right and wrong answers of a correlation of 0.1 in a video."""
    rng = np.random.default_rng(7)
    clusters = np.arange(items) % videos
    rates = rng.beta(9 * mean, 9 * (1 - mean), (400, videos))[:, clusters]
    found = [
        estimates.mean(run.tolist(), clusters.tolist()) for run in (rng.random((400, items)) < rates).astype(float)
    ]
    assert sum(one.low <= mean <= one.high for one in found) / 400 > 0.93


def test_few_scores_that_hardly_differ_prove_little() -> None:
    found = estimates.mean([1.0] * 9 + [0.99], list(range(10)))
    assert found.low < 0.75


@given(SCORES, st.randoms())
def test_the_order_of_items_does_not_matter(rows: list[tuple[float, int]], shuffler: object) -> None:
    mixed = list(rows)
    shuffler.shuffle(mixed)  # type: ignore[attr-defined]
    one = estimates.mean([s for s, _ in rows], [c for _, c in rows])
    two = estimates.mean([s for s, _ in mixed], [c for _, c in mixed])
    assert one.se == pytest.approx(two.se, abs=1e-12)
    assert one.low == pytest.approx(two.low, abs=1e-9)


def test_no_items_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 scores"):
        estimates.mean([], [])
