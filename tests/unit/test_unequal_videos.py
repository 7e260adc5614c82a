"""Several videos of unequal length in one prompt, for processors that stack videos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from viubench.engines import processors
from viubench.engines.families import FAMILIES
from viubench.errors import EngineError
from viubench.video.frames import VideoInput

torch = pytest.importorskip("torch")


class Stacking:
    """A processor that stacks its videos, below each other or frame after frame, as those of several families do."""

    video_token = "<v>"
    tokenizer = None

    def __init__(self, flat: bool) -> None:
        self.flat = flat
        self.begun: list[bool] = []

    def __call__(self, text: list[str], videos: Sequence[Any], text_kwargs: Any, **_: Any) -> dict[str, Any]:
        self.begun.append(text_kwargs["add_special_tokens"])
        ids, left = [], list(videos)
        for number, piece in enumerate(text[0].split("<v>")):
            ids += [7] * len(left.pop(0)) if number else []
            ids += list(piece.encode())
        pixels = torch.stack([torch.from_numpy(video) for video in videos])  # ValueError for unequal ones
        pixels = pixels.permute(0, 1, 4, 2, 3)
        pixels = pixels.flatten(0, 1) if self.flat else pixels
        return {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids)), "pixel_values": pixels}


def video(frames: int) -> VideoInput:
    pixels = np.random.default_rng(frames).integers(0, 256, (frames, 4, 6, 3), np.uint8)
    times = tuple(map(float, range(frames)))
    return VideoInput(pixels, 1.0, tuple(range(frames)), times, frames, float(frames))


@pytest.fixture(autouse=True)
def begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors.templates, "adds_special_tokens", lambda processor, prompt: True)


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("counts", [(2, 5), (3, 1, 3), (2, 2, 4, 2)])
def test_each_is_processed_alone_and_all_are_joined_in_order(counts: tuple[int, ...], flat: bool) -> None:
    processor, videos = Stacking(flat), [video(count) for count in counts]
    prompt = "start " + "".join(f"<v> {number} " for number in range(len(counts))) + "end"
    found = processors.encode_text(processor, prompt, videos, family=FAMILIES["internvl"])
    expected = "start " + "".join("\x07" * count + f" {number} " for number, count in enumerate(counts)) + "end"
    assert bytes(found["input_ids"][0].tolist()).decode() == expected
    assert found["attention_mask"].shape == found["input_ids"].shape
    frames = np.concatenate([one.pixels for one in videos]).transpose(0, 3, 1, 2)
    assert np.array_equal(found["pixel_values"].reshape(frames.shape).numpy(), frames)
    assert processor.begun == [True, True, *[False] * (len(counts) - 1)]  # all together, then each: one beginning


def test_equal_lengths_are_one_call_and_what_a_model_cannot_take_is_said() -> None:
    processor = Stacking(flat=True)
    processors.encode_text(processor, "<v> <v>", [video(3), video(3)], family=FAMILIES["internvl"])
    assert len(processor.begun) == 1
    with pytest.raises(EngineError, match="equally many frames alone, not of 3 and 2"):  # a token of each video is due
        processors.encode_text(processor, "<v> <v>", [video(3), video(2)], family=FAMILIES["llava_onevision"])
