"""Drawing, proving and applying pretext questions, on videos made in memory."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from block_videos import moving, still, wrap
from hypothesis import given, settings
from hypothesis import strategies as st

import evaluators
from viubench.errors import ViubenchError
from viubench.pretext import generate
from viubench.pretext.generate import Drawn, Rejected, apply, draw, fill, least_frames
from viubench.pretext.rng import Rng, seed_of
from viubench.pretext.visibility import APPEARANCE, MOTION, ChangeDetector, differ, halved
from viubench.schema import Borrowed, CountSpec, EvaluatorSpec, GroundSpec, Item, JigsawSpec, PretextSpec, Task
from viubench.video.frames import VideoInput

VIDEO = moving()
DRAWS = [572, 757, 269, 698, 588, 807, 825, 702, 81, 23]


def ground(perturb: str | list[str], **params: Any) -> PretextSpec:
    return GroundSpec.model_validate({"params": {"perturb": perturb, **params}})


def drawn(spec: PretextSpec, seed: int, *videos: VideoInput) -> Drawn:
    result = draw(spec, seed, videos or (VIDEO,))
    assert isinstance(result, Drawn), result
    return result


def cause(spec: PretextSpec, *videos: VideoInput) -> str:
    """The one cause that every seed is rejected for."""
    results = [draw(spec, seed, videos) for seed in range(8)]
    causes = {result.cause if isinstance(result, Rejected) else "kept" for result in results}
    assert len(causes) == 1, causes
    return causes.pop()


def test_draws_are_the_same_on_every_machine() -> None:
    rng = Rng(7, "segment")
    assert [rng.integer(0, 999) for _ in range(10)] == DRAWS
    assert sorted(Rng(1).permutation(50)) == list(range(50))
    assert 0 <= seed_of(1, "a", 2) < 2**63
    assert len({seed_of(1, "a", k) for k in range(1000)}) == 1000
    with pytest.raises(ValueError, match="empty range"):
        rng.integer(3, 2)


# --- grounding ------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(1, 20), st.integers(0, 20))
def test_a_segment_lies_in_the_video_and_its_length_in_the_range(seed: int, shortest: int, more: int) -> None:
    question = drawn(ground("mirror", length=[shortest, shortest + more]), seed)
    start, stop = question.params.segment
    assert 0 <= start < stop <= 48
    assert shortest <= stop - start <= shortest + more
    (shown,) = apply(question.params, seed, [VIDEO])
    changed = (shown.pixels != VIDEO.pixels).any(axis=(1, 2, 3))
    assert np.flatnonzero(changed).tolist() == list(range(start, stop))
    assert shown.times == VIDEO.times
    assert shown.indices == VIDEO.indices


def test_all_lengths_and_starts_are_drawn_alike() -> None:
    """Chance and blind scores assume a uniform length and start."""
    segments = [drawn(ground("channel_swap"), seed).params.segment for seed in range(600)]
    lengths = Counter(stop - start for start, stop in segments)
    assert set(lengths) == set(range(8, 17))
    assert max(lengths.values()) < 2 * min(lengths.values())
    starts = np.array([start / (48 - (stop - start)) for start, stop in segments])
    assert abs(starts.mean() - 0.5) < 0.05
    assert starts.min() == 0
    assert starts.max() == 1


def test_the_answer_is_in_true_seconds() -> None:
    """Fault 5 of the published scripts: frames of the middle 90 % were timed as if they spanned the whole video."""
    uneven = tuple(round(2.0 + 0.1 * k + 0.01 * k * k, 3) for k in range(48))
    video = wrap(VIDEO.pixels, uneven)
    question = drawn(ground("mirror"), 3, video)
    start, stop = question.params.segment
    assert question.params.times[:48] == uneven
    assert len(question.params.times) == 49
    assert question.answer == f"{uneven[start]:.1f}-{question.params.times[stop]:.1f}"
    (shown,) = apply(question.params, 3, [video])
    assert shown.times == uneven


@pytest.mark.parametrize("name", ["slow", "fast", "stutter", "shuffle"])
def test_temporal_perturbations_move_whole_frames_and_say_which(name: str) -> None:
    for seed in range(12):
        question = drawn(ground(name), seed)
        (shown,) = apply(question.params, seed, [VIDEO])
        start, stop = question.params.segment
        by_index = dict(zip(VIDEO.indices, VIDEO.pixels, strict=True))
        for index, frame in zip(shown.indices, shown.pixels, strict=True):
            assert (by_index[index] == frame).all()
        moved = [k for k in range(48) if shown.indices[k] != VIDEO.indices[k]]
        assert moved
        assert start <= moved[0]
        assert moved[-1] == stop - 1
        assert shown.times == VIDEO.times


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(2, 16))
def test_a_shuffle_is_never_the_identity(seed: int, length: int) -> None:
    """Fault 9 of the published scripts."""
    question = drawn(ground("shuffle", length=length), seed)
    order = question.params.strength["order"]
    assert sorted(order) == list(range(length))
    assert all(place != k for k, place in enumerate(order))


def test_what_cannot_be_seen_is_rejected() -> None:
    grey = wrap(np.repeat(VIDEO.pixels[..., :1], 3, axis=-1))
    symmetric = wrap(np.concatenate([VIDEO.pixels, VIDEO.pixels[:, :, ::-1]], axis=2))
    black = wrap(np.zeros_like(VIDEO.pixels))
    assert cause(ground("channel_swap"), grey) == "not_visible"
    assert cause(ground("grayscale"), grey) == "not_visible"
    assert cause(ground("saturation"), grey) == "not_visible"
    assert cause(ground("mirror"), symmetric) == "not_visible"
    assert cause(ground("rotate_180"), wrap(np.full_like(VIDEO.pixels, 77))) == "not_visible"
    assert cause(ground("zoom_out"), black) == "not_visible"
    assert cause(ground("shuffle"), still()) == "no_visible_order"
    for name in ("slow", "fast", "stutter"):
        assert cause(ground(name), still()) == "ends_not_visible"
    assert cause(ground("swap"), VIDEO, VIDEO) == "not_visible"
    assert cause(JigsawSpec(), still()) == "clips_look_alike"


def test_a_film_with_a_shot_for_every_frame_has_no_order_to_shuffle() -> None:
    """Its own order jumps as much as any other; a film of two shots, cut in mid-segment, has one."""
    rng, height, width = np.random.default_rng(0), *VIDEO.pixels.shape[1:3]
    shots = [np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((height // 4, width // 4, 1))) for _ in VIDEO.pixels]
    assert cause(ground("shuffle"), wrap(np.array(shots, np.uint8))) == "no_visible_order"
    half = VIDEO.pixels[:24]
    two = wrap(np.concatenate([half, 255 - half[::-1]]))
    assert cause(ground("shuffle"), two) == "kept"


def test_film_grain_is_not_taken_for_motion() -> None:
    grain = np.random.default_rng(0).integers(-12, 13, VIDEO.pixels.shape)
    noisy = wrap(np.clip(still().pixels.astype(int) + grain, 0, 255).astype(np.uint8))
    assert cause(ground("shuffle"), noisy) == "no_visible_order"
    assert cause(JigsawSpec(), noisy) == "clips_look_alike"


def test_every_kept_perturbation_is_visible_on_each_frame() -> None:
    """One still half second inside the segment is enough to reject a shuffle that touches it."""
    pixels = VIDEO.pixels.copy()
    pixels[20:32] = pixels[20]
    for seed in range(60):
        result = draw(ground("shuffle"), seed, [wrap(pixels)])
        if isinstance(result, Drawn):
            start, stop = result.params.segment
            shown = apply(result.params, seed, [wrap(pixels)])[0].pixels
            gap = np.abs(shown[start:stop].astype(int) - pixels[start:stop]).mean(axis=(1, 2, 3))
            assert gap.min() > 1


@given(st.lists(st.integers(0, 255), min_size=2, max_size=6), st.integers(0, 40))
@settings(max_examples=25, deadline=None)
def test_remembered_looks_are_those_of_a_fresh_look(levels: list[int], shift: int) -> None:
    frames = np.stack([np.full((32, 48, 3), level, np.uint8) for level in levels])
    shown = frames + np.uint8(shift)
    detector = ChangeDetector(frames)
    for _ in range(2):
        fresh = [differ(*(halved(one, APPEARANCE) for one in pair)) for pair in zip(frames, shown, strict=True)]
        assert detector.changed(0, shown).tolist() == fresh
        for one, other in itertools.product(range(len(levels)), repeat=2):
            assert detector.moved(one, other) == differ(halved(frames[one], MOTION), halved(frames[other], MOTION))


def test_a_draw_does_not_depend_on_what_was_looked_at_before() -> None:
    detector = ChangeDetector(VIDEO.pixels)
    for seed in range(6):
        for spec in (ground("shuffle"), ground("mirror"), ground("slow"), JigsawSpec()):
            assert draw(spec, seed, [VIDEO], None, detector) == draw(spec, seed, [VIDEO])


def test_too_few_frames_and_too_short_a_time() -> None:
    short = wrap(VIDEO.pixels[:10])
    assert cause(ground("mirror", length=10), short) == "too_few_frames"
    assert cause(ground("fast", length=9), short) == "too_few_frames"
    assert cause(JigsawSpec.model_validate({"params": {"n": 11}}), short) == "too_few_frames"
    assert cause(CountSpec(), short) == "too_few_frames"
    assert cause(ground("mirror"), wrap(VIDEO.pixels[:1])) == "too_few_frames"
    for spec in (ground("mirror", length=10), ground("fast", length=9), CountSpec(), JigsawSpec()):
        least = least_frames(spec)
        assert cause(spec, wrap(VIDEO.pixels[: least - 1])) == "too_few_frames"
        enough = [draw(spec, seed, [wrap(VIDEO.pixels[:least])]) for seed in range(4)]
        assert {getattr(drawn, "cause", "kept") for drawn in enough} != {"too_few_frames"}
    quick = wrap(VIDEO.pixels, tuple(1.06 + 0.0001 * k for k in range(48)))
    assert cause(ground("mirror"), quick) == "too_short_in_time"


def test_swap_shows_another_video_and_says_which() -> None:
    other = replace(moving(seed=4, height=128, width=96), source="cd" * 16)
    question = drawn(ground("swap"), 1, VIDEO, other)
    start, stop = question.params.segment
    (shown,) = apply(question.params, 1, [VIDEO, other])
    assert shown.pixels.shape == VIDEO.pixels.shape
    assert question.params.other == Borrowed(content="cd" * 16, indices=other.indices)
    assert shown.indices[start:stop] == other.indices[start:stop]
    assert cause(ground("swap"), VIDEO) == "no_other_video"
    with pytest.raises(ValueError, match="second video"):
        apply(question.params, 1, [VIDEO])


def test_several_perturbations_are_all_drawn() -> None:
    names = ["mirror", "invert", "zoom_in"]
    assert {drawn(ground(names), seed).params.perturb for seed in range(40)} == set(names)


# --- jigsaw ---------------------------------------------------------------------------------------------------------


def test_the_answer_begins_with_3_when_the_true_first_clip_is_shown_third() -> None:
    seen = 0
    for seed in range(60):
        question = drawn(JigsawSpec.model_validate({"params": {"n": 6}}), seed)
        shown = apply(question.params, seed, [VIDEO])
        assert len(shown) == 6
        first = [k for k, clip in enumerate(shown) if clip.indices[0] == VIDEO.indices[0]]
        assert int(question.answer[0]) == first[0] + 1
        seen += question.answer[0] == "3"
        # Playing the shown clips in the answer's order restores the video.
        played = [index for digit in question.answer for index in shown[int(digit) - 1].indices]
        assert played == list(VIDEO.indices)
    assert seen


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 16), st.integers(0, 2**63 - 1))
def test_clips_have_equal_length_and_clocks_that_give_nothing_away(n: int, seed: int) -> None:
    uneven = wrap(VIDEO.pixels, tuple(0.3 * k + 0.002 * k * k for k in range(48)))
    question = drawn(JigsawSpec.model_validate({"params": {"n": n}}), seed, uneven)
    shown = apply(question.params, seed, [uneven])
    assert {len(clip) for clip in shown} == {48 // n}
    assert len({clip.times for clip in shown}) == 1
    assert shown[0].times[0] == 0
    numbers = question.answer.split(",") if n >= 10 else list(question.answer)
    assert sorted(map(int, numbers)) == list(range(1, n + 1))
    assert evaluators.get("permutation").target(question.answer) == list(map(int, numbers))
    assert question.question_fields["clips"].count("<video>") == n


def test_all_orders_are_drawn_alike() -> None:
    answers = Counter(drawn(JigsawSpec.model_validate({"params": {"n": 3}}), seed).answer for seed in range(600))
    assert len(answers) == 6
    assert max(answers.values()) < 2 * min(answers.values())


# --- applying -------------------------------------------------------------------------------------------------------

SPECS = [
    ground(["noise", "zoom_out", "zoom_in", "saturation", "shuffle", "stutter"]),
    CountSpec.model_validate({"params": {"max_frames": 4, "max_instances": 4}}),
    JigsawSpec.model_validate({"params": {"n": 8}}),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_stored_params_give_the_same_frames_and_leave_the_source_alone(spec: PretextSpec) -> None:
    before = VIDEO.pixels.copy()
    for seed in range(6):
        question = drawn(spec, seed)
        assert drawn(spec, seed) == question
        stored = type(question.params).model_validate_json(question.params.model_dump_json())
        first, again = apply(question.params, seed, [VIDEO]), apply(stored, seed, [VIDEO])
        assert [clip.pixel_hash() for clip in first] == [clip.pixel_hash() for clip in again]
        assert [clip.key for clip in first] == [clip.key for clip in again]
        assert all(clip.key != VIDEO.key for clip in first)
        assert stored == question.params
    assert np.array_equal(VIDEO.pixels, before)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_items_work_at_any_frame_size(spec: PretextSpec) -> None:
    question = drawn(spec, 1)
    for height, width in ((64, 64), (192, 352), (480, 640)):
        other = moving(height=height, width=width)
        for clip in apply(question.params, 1, [other]):
            assert clip.pixels.shape[1:] == (height, width, 3)
            assert clip.key


def test_frames_of_another_sampling_are_refused() -> None:
    question = drawn(ground("mirror"), 1)
    with pytest.raises(ValueError, match="48 frames"):
        apply(question.params, 1, [wrap(VIDEO.pixels[:32])])


# --- questions and samples ------------------------------------------------------------------------------------------


def test_questions_are_filled_and_other_braces_stay() -> None:
    fields = drawn(ground("mirror"), 1).question_fields
    text = fill(r"From {start} to {end}: {perturbation}. \boxed{}, {3}, {frames}", fields)
    assert text.startswith("From 0.1 to 9.7: its left and right")
    assert text.endswith(r"\boxed{}, {3}, 48")
    with pytest.raises(ViubenchError, match=r"\{pertubation\}"):
        fill("{pertubation}", fields)
    for spec in SPECS:
        assert set(drawn(spec, 1).question_fields) == set(generate.FIELDS[spec.kind])


def _task(spec: PretextSpec, evaluator: str, **more: Any) -> Task:
    spec_of = EvaluatorSpec(name=evaluator)
    return Task(task="t", domain="d", pretext=spec, question="q", evaluator=spec_of, metric="m", protocol="p", **more)


@pytest.mark.parametrize(
    ("spec", "evaluator"), list(zip(SPECS, ["temporal_iou", "shape_counts", "permutation"], strict=True))
)
def test_a_sample_carries_recipe_clips_and_target(spec: PretextSpec, evaluator: str) -> None:
    question = drawn(spec, 5)
    item = Item(
        id="t-1", task="t", video="a/b.mp4", cluster="ab" * 8, seed=5, params=question.params, question="q",
        answer=question.answer,
    )  # fmt: skip
    sample = generate.sample_of(item, _task(spec, evaluator, group_by={"kind": "{{ kind }}"}))
    grader = evaluators.get(evaluator)
    answer = grader.parse(grader.canonical(sample.target), sample)
    assert answer is not None
    assert grader.score(answer, sample)[grader.metric] == 1
    assert sample.clips[0].path == "a/b.mp4"
    assert sample.clips[0].content == VIDEO.source
    assert sample.groups == {"kind": spec.kind}
    assert (sample.seed, sample.pretext) == (5, question.params)
    assert sample.params == question.params.model_dump(mode="json")
    with pytest.raises(ViubenchError, match="none of"):
        generate.sample_of(item.model_copy(update={"answer": "banana"}), _task(spec, evaluator))
    with pytest.raises(ViubenchError, match="'nothing' is undefined"):
        generate.sample_of(item, _task(spec, evaluator, group_by={"nothing": "{{ nothing }}"}))


def test_bad_params_name_the_key_and_what_there_is() -> None:
    with pytest.raises(ViubenchError, match="ground params: lenght") as error:
        ground("mirror").with_params({"lenght": 3})
    assert "length" in str(error.value.hint)
    with pytest.raises(ViubenchError, match="jigsaw params: n"):
        JigsawSpec().with_params({"n": 1})


def test_counting_may_begin_at_none_and_fix_the_colours() -> None:
    colors = {"circle": [255, 0, 0], "square": [0, 255, 0], "triangle": [255, 0, 255]}
    params = {"min_frames": 0, "max_frames": 2, "max_instances": 1, "colors": colors}
    spec = CountSpec.model_validate({"params": params})
    found = [drawn(spec, seed) for seed in range(60)]
    counts = Counter(digit for one in found for digit in one.answer.split(","))
    assert set(counts) == {"0", "1", "2"}
    assert min(counts.values()) > 30, "uniform"
    for one in found:
        assert one.params.min_frames == 0
        for shape in one.params.shapes:
            assert list(shape.color) == colors[shape.shape]
    assert "min_frames" not in drawn(CountSpec(), 1).params.model_dump()
    with pytest.raises(ViubenchError, match="min_frames is 3, max_frames 2"):
        CountSpec().with_params({"min_frames": 3, "max_frames": 2})
