"""Families of models in transformers: each gets its frames its own way, and every fault on the way is an error."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_requests import request

from viubench.engines import families, tiny_checkpoints
from viubench.engines.base import Request, Response
from viubench.engines.hf import HfEngine
from viubench.engines.token_counts import Shown
from viubench.errors import EngineError, ViubenchError
from viubench.schema import Chat, Decoding
from viubench.video.frames import VideoInput

pytestmark = pytest.mark.engine

KINDS = {
    "qwen2_5_vl": ("video", "positions"),
    "internvl": ("video", "prompt"),
    "llava_onevision": ("video", "prompt"),
    "video_llama_3": ("video", "prompt"),
    "smolvlm": ("video", "prompt"),
    "gemma3": ("images", "prompt"),
}


def clip(height: int, width: int, frames: int = 3, start: float = 40.0) -> VideoInput:
    """Frames of a part of a longer file, at times that no default would tell."""
    pixels = np.random.default_rng(frames).integers(0, 256, (frames, height, width, 3), np.uint8)
    times = tuple(start + 2.0 * number for number in range(frames))
    return VideoInput(pixels, 25.0, tuple(round(25 * time) for time in times), times, 2750, 110.0)


def opened(folder: Path, **args: str) -> HfEngine:
    engine = HfEngine(str(folder), {"device": "cpu", **args})
    asyncio.run(engine.start())
    return engine


def ask(engine: HfEngine, asked: Request) -> Response:
    return asyncio.run(engine.generate(asked))


def fitting(engine: HfEngine, **more: Any) -> VideoInput:
    side = engine.frame_format.multiple or 0
    return clip(*(engine.frame_format.fixed or (2 * side, 3 * side)), **more)


@pytest.mark.parametrize("family", KINDS)
def test_a_family_sees_its_frames_at_their_times(family: str, tmp_path: Path) -> None:
    tiny_checkpoints.write(tmp_path / family, family=family)
    engine = opened(tmp_path / family)
    shown = fitting(engine, frames=2 if family == "gemma3" else 3)
    answer = ask(engine, request("<video>\nWhen?", shown, max_tokens=2))
    assert answer.shown is not None
    assert (answer.shown.kind, answer.shown.times) == KINDS[family]
    assert (answer.shown.height, answer.shown.width) == shown.pixels.shape[1:3]
    sizes = Shown(len(shown), shown.pixels.shape[1], shown.pixels.shape[2], shown.times)
    counted = engine._counter.prompt("<video>\nWhen?", [sizes])
    assert answer.usage["prompt_tokens"] <= counted <= answer.usage["prompt_tokens"] + 16


def test_videos_of_unequal_length_are_seen_as_sent(tmp_path: Path) -> None:
    """The proof of sight holds: all frames arrive, in order, with their times."""
    tiny_checkpoints.write(tmp_path / "internvl", family="internvl")
    engine = opened(tmp_path / "internvl")
    one, two = fitting(engine, frames=2), fitting(engine, frames=3)
    answer = ask(engine, request("<video>\n<video>\nWhich?", one, two, max_tokens=2))
    alone = [ask(engine, request("<video>\nWhich?", shown, max_tokens=2)).shown for shown in (one, two)]
    assert answer.shown is not None
    assert answer.shown.tokens == sum(shown.tokens for shown in alone if shown and shown.tokens)


@pytest.mark.parametrize("family", ["qwen3_vl", "llava_onevision", "aya_vision"])
def test_a_family_that_the_table_does_not_know_is_found_out(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_checkpoints.write(tmp_path / family, family=family)
    monkeypatch.delitem(families.FAMILIES, family)  # type: ignore[arg-type]
    engine = opened(tmp_path / family)
    answer = ask(engine, request("<video>\nWhen?", fitting(engine), max_tokens=2))
    assert answer.shown is not None
    assert answer.shown.kind == ("images" if family == "aya_vision" else "video")
    assert (engine.family.stamp == families.FAMILIES["qwen3_vl_moe"].stamp) is (family == "qwen3_vl")
    assert engine._showing.words is (family == "llava_onevision")


class Faulty:
    """A video processor that changes what it is given."""

    def __init__(self, inner: Any, change: Callable[[Any], Any], times: Callable[[float], float]) -> None:
        self._inner, self._change, self._times = inner, change, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, videos: Any, **given: Any) -> Any:
        metas = given.get("video_metadata") or []
        for meta in metas:
            seconds = [self._times(index / meta["fps"]) for index in meta["frames_indices"]]
            meta["total_num_frames"] = round(meta["total_num_frames"] * (self._times(2.0) - self._times(1.0)))
            meta["frames_indices"] = [round(time * meta["fps"]) for time in seconds]
        return self._inner([self._change(video) for video in videos], **given)


def _same(value: Any) -> Any:
    return value


def _crop(video: Any) -> Any:
    cropped = video.copy()
    cropped[:, :, :8] = 0
    return cropped


FAULTS: dict[str, tuple[Callable[[Any], Any], Callable[[float], float], str]] = {
    "dropped": (lambda video: video[:2], _same, "does not reach it"),
    "cropped": (_crop, _same, "is cropped"),
    "reordered": (lambda video: video[::-1].copy(), _same, "does not come after"),
    "resampled": (lambda video: video[:, ::2, ::2].repeat(2, 1).repeat(2, 2), _same, "is resized|is cropped"),
    "shifted": (_same, lambda time: time + 1, "expected"),
    "scaled": (_same, lambda time: time / 2, "expected"),
}


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, HfEngine]:
    folder, made = tmp_path_factory.mktemp("faulty"), {}
    for family in ("video_llama_3", "qwen2_5_vl"):
        tiny_checkpoints.write(folder / family, family=family)
        made[family] = opened(folder / family)
    return made


@pytest.mark.parametrize(("family", "name"), [
    *[("video_llama_3", name) for name in FAULTS], ("qwen2_5_vl", "scaled"),
])  # fmt: skip
def test_a_faulty_processor_never_makes_a_score(engines: dict[str, HfEngine], family: str, name: str) -> None:
    engine, (change, times, said) = engines[family], FAULTS[name]
    inner = engine._processor.video_processor
    engine._prover._proven.clear()
    engine._prover._kinds.clear()
    engine._processor.video_processor = Faulty(inner, change, times)
    try:
        with pytest.raises(ViubenchError, match=said):
            ask(engine, request("<video>\nWhen?", fitting(engine), max_tokens=2))
    finally:
        engine._processor.video_processor = inner


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint, to be spoiled."""
    for path in tiny_model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_a_model_whose_answer_does_not_depend_on_its_frames_is_blind(folder: Path) -> None:
    import torch

    engine = opened(folder)
    with torch.no_grad():
        engine._model.model.visual.patch_embed.proj.weight.zero_()
    with pytest.raises(ViubenchError, match="does not see them"):
        ask(engine, request("<video>\nWhen?", fitting(engine)))


def test_a_template_without_a_place_for_videos_is_refused_at_the_start(folder: Path) -> None:
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("'video'", "'no such part'"))
    text = template.read_text().replace("{%- else -%}{{ part.text }}", "{%- elif part.text -%}{{ part.text }}")
    template.write_text(text)
    with pytest.raises(ViubenchError, match="no place for a video"):
        opened(folder)


def test_the_checkpoints_own_sampling_does_not_leak_in(tiny_model: Path, folder: Path) -> None:
    own = json.loads((folder / "generation_config.json").read_text())
    own |= {"do_sample": True, "repetition_penalty": 1.7, "top_k": 1, "temperature": 0.1, "min_new_tokens": 9}
    (folder / "generation_config.json").write_text(json.dumps(own))
    plain, spoiled = opened(tiny_model), opened(folder)
    asked = request("<video>\nWhen?", fitting(plain), max_tokens=8)
    assert ask(spoiled, asked).text == ask(plain, asked).text
    drawn = replace(asked, decoding=Decoding(max_tokens=8, temperature=2.0), seed=3)
    assert ask(spoiled, drawn).text == ask(plain, drawn).text != ask(plain, replace(drawn, seed=4)).text


def test_every_sampling_setting_is_carried_out(tiny_model: Path) -> None:
    engine = opened(tiny_model)
    asked = request("<video>\nWhen?", fitting(engine), max_tokens=12)
    greedy = ask(engine, asked)

    def answer(**settings: Any) -> Response:
        return ask(engine, replace(asked, decoding=Decoding(max_tokens=12, **settings), seed=1))

    assert answer(temperature=2.0).text != greedy.text
    for narrow in ({"top_k": 1}, {"top_p": 0.001}, {"min_p": 1.0}):
        assert answer(temperature=2.0, **narrow).text == greedy.text, narrow
    once = answer(frequency_penalty=2.0, presence_penalty=2.0).text
    assert len(set(once)) >= len(set(greedy.text))
    stopped = answer(stop=(greedy.text[3:5],))
    assert (stopped.text, stopped.finish_reason) == (greedy.text[: greedy.text.find(greedy.text[3:5])], "stop")
    assert greedy.prompt_end.endswith("<|im_start|>assistant\n")
    system = ask(engine, replace(asked, chat=Chat(system="Be brief.")))
    assert system.usage["prompt_tokens"] > greedy.usage["prompt_tokens"]
    for chat in (Chat(reasoning_budget=5), Chat(reasoning_parser="qwen3")):
        with pytest.raises(ViubenchError, match="the hf engine has no reasoning"):
            ask(engine, replace(asked, chat=chat))


def test_penalties_count_the_answers_own_tokens() -> None:
    import torch

    from viubench.engines.hf.decoding import hooks

    decoding = Decoding(presence_penalty=1.0, frequency_penalty=0.5)
    (penalties,) = hooks(decoding, None, 2)["logits_processor"]
    scores = penalties(torch.tensor([[3, 3, 1, 1, 0]]), torch.zeros(1, 4))
    assert scores.tolist() == [[-1.5, -2.0, 0.0, 0.0]]


CODE = """
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration
class MineConfig(Qwen3VLConfig):
    model_type = "mine"
class Mine(Qwen3VLForConditionalGeneration):
    config_class = MineConfig
"""


def test_a_checkpoints_own_code_runs_only_when_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = json.loads((folder / "config.json").read_text())
    own = {"AutoConfig": "mine.MineConfig", "AutoModelForImageTextToText": "mine.Mine"}
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "mine", "auto_map": own}))
    (folder / "mine.py").write_text(CODE)

    def asked(_: str = "") -> str:
        raise AssertionError("nothing may be asked on the terminal")

    monkeypatch.setattr("builtins.input", asked)
    with pytest.raises(ViubenchError) as refused:
        opened(folder)
    assert "--engine-arg trust_remote_code=true" in str(refused.value.hint)
    engine = opened(folder, trust_remote_code="true")
    assert type(engine._model).__name__ == "Mine"
    assert engine.describe()["settings"]["trust_remote_code"] == "true"


def test_frames_of_another_size_are_refused_before_anything_is_proven(engines: dict[str, HfEngine]) -> None:
    with pytest.raises((EngineError, ViubenchError)):
        ask(engines["video_llama_3"], request("<video>\nWhen?", clip(40, 40)))
