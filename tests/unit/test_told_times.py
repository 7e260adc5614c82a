"""A prompt that tells the times of the metadata it was made from tells the right ones, to the last digit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from viubench.engines.families import FAMILIES
from viubench.engines.prompts import Showing
from viubench.engines.sight import Processed, wrong_times
from viubench.video import timestamps
from viubench.video.frames import VideoInput


@given(
    indices=st.lists(st.integers(0, 600), min_size=2, max_size=12, unique=True).map(sorted),
    fps=st.sampled_from([24.0, 25.0, 30.0, 30000 / 1001]),
    off=st.sampled_from([0.0, 0.0004, 0.3]),
)
def test_the_times_of_the_metadata_are_those_that_are_due(indices: list[int], fps: float, off: float) -> None:
    family = FAMILIES["qwen3_vl"]
    times = tuple(round(index / fps + off, 4) for index in indices)
    pixels = np.zeros((len(indices), 8, 8, 3), np.uint8)
    video = VideoInput(pixels, fps, tuple(indices), times, 601, 601 / fps)
    meta = timestamps.metadata(video)
    for shift, right in ((0, True), (1, False)):
        moved = meta | {"frames_indices": [round(place + shift * meta["fps"]) for place in meta["frames_indices"]]}
        processed = Processed(" ".join(timestamps.stamps(moved)), 1, ())
        problem = wrong_times(processed, [video], family, Showing.of(family, "hf"), 2)
        assert (problem is None) == right, problem
