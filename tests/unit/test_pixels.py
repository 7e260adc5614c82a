"""The pixels engine: right answers on drawn clips, from the question's text and the frames alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import evaluators
from viubench.engines import base, pixels
from viubench.engines.pixels import counting, jigsaw, questions, segments
from viubench.errors import EngineError, ViubenchError
from viubench.pretext import generate
from viubench.pretext.perturb import WORDS
from viubench.schema import Decoding, Item, Sample
from viubench.tasks.registry import Catalogue
from viubench.video import synthetic
from viubench.video.frames import VideoInput

HARD = ("zoom_in", "invert", "blur", "shuffle")
"""What is not always found to the frame in small drawn clips."""

STRONG: dict[str, dict[str, Any]] = {"blur": {"blur": 12}}


@cache
def clip(seed: int, size: tuple[int, int] = (96, 64)) -> VideoInput:
    """48 frames of a drawn scene, four a second."""
    pixels = np.stack(list(synthetic.clip_frames(synthetic.plan(0, seed, 12.0, size, 4.0))))
    times = tuple(number / 4 for number in range(len(pixels)))
    return VideoInput(pixels, 4.0, tuple(range(len(pixels))), times, len(pixels), 12.0)


def posed(
    name: str, seed: int, size: tuple[int, int] = (96, 64), **params: Any
) -> tuple[Sample, tuple[VideoInput, ...]]:
    """The first question of a task that a drawn clip gives from `seed` on, and what is shown of it."""
    task = Catalogue().task(name)
    assert task.pretext
    spec = task.pretext.with_params(params) if params else task.pretext
    for number in range(seed, seed + 100):
        videos = [clip(number % 4, size), clip(number % 4 + 1, size)]
        drawn = generate.draw(spec, number, videos)
        if isinstance(drawn, generate.Drawn):
            item = Item(
                id="x", task=name, video="v", cluster="c", seed=number, params=drawn.params, answer=drawn.answer,
                question=generate.fill(task.question, drawn.question_fields),
            )  # fmt: skip
            return generate.sample_of(item, task), generate.apply(drawn.params, number, videos)
    raise AssertionError(f"no question of {name}")


def answered(sample: Sample, videos: tuple[VideoInput, ...]) -> str:
    request = base.Request(sample, videos, (), Decoding())
    return asyncio.run(pixels.PixelsEngine().generate(request)).text


def score(name: str, sample: Sample, text: str) -> float:
    evaluator = evaluators.get(Catalogue().task(name).evaluator.name)
    answer = evaluator.parse(text, sample)
    return evaluator.score(answer, sample)[evaluator.metric] if answer else 0.0


@pytest.mark.parametrize("change", [change for change in WORDS if change not in HARD])
def test_it_finds_what_was_altered(change: str) -> None:
    for seed in (0, 20):
        sample, videos = posed("videossr_ground", seed, perturb=[change])
        assert score("videossr_ground", sample, answered(sample, videos)) > 0.9


@pytest.mark.parametrize("change", HARD)
def test_every_change_gets_an_answer(change: str) -> None:
    sample, videos = posed("videossr_ground", 0, **STRONG.get(change, {}), perturb=[change])
    assert score("videossr_ground", sample, answered(sample, videos)) > 0.4


def test_it_counts_and_orders() -> None:
    for name in ("viubench_count_easy", "videossr_jigsaw"):
        sample, videos = posed(name, 0, (256, 144))
        assert score(name, sample, answered(sample, videos)) > 0.6  # a drawn scene may hold a plain square of its own


def test_it_sees_no_more_than_a_model() -> None:
    """The item's truth, numbers and name may say anything: the answer comes from text and frames."""
    sample, videos = posed("videossr_ground", 3, perturb=["mirror"])
    said = answered(sample, videos)
    other = replace(sample, id="y", task="t", target=[0.0, 1.0], answer_text="0.0-1.0", params={}, pretext=None, seed=9)
    hidden = tuple(replace(video, indices=(0,) * len(video), source="", key="") for video in videos)
    assert answered(other, hidden) == said


def test_every_wording_of_ours_is_understood() -> None:
    for change, words in WORDS.items():
        assert questions.asked(f"One part was altered: {words}.", 1) == questions.Asked("grounding", change)
    for name, kind in (("tiny_count", "counting"), ("viubench_count_hard", "counting"), ("tiny_ground", "grounding")):
        sample, videos = posed(name, 0)
        what = questions.asked(sample.question, len(videos))
        assert what is not None
        assert what.kind == kind
    sample, videos = posed("tiny_jigsaw", 0)
    assert questions.asked(sample.question, len(videos)) == questions.Asked("jigsaw")


def test_other_questions_are_refused() -> None:
    sample, videos = posed("videossr_ground", 3, perturb=["mirror"])
    with pytest.raises(EngineError, match="pretext tasks only"):
        answered(replace(sample, question="<video> What does the man say?"), videos)
    only = replace(videos[0], pixels=videos[0].pixels[:1], indices=(0,), times=(0.0,))
    with pytest.raises(EngineError, match="single frame"):
        answered(sample, (only,))
    with pytest.raises(ViubenchError, match="cannot answer mvbench: it knows grounding, counting and jigsaw"):
        pixels.PixelsEngine().prepare({"mvbench": evaluators.get("choice")}, {})


def test_the_shorter_of_two_segments_as_good_is_meant() -> None:
    states = np.ones(12)
    states[:4] = -1
    assert segments.best(-np.outer(states, states)) == (0, 4)
    assert segments.best(-np.outer(-states, -states)) == (0, 4)


def test_the_cheapest_way_is_found_and_long_ones_end() -> None:
    costs = np.full((5, 5), 9.0)
    for one, other in zip((3, 0, 4, 1), (0, 4, 1, 2), strict=True):
        costs[one, other] = 1
    assert jigsaw.cheapest(costs) == [3, 0, 4, 1, 2]
    many = np.random.default_rng(0).random((jigsaw.MOST + 6,) * 2)
    assert sorted(jigsaw.cheapest(many)) == list(range(jigsaw.MOST + 6))


def test_plain_parts_of_the_scene_are_no_shapes() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 96, 160, 3)).astype(np.uint8)
    noise[:, 20:60, 20:60] = 200  # in all frames
    assert counting.count(noise) == {"circle": 0, "square": 0, "triangle": 0}
    noise[1, 20:60, 100:140] = 90
    assert counting.count(noise)["square"] == 1
