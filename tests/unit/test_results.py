"""From records to results: units of several samples, macro averages, breakdowns, published rules, weighted suites."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evaluators
from evaluators import Scored
from evaluators.choice import Choice
from viubench.schema import Clip, EvaluatorSpec, Manifest, Record, Results, Sample, Suite, Task
from viubench.scoring import baselines
from viubench.scoring.aggregate import summarise
from viubench.stats.estimates import mean, weighted_mean

ABOUT: dict[str, Any] = {
    "evaluator": {"name": "choice", "params": {}}, "metric": "accuracy", "scores": ["accuracy"], "chance": 0.25,
    "blind": 0.3, "blind_statement": "", "items_hash": "x",
}  # fmt: skip
PROTOCOL = {"protocol": "p", "hash": "h"}


def record(id_: str, score: float | None, task: str = "t", cluster: str = "v", **more: Any) -> Record:
    status = "unparsed" if score is None else "ok"
    scores = {} if score is None else {"accuracy": score}
    return Record(task=task, id=id_, cluster=cluster, status=status, scores=scores, **more)


def results(records: list[Record], suites: tuple[Suite, ...] = (), **about: Any) -> Results:
    tasks = {r.task for r in records}
    manifest = Manifest(
        argv=[], model={"name": "m"}, engine={"kind": "answers"}, protocols=dict.fromkeys(tasks, PROTOCOL),
        tasks=dict.fromkeys(tasks, ABOUT | about), suites={s.suite: s for s in suites}, packages={}, seed=0,
        hardware={}, started="",
    )  # fmt: skip
    return summarise(records, manifest)


def test_the_macro_average_weighs_groups_alike() -> None:
    rows = [record(f"a{n}", 1.0, groups={"kind": "often"}, cluster=f"v{n}") for n in range(6)]
    rows += [record(f"b{n}", None, groups={"kind": "rare"}, cluster=f"w{n}") for n in range(2)]
    plain, macro = results(rows).tasks["t"], results(rows, average="kind").tasks["t"]
    assert (plain.value, macro.value) == (0.75, 0.5)
    assert plain.metrics["macro_kind"] == 0.5
    assert macro.metrics["accuracy"] == 0.75
    assert macro.as_published == 1.0
    assert macro.groups["kind"] == {"often": {"value": 1.0, "n": 6}, "rare": {"value": 0.0, "n": 2}}


def test_a_sample_of_several_values_counts_in_each() -> None:
    rows = [record("a", 1.0, groups={"type": ("x", "y")}), record("b", 0.0, groups={"type": ("y",)})]
    task = results(rows).tasks["t"]
    assert task.groups["type"] == {"x": {"value": 1.0, "n": 1}, "y": {"value": 0.5, "n": 2}}
    assert task.metrics["macro_type"] == 0.75, "the mean over the values"
    some = results([rows[0], record("c", 0.0, groups={"type": ()})]).tasks["t"]
    assert "macro_type" not in some.metrics


def test_a_pair_is_right_only_as_a_whole() -> None:
    kinds = ("text", "text", "video", "video")
    right = {"p1": (1, 1, 1, 1), "p2": (1, 1, 0, 1), "p3": (1, 0, 1, 1), "p4": (1, 1, 1)}
    rows = [
        record(f"{pair}-{n}", float(score), cluster=pair, groups={"question": kinds[n], "major": pair[1] + "m"})
        for pair, scores in right.items()
        for n, score in enumerate(scores)
    ]
    found = {
        primary: results(rows, evaluator={"name": "paired_choice", "params": {"primary": primary}}).tasks["t"]
        for primary in ("text", "video", "group")
    }
    assert {primary: task.value for primary, task in found.items()} == {"text": 0.75, "video": 0.5, "group": 0.25}
    assert found["text"].metrics["video_score"] == 0.5
    assert found["text"].metrics["accuracy"] == pytest.approx((1 + 3 / 4 + 3 / 4 + 1) / 4), "per question"
    assert (found["text"].n, found["text"].clusters) == (15, 4)
    assert found["text"].groups["major"]["3m"] == {"value": 0.0, "n": 1}


def test_a_published_rule_stands_beside_with_its_own_denominator() -> None:
    rows = [record("a", 1.0, rules={"videossr/vqa": 1.0}), record("b", None, rules={"videossr/vqa": None})]
    rows.append(Record(task="t", id="c", cluster="v", status="media_error"))
    task = results(rows, alternatives=["videossr/vqa"]).tasks["t"]
    assert task.value == pytest.approx(1 / 3, abs=1e-6)
    assert (task.rules["videossr/vqa"].value, task.rules["videossr/vqa"].n) == (1.0, 1)


def test_a_suite_of_benchmarks_counts_each_once() -> None:
    rows = [record("a", 1.0, "one"), record("b", 0.0, "two_x", "w"), record("c", 1.0, "two_y", "u")]
    groups = {"one": ["one"], "two": ["two_x", "two_y"]}
    tasks = ["one", "two_x", "two_y"]
    flat, grouped = Suite(suite="s", tasks=tasks), Suite(suite="g", tasks=tasks, groups=groups, average="groups")
    found = results(rows, (flat, grouped)).suites
    assert found["s"].value == pytest.approx(2 / 3, abs=1e-6)
    assert found["g"].value == 0.75
    assert found["g"].groups == {"one": 1.0, "two": 0.5}


SCORES = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=2, max_size=20)


@given(SCORES, st.integers(1, 5))
def test_one_part_of_weight_one_is_the_clustered_mean(scores: list[float], clusters: int) -> None:
    owners = [n % clusters for n in range(len(scores))]
    one, plain = weighted_mean([(1.0, scores, owners)]), mean(scores, owners)
    assert one.value == pytest.approx(plain.value)
    if plain.clusters > 1:
        assert one.se == pytest.approx(plain.se)


@given(st.lists(SCORES, min_size=1, max_size=4))
def test_equal_weights_give_the_mean_of_the_means(tasks: list[list[float]]) -> None:
    parts = [(1 / len(tasks), scores, list(range(len(scores)))) for scores in tasks]
    means = [sum(scores) / len(scores) for scores in tasks]
    assert weighted_mean(parts).value == pytest.approx(sum(means) / len(means))


def question(n: int, target: str, group: str) -> Sample:
    return Sample(
        id=str(n), task="t", cluster=str(n), clips=(Clip(path="a"),), question="?", target=target, answer_text=target,
        options=("x", "y"), params={"letters": ["A", "B"]}, groups={"kind": group},
    )  # fmt: skip


def test_the_baselines_follow_the_average() -> None:
    task = Task(
        task="t", domain="d", question="?", evaluator=EvaluatorSpec(name="choice"), metric="accuracy", protocol="p"
    )
    samples = [question(n, "A", "often") for n in range(3)] + [question(9, "B", "rare")]
    plain = baselines.of(task, samples)
    assert (plain.chance, plain.blind, plain.trivial) == (0.5, 0.75, {"always A": 0.75, "always B": 0.25})
    macro = baselines.of(task.model_copy(update={"average": "kind"}), samples)
    assert (macro.chance, macro.blind, macro.trivial) == (0.5, 0.5, {"always A": 0.5, "always B": 0.5})


class Whole(Choice):
    """A third party's evaluator that uses every hook over a whole task."""

    name = "whole"

    def aggregate(self, scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
        return {"best": max(row["accuracy"] for row in scores), "rows": float(len(scores))}

    def official(self, records: Sequence[Any]) -> dict[str, float]:
        return {"long": sum(len(record.response or "") for record in records) / 100}

    def units(self, rows: Sequence[Scored]) -> list[Scored]:
        return [Scored({"accuracy": max(one.scores.get("accuracy", 0.0) for one in rows)}, rows[0].cluster)]


def test_an_evaluator_of_ones_own_sees_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluators, "get", lambda name, **_: Whole())
    rows = [record("b", 1.0, response="no!"), record("a", 0.0, cluster="w", response="yes"), record("c", None)]
    task = results(rows).tasks["t"]
    assert task.metrics == {"best": 1.0, "rows": 1.0}
    assert task.rules["whole/long"].model_dump() == {"value": 0.06, "n": 3}
    assert (task.value, task.n, task.clusters) == (1.0, 3, 1)


@given(st.lists(st.tuples(st.sampled_from([None, 0.1, 0.7, 1.0]), st.sampled_from("uvw")), min_size=1), st.randoms())
def test_the_order_of_the_records_does_not_matter(rows: list[tuple[float | None, str]], draw: random.Random) -> None:
    records = [record(f"{n}", score, cluster=owner, groups={"k": owner}) for n, (score, owner) in enumerate(rows)]
    shuffled = draw.sample(records, len(records))
    assert results(records).model_dump_json() == results(shuffled).model_dump_json()
