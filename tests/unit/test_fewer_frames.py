"""Ready items at fewer frames: the same altered video and answer, and what cannot be asked so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import viubench
from viubench.errors import ViubenchError
from viubench.pretext import generate
from viubench.pretext.fewer_frames import asked, hidden, places
from viubench.pretext.perturb import TEMPORAL
from viubench.runner.config import EvalConfig
from viubench.runner.planning import make_plan
from viubench.schema import GroundItem, Sample
from viubench.video import synthetic
from viubench.video.frames import VideoInput

RECIPE = """
recipe: several
items:
  - {task: viubench_ground_mirror, n: 2}
  - {task: ground_stutter, n: 2, base: videossr_ground, params: {perturb: [stutter], stutter: 2}}
  - {task: viubench_count_easy, n: 1}
  - {task: viubench_jigsaw_easy, n: 1}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items of 32 frames in `items`, of two drawn clips."""
    folder = tmp_path_factory.mktemp("fewer")
    (folder / "several.yaml").write_text(RECIPE)
    synthetic.draw(folder / "clips", 2, 0, seconds=8, size=(160, 96), fps=12)
    viubench.build_items(
        folder / "several.yaml", folder / "clips", folder / "items", frames=32, workers=1, frame_cache=folder / "cache"
    )
    return folder


@pytest.fixture
def planned(built: Path, tmp_path: Path) -> Callable[..., object]:
    def make(**options: object) -> object:
        config = EvalConfig(engine="oracle", tasks=built / "items", frame_cache=built / "cache", **options)  # type: ignore[arg-type]
        return make_plan(config, tmp_path)

    return make


@given(st.integers(1, 200), st.integers(1, 200))
def test_places_are_even_and_within(total: int, frames: int) -> None:
    found = places(total, frames)
    assert len(found) == min(total, frames)
    assert 0 <= found[0] <= found[-1] < total
    gaps = {after - before for before, after in pairwise(found)}
    assert len(gaps) <= 2
    assert 0 not in gaps
    assert abs(found[0] - (total - 1 - found[-1])) <= 1  # as far from one end as from the other


def test_fewer_frames_of_the_same_altered_video(built: Path, planned: Callable[..., object]) -> None:
    left_out = ["viubench_count_easy", "viubench_jigsaw_easy"]
    many, few = (planned(frames=frames, exclude=left_out) for frames in (32, 8))
    assert [s.id for s in many.samples] == [s.id for s in few.samples]  # type: ignore[attr-defined]
    rng = np.random.default_rng(0)
    for one, other in zip(many.samples, few.samples, strict=True):  # type: ignore[attr-defined]
        assert (one.question, one.target, one.cluster) == (other.question, other.target, other.cluster)
        video = VideoInput(
            rng.integers(0, 255, (32, 32, 32, 3), np.uint8), 12.0, one.pretext.indices, one.pretext.times[:-1], 99, 8.0
        )
        (whole,), (part,) = (generate.apply(s.pretext, s.seed, [video]) for s in (one, other))
        shown = list(other.pretext.shown)
        assert len(part) == 8
        assert np.array_equal(part.pixels, whole.pixels[shown])
        assert part.indices == tuple(whole.indices[k] for k in shown)
        assert part.times == tuple(whole.times[k] for k in shown)
    protocols = {protocol.sampling.frames for protocol in few.protocols.values()}  # type: ignore[attr-defined]
    assert protocols == {8}


def test_the_protocol_says_what_the_items_were_built_from(planned: Callable[..., object]) -> None:
    plan = planned()
    assert {protocol.sampling.frames for protocol in plan.protocols.values()} == {32}  # type: ignore[attr-defined]
    assert not any(sample.pretext.shown for sample in plan.samples)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"frames": 8, "exclude": "viubench_jigsaw_easy"}, "viubench_count_easy cannot be asked at other frames"),
        ({"frames": 8, "exclude": "viubench_count_easy"}, "its clips are made of its frames"),
        ({"frames": 48}, "the items are of 32 frames, 48 cannot be shown"),
        ({"fps": 2.0}, "ready items fix their frames"),
        ({"set": {"sampling.kind": "fps"}, "frames": 8}, "ready items fix their frames"),
        ({"exclude": "viubench_ground_miror"}, "is none of the tasks"),
    ],
)
def test_what_cannot_be_asked_is_refused(planned: Callable[..., object], options: dict[str, object], said: str) -> None:
    with pytest.raises(ViubenchError, match=said):
        planned(**options)


def test_an_item_whose_altered_frames_are_all_left_out_is_known(built: Path, planned: Callable[..., object]) -> None:
    plan = planned(frames=2, exclude="viubench_count_easy,viubench_jigsaw_easy")
    counts: dict[str, int] = {}
    for sample in plan.samples:  # type: ignore[attr-defined]
        item = sample.pretext
        within = any(item.segment[0] <= place < item.segment[1] for place in item.shown)
        assert hidden(sample) or within
        assert item.perturb in TEMPORAL or hidden(sample) != within
        counts[sample.task] = counts.get(sample.task, 0) + hidden(sample)
    told = [note for note in plan.notes if "show nothing of the altered part" in note]  # type: ignore[attr-defined]
    assert len(told) == sum(count > 0 for count in counts.values())


def of_eight(perturb: str, **strength: int) -> Sample:
    """An item of 8 frames, of which those from 2 to 5 are altered."""
    item = GroundItem.model_validate(
        {"content": "c", "frames": 8, "indices": list(range(8)), "times": list(range(9)), "perturb": perturb,
         "length": [4, 4], "segment": [2, 6], "strength": strength}
    )  # fmt: skip
    return Sample(id="1", task="t", cluster="c", clips=(), question="", target=[2, 6], answer_text="2-6", pretext=item)


@pytest.mark.parametrize(
    ("shown", "unseen"), [((), False), ((0, 2, 4, 6), True), ((1, 3, 5, 7), False), ((0, 6), True)]
)
def test_a_stutter_is_hidden_where_only_its_own_frames_are_shown(shown: tuple[int, ...], unseen: bool) -> None:
    sample = of_eight("stutter", hold=2)  # shows 2 2 4 4
    assert sample.pretext is not None
    item = sample.pretext.model_copy(update={"shown": shown})
    assert hidden(replace(sample, pretext=item)) == unseen


def test_a_question_that_counts_its_frames_stays_as_it_is() -> None:
    task = viubench.get_task("viubench_ground_mirror").model_copy(update={"question": "<video> of {frames} frames"})
    sample = of_eight("mirror")
    assert asked([sample], task, 8) == [sample]
    with pytest.raises(ViubenchError, match="how many frames there are"):
        asked([sample], task, 4)
