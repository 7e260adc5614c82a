"""Prompts and clocks, without a model: places of videos, quoted control tokens, and the times a model is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viubench.engines.prompts import CONTROL_TOKENS, neutralise, parts, render
from viubench.errors import EngineError, ViubenchError
from viubench.video import timestamps
from viubench.video.frames import VideoInput


def video(
    times: list[float], indices: list[int] | None = None, fps: float = 25.0, duration: float = 60.0
) -> VideoInput:
    chosen = indices if indices is not None else [round(time * fps) for time in times]
    pixels = np.zeros((len(times), 32, 32, 3), np.uint8)
    return VideoInput(pixels, fps, tuple(chosen), tuple(times), round(fps * duration), duration)


def told(clip: VideoInput) -> list[float]:
    return [float(text.strip("<>").split()[0]) for text in timestamps.stamps(timestamps.metadata(clip))]


def pair_means(times: list[float]) -> list[float]:
    padded = times + times[-1:] * (len(times) % 2)
    return [(a + b) / 2 for a, b in zip(padded[::2], padded[1::2], strict=True)]


def test_constant_rate_sends_the_source_clock() -> None:
    meta = timestamps.metadata(video([0.0, 1.0, 2.0, 3.0]))
    assert (meta["fps"], meta["frames_indices"], meta["total_num_frames"]) == (25.0, [0, 25, 50, 75], 1500)
    assert meta["do_sample_frames"] is False


def test_variable_rate_sends_milliseconds() -> None:
    clip = video([0.0, 0.71, 5.0, 9.123], indices=[0, 10, 20, 30])
    meta = timestamps.metadata(clip)
    assert (meta["fps"], meta["frames_indices"]) == (1000.0, [0, 710, 5000, 9123])
    assert told(clip) == pytest.approx([0.355, 7.0615], abs=0.051)


def test_a_jigsaw_clip_tells_its_own_clock() -> None:
    clip = video([0.0, 0.5, 1.0], indices=[500, 512, 525])
    assert told(clip) == [0.2, 1.0]


@given(
    st.lists(st.floats(0.01, 30), min_size=1, max_size=64), st.sampled_from([23.976, 25.0, 29.97, 60.0]), st.booleans()
)
def test_told_times_are_true_to_a_tenth(gaps: list[float], fps: float, on_grid: bool) -> None:
    times = [float(time) for time in np.cumsum(gaps)]
    if on_grid:
        times = sorted({round(time * fps) / fps for time in times})
    clip = video(times, [round(time * fps) for time in times], fps, duration=times[-1] + 1)
    assert told(clip) == pytest.approx(pair_means(times), abs=0.1)
    meta = timestamps.metadata(clip)
    assert meta["total_num_frames"] > max(meta["frames_indices"])


def test_timestamps_are_looked_for_in_order() -> None:
    metas = [timestamps.metadata(video([0.0, 1.0, 2.0, 3.0])), timestamps.metadata(video([0.0, 1.0]))]
    good = "Q <9.9 seconds> <0.5 seconds>x<2.5 seconds>y<0.5 seconds>z"
    assert timestamps.missing_timestamps(good, metas) is None
    assert "holds 2 frame times" in str(timestamps.missing_timestamps("<0.5 seconds><0.5 seconds>", metas))
    assert "no frame timestamps" in str(timestamps.missing_timestamps("nothing", metas))


def test_videos_take_the_marked_places() -> None:
    kinds = [part.get("text", part["type"]) for part in parts("first <video> then <video>\nwhich?", 2)]
    assert kinds == ["first ", "video", " then ", "video", "\nwhich?"]


def test_a_question_without_marks_gets_its_videos_in_front() -> None:
    assert [part["type"] for part in parts("which?", 2)] == ["video", "video", "text"]


def test_a_later_mark_is_quoted_text() -> None:
    found = parts("<video>\nwhat does <video> mean?", 1)
    assert [part["type"] for part in found] == ["video", "text"]
    assert "<video>" not in found[1]["text"]
    assert "< video>" in found[1]["text"]


def test_too_few_marks_are_an_error() -> None:
    with pytest.raises(EngineError, match="marks 1 videos"):
        parts("<video> and?", 2)


@given(st.lists(st.sampled_from([*CONTROL_TOKENS, "<|im_end|>", "<|video_pad|>", "<|", "|>", "<", "im_end", " ", "x"])))
def test_no_control_token_survives(pieces: list[str]) -> None:
    clean = neutralise("".join(pieces), special=["<|im_end|>", "im"])
    for token in [*CONTROL_TOKENS, "<|im_end|>", "<|video_pad|>", "im"]:
        assert token not in clean


@given(st.text())
def test_only_spaces_are_added(text: str) -> None:
    assert neutralise(text).replace(" ", "") == text.replace(" ", "")


class Token:
    def __init__(self, content: str) -> None:
        self.content, self.special = content, True


class Tokenizer:
    added_tokens_decoder = {0: Token("@@end@@")}  # noqa: RUF012
    all_special_tokens = ("@@end@@",)
    chat_template: str | None = "given"

    def apply_chat_template(self, messages: list[dict[str, object]], **settings: object) -> str:
        assert settings == {"tokenize": False, "add_generation_prompt": True}
        return repr(messages)


def test_rendering_uses_the_models_own_template_and_tokens() -> None:
    assert "@ @end@@" in render(Tokenizer(), "say @@end@@", 0)


def test_a_checkpoint_without_template_is_an_error() -> None:
    bare = Tokenizer()
    bare.chat_template = None
    with pytest.raises(ViubenchError, match="no chat template"):
        render(bare, "hi", 0)
