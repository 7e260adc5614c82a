"""Kinds of pretext questions that come by entry point: drawn within their ranges, shown as drawn, read again."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import evaluators
from viubench.errors import ViubenchError
from viubench.pretext import generate
from viubench.runner import trials
from viubench.schema import Item, PluginItem, PluginSpec, Sample
from viubench.scoring import baselines
from viubench.scoring.grade import grade
from viubench.scoring.reward import reward
from viubench.tasks.registry import Catalogue
from viubench.video.frames import VideoInput

NAMES = [name for name in Catalogue().task_files if name.startswith("pretext_")]


@cache
def clip(seed: int) -> VideoInput:
    return trials.drawn_clip(seed)


def item_of(name: str, seed: int) -> Item | None:
    task = Catalogue().task(name)
    assert task.pretext
    drawn = generate.draw(task.pretext, seed, [clip(seed % 3), clip(seed % 3 + 1)])
    if isinstance(drawn, generate.Rejected):
        return None
    return Item(
        id="x", task=name, video="v", cluster="c", seed=seed, params=drawn.params,
        question=generate.fill(task.question, drawn.question_fields), answer=drawn.answer,
    )  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(name=st.sampled_from(NAMES), seed=st.integers(0, 10_000))
def test_truth_lies_within_its_ranges_and_what_is_shown_follows_from_the_item(name: str, seed: int) -> None:
    item = item_of(name, seed)
    assert item == item_of(name, seed)
    if item is None:
        return
    again = Item.model_validate_json(item.model_dump_json())
    videos = [clip(seed % 3), clip(seed % 3 + 1)]
    (shown,), (same,) = (generate.apply(one.params, seed, videos) for one in (item, again))
    assert np.array_equal(shown.pixels, same.pixels)
    assert shown.times == videos[0].times
    changed = np.flatnonzero((shown.pixels != videos[0].pixels).any(axis=(1, 2, 3)))
    assert isinstance(item.params, PluginItem)
    drawn = item.params.drawn
    if "length" in drawn:
        start, stop = drawn["segment"]
        assert drawn["length"][0] <= stop - start <= drawn["length"][1]
        assert start <= changed[0] <= changed[-1] < stop
    elif "repeats" in drawn:
        start, stop = drawn["segment"]
        assert stop <= changed[0] <= changed[-1] < start + drawn["repeats"] * (stop - start)
    else:
        assert set(changed) == {shape["frame"] for shape in drawn["shapes"]}


@pytest.mark.parametrize("name", NAMES)
def test_oracle_chance_blind_and_reward(name: str) -> None:
    task = Catalogue().task(name)
    samples = trials.questions(task, Catalogue())
    evaluator = evaluators.get(task.evaluator.name)
    for sample in samples:
        truth = evaluator.parse(sample.answer_text, sample)
        assert truth is not None
        assert evaluator.score(truth, sample)[evaluator.metric] == evaluator.reward(truth, sample) == 1
        assert evaluator.reward(None, sample) == 0
    known = baselines.of(task, samples)
    assert known.chance is not None
    assert known.blind is not None
    assert 0 < known.chance < 1
    assert 0 < known.blind < 1


def test_none_of_them_is_part_of_viubench() -> None:
    assert len(NAMES) == 6
    assert not set(NAMES) & set(Catalogue().suites["viubench"].tasks)


def test_params_are_those_of_the_plugin() -> None:
    spec = PluginSpec.model_validate({"kind": "speed", "params": {"factors": [2]}})
    assert spec.params.model_dump() == {"factors": [2]}
    for wrong, said in (({"factors": [1.5]}, "a factor must be 2, 3"), ({"fator": 2}, "fator is an unknown key")):
        with pytest.raises(ValidationError, match=said):
            PluginSpec.model_validate({"kind": "speed", "params": wrong})
    with pytest.raises(ValidationError, match="must be one of ground, count, jigsaw, intrusion"):
        PluginSpec.model_validate({"kind": "sped"})
    with pytest.raises(ViubenchError, match="fator"):
        spec.with_params({"fator": 2})


def test_an_intrusion_needs_a_second_video() -> None:
    task = Catalogue().task("pretext_intrusion")
    assert task.pretext
    assert generate.draw(task.pretext, 0, [clip(0)]) == generate.Rejected("no_other_video")


@cache
def asked(name: str) -> tuple[Sample, ...]:
    return tuple(trials.questions(Catalogue().task(name), Catalogue()))


@settings(max_examples=100, deadline=None)
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_the_reward_of_an_answer_is_what_its_score_says(data: st.DataObject, name: str) -> None:
    """Whatever is answered: of an interval both are the overlap; a number or an order that earns a full reward is the
    true one, and none scores more than one that is nearer."""
    task = Catalogue().task(name)
    evaluator = evaluators.get(task.evaluator.name)
    sample = data.draw(st.sampled_from(asked(name)))
    nearer, farther = sorted(
        (data.draw(answers(sample, evaluator)) for _ in range(2)),
        key=lambda text: -reward(text, "stop", sample, evaluator).value,
    )
    near, far = (reward(text, "stop", sample, evaluator) for text in (nearer, farther))
    scores = [grade(text, "stop", sample, evaluator).scores[evaluator.metric] for text in (nearer, farther)]
    assert scores[0] >= scores[1]
    if evaluator.name == "temporal_iou":
        assert scores == [near.value, far.value]
    for text, one in ((nearer, near), (farther, far)):
        assert (one.strict == 1) is (evaluator.target(text) == evaluator.target(sample.answer_text))
        assert reward(text, "length", sample, evaluator).value == 0


def answers(sample: Sample, evaluator: evaluators.Evaluator) -> st.SearchStrategy[str]:
    """Answers of the form that the question asks for, the true one among them."""
    if evaluator.name == "permutation":
        return st.permutations(sample.target).map(evaluator.canonical)
    if evaluator.name == "number":
        return st.sampled_from(sample.params["drawn_from"]).map(evaluator.canonical)
    edges = sample.params["times"]
    own = st.lists(st.sampled_from(edges), min_size=2, max_size=2, unique=True).map(sorted)
    return st.just(sample.answer_text) | own.filter(lambda pair: pair[1] - pair[0] >= 0.1).map(
        lambda pair: f"{pair[0]:.1f}-{pair[1]:.1f}"
    )


@pytest.mark.parametrize(
    ("name", "partly"),
    [("pretext_speed_where", True), ("pretext_reversal", True), ("pretext_intrusion", True),
     ("pretext_speed_factor", True), ("pretext_repetition", True), ("pretext_marker_order", False)],
)  # fmt: skip
def test_an_answer_that_is_partly_right_earns_a_part_where_there_are_parts(name: str, partly: bool) -> None:
    """Half of the true interval, the next number; of two markers one order is right and the other all wrong."""
    evaluator = evaluators.get(Catalogue().task(name).evaluator.name)
    for sample in asked(name):
        if evaluator.name == "temporal_iou":
            start, end = sample.target
            text = f"{start:.1f}-{(start + end) / 2:.1f}"
        elif evaluator.name == "number":
            others = [value for value in sample.params["drawn_from"] if value != sample.target]
            text = evaluator.canonical(min(others, key=lambda value: abs(value - sample.target)))
        else:
            text = evaluator.canonical(sample.target[::-1])
        found = reward(text, "stop", sample, evaluator)
        assert found.parsed
        assert found.strict == 0
        assert (0 < found.value < 1) is (partly and not doubled(sample, text))
        assert found.value < 1


def doubled(sample: Sample, text: str) -> bool:
    """Whether a number is off by as much as the true one: nothing is left of the reward."""
    return isinstance(sample.target, float) and abs(float(text) - sample.target) >= sample.target
