"""vLLM on the tiny checkpoint: the same answers as transformers, and one bad request fails alone."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import forked
import forked_cores
import pytest
from engine_requests import ask, at_once, request, standard, texts, video

from evaluators import Constraint
from tests.bench.order import OrderRow, compare
from viubench.engines import make
from viubench.engines.base import Response
from viubench.engines.token_counts import Counter, Shown
from viubench.engines.vllm import VllmEngine
from viubench.engines.vllm.patches import Patcher, quick
from viubench.engines.vllm.prompt import with_media
from viubench.errors import EngineError, ViubenchError
from viubench.schema import Decoding
from viubench.video.frames import VideoInput

pytest.importorskip("vllm")
pytestmark = pytest.mark.engine


async def opened(model: Path) -> None:
    """A program with an engine; it prints the engine's cores."""
    async with VllmEngine(str(model), {}):
        print(*[child.pid for child in multiprocessing.active_children()], flush=True)
        await asyncio.sleep(600)


def test_no_core_outlives_its_engine_or_the_program(tiny_model: Path) -> None:
    """The first test of the file: a fork cannot do with the sockets of an engine that is open here."""

    def program() -> None:
        """Opens an engine, and another one after Ctrl-C."""
        try:
            asyncio.run(opened(tiny_model))
        except KeyboardInterrupt:
            asyncio.run(opened(tiny_model))

    forked_cores.load()
    reading, writing = os.pipe()
    with os.fdopen(reading) as lines, forked.start(program, stdout=writing) as process:
        os.close(writing)
        for how in (signal.SIGINT, signal.SIGKILL):
            cores = [int(pid) for pid in lines.readline().split()]
            assert cores
            process.send_signal(how)
            _ended(cores, how)
        assert process.wait(60) == -signal.SIGKILL


def _ended(cores: list[int], how: signal.Signals) -> None:
    for _ in range(300):
        if not any(_runs(pid) for pid in cores):
            return
        time.sleep(0.1)
    for pid in cores:
        os.kill(pid, signal.SIGKILL)
    pytest.fail(f"engine cores {cores} outlived {how.name}")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    """The loop in which the engine of the file answers."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def engine(tiny_model: Path, loop: asyncio.Runner) -> Iterator[VllmEngine]:
    """One engine for the tests that need no other: to start one takes far longer than they do."""
    started = VllmEngine(str(tiny_model), {"dtype": "float32"})
    loop.run(started.start())
    yield started
    loop.run(started.close())


def test_answers_equal_those_of_transformers_and_a_bad_request_fails_alone(
    engine: VllmEngine, loop: asyncio.Runner, hf_answers: list[str]
) -> None:
    bad = request("<video>\nWhen?", video(99, 4, 40, 40))
    answers = loop.run(at_once(engine, [*standard(), bad, standard()[0]]))
    assert isinstance(answers[-2], EngineError)
    assert texts([*answers[:-2], answers[-1]]) == [*hf_answers, hf_answers[0]]
    first = answers[0]
    assert isinstance(first, Response)
    counter = Counter(engine.checkpoint)
    for asked, answer in zip(standard(), answers, strict=False):
        shown = [Shown(*clip.pixels.shape[:3], times=clip.times) for clip in asked.videos]
        assert isinstance(answer, Response)
        assert answer.usage["prompt_tokens"] == counter.prompt(asked.sample.question, shown)
    assert counter.basis == "text: the checkpoint's tokenizer"
    assert engine.describe()["settings"]["dtype"] == "float32"


def test_pictures_are_images_to_vllm_as_to_transformers(
    engine: VllmEngine, loop: asyncio.Runner, tiny_model: Path
) -> None:
    clip = video(1, 8, 64, 64)
    tall, wide = (replace(video(seed, 1, *size), reader="still") for seed, size in ((2, (96, 64)), (3, (32, 128))))
    requests = [
        request("<video>What is it?", tall),
        request("<video> or <video>? Then <video>", wide, clip, tall),
        request("No picture at all."),
        request("<video>The same frame, moving?", replace(tall, reader="images")),
    ]
    answers = texts(loop.run(at_once(engine, requests)))
    assert answers == texts(ask(make("hf", model=str(tiny_model), base_urls=(), args={"device": "cpu"}), requests))


def test_answers_of_a_form_and_the_likeliest_option_equal_those_of_transformers(
    engine: VllmEngine, loop: asyncio.Runner, tiny_model: Path
) -> None:
    forms = [Constraint(choices=("A", "B")), Constraint(choices=("1", "10", "yes")), Constraint(regex="[1-6]{3},[0-9]")]
    requests = [
        replace(asked, answers=answers, constraint=form)
        for asked in standard()[:2]
        for form in forms
        for answers in (("constrained", "likelihood") if form.choices else ("constrained",))
    ]
    ours = loop.run(at_once(engine, requests))
    theirs = ask(make("hf", model=str(tiny_model), base_urls=(), args={"device": "cpu"}), requests)
    assert texts(ours) == texts(theirs)
    for asked, one, two in zip(requests, ours, theirs, strict=True):
        assert isinstance(one, Response)
        assert isinstance(two, Response)
        assert one.finish_reason == two.finish_reason == "stop"
        assert one.option_logprobs.keys() == (set(asked.constraint.choices) if asked.answers == "likelihood" else set())
        for option, known in one.option_logprobs.items():
            assert known.tokens == two.option_logprobs[option].tokens
            assert known.logprob == pytest.approx(two.option_logprobs[option].logprob, abs=1e-3)


def test_patches_made_ahead_change_no_answer_and_are_made_once(
    engine: VllmEngine, loop: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer, made = engine._llm.renderer, []
    quick, plain = renderer.get_mm_processor(), type(renderer.get_mm_processor()).__base__
    cut = type(quick.patcher).__call__

    def counted(patcher: Any, frames: Any) -> Any:
        made.append(frames.shape)
        return cut(patcher, frames)

    questions = [f"<video>\n{word} moves?" for word in ("What", "Who", "How", "When")]
    requests = [request(question, video(70 + number % 2, 9, 64, 96)) for number, question in enumerate(questions)]
    loop.run(engine.generate(requests[0]))  # the proof of sight makes its own
    loop.run(engine._llm.reset_mm_cache())
    monkeypatch.setattr(type(quick.patcher), "__call__", counted)
    ours = loop.run(at_once(engine, requests))
    assert len(made) == 2, "two videos, four questions"
    loop.run(engine._llm.reset_mm_cache())
    loop.run(engine._llm.reset_prefix_cache())
    loop.run(engine._llm.reset_encoder_cache())
    monkeypatch.setattr(renderer, "mm_processor", plain(quick.info, quick.dummy_inputs))
    theirs = loop.run(at_once(engine, requests))
    assert texts(ours) == texts(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert isinstance(one, Response)
        assert isinstance(other, Response)
        assert one.shown == other.shown
        assert one.usage["prompt_tokens"] == other.usage["prompt_tokens"]


@pytest.mark.parametrize("wrong", [1, None])
def test_patches_that_differ_in_a_bit_or_fail_are_not_taken(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch, wrong: int | None
) -> None:
    own = engine._llm.renderer.get_mm_processor()
    plain = type(own).__base__(own.info, own.dummy_inputs)
    assert type(quick(plain, own.arguments)) is not type(plain)
    cut = Patcher.__call__

    def changed(patcher: Patcher, frames: Any) -> Any:
        if wrong is None:
            raise RuntimeError("another version")
        patches = cut(patcher, frames)
        patches[-1, -1] ^= wrong
        return patches

    monkeypatch.setattr(Patcher, "__call__", changed)
    assert quick(plain, own.arguments) is plain


def _cropped(clip: VideoInput) -> VideoInput:
    pixels = clip.pixels.copy()
    pixels[:, :8] = 0
    return replace(clip, pixels=pixels)


def _fewer(clip: VideoInput) -> VideoInput:
    return replace(clip, pixels=clip.pixels[::2].repeat(2, axis=0))


def _reordered(clip: VideoInput) -> VideoInput:
    return replace(clip, pixels=clip.pixels[::-1].copy())


FAULTS = {
    "cropped": (_cropped, "is cropped"),
    "reordered": (_reordered, "does not come after"),
    "sampled again": (_fewer, "does not reach"),
    "a second late": (lambda clip: replace(clip, times=tuple(time + 1 for time in clip.times)), "frame times"),
    "half as fast": (lambda clip: replace(clip, times=tuple(time / 2 for time in clip.times)), "frame times"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_model_that_is_shown_something_else_stops_the_run(
    engine: VllmEngine, loop: asyncio.Runner, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    change, said = FAULTS[fault]

    def changed(text: str, videos: Sequence[VideoInput], *more: Any) -> dict[str, Any]:
        return with_media(text, [change(clip) for clip in videos], *more)

    for module in ("engine", "prompt"):
        monkeypatch.setattr(f"viubench.engines.vllm.{module}.with_media", changed)
    frames = 6 + 2 * list(FAULTS).index(fault)  # of a shape that is not proven yet
    with pytest.raises(ViubenchError, match=said):
        loop.run(engine.generate(request("<video>\nWhat is it?", video(40, frames, 64, 96))))


def test_frames_that_would_be_resized_again_stop_the_run(
    engine: VllmEngine, loop: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("viubench.engines.vllm.prompt.arguments", lambda *_: {"do_sample_frames": False})
    with pytest.raises(ViubenchError, match="is resized"):
        loop.run(engine.generate(request("<video>\nWhat is it?", video(22, 6, 64, 64))))


def test_a_record_can_say_what_the_model_got_and_sampling_follows_its_seed(
    engine: VllmEngine, loop: asyncio.Runner
) -> None:
    asked = request("<video>\nWhen?", video(31, 8, 64, 64))
    drawn = [replace(asked, decoding=Decoding(max_tokens=12, temperature=1.0), seed=seed) for seed in (1, 1, 2)]
    answers = loop.run(at_once(engine, drawn))
    one, same, other = texts(answers)
    assert one == same != other
    first = answers[0]
    assert isinstance(first, Response)
    assert first.shown is not None
    assert (first.shown.kind, first.shown.tokens, first.shown.times) == ("video", 16, "prompt")
    assert 0 < (first.first_token or 0) <= first.seconds
    assert first.prompt_end.endswith("assistant\n")


def test_deterministic_answers_depend_on_their_request_alone(tiny_model: Path) -> None:
    """Six requests one by one, at once, and at once in another order: not a bit of a log-probability moves."""

    async def run() -> list[OrderRow]:
        async with VllmEngine(str(tiny_model), {"dtype": "float32"}, deterministic=True, logprobs=True) as engine:
            answer = await engine.generate(standard()[0])
            assert len(answer.logprobs) == answer.usage["completion_tokens"]
            assert all(value <= 0 for value in answer.logprobs)
            assert any(value < 0 for value in answer.logprobs)
            return [row async for row in compare(engine, standard(), 16)]

    rows = asyncio.run(run())
    assert [row.what for row in rows] == ["one at a time", "16 at once", "other order, 16 at once"]
    assert [(row.answers, row.logprob) for row in rows] == [(0.0, 0.0)] * 3


def test_a_checkpoint_that_does_not_load_is_said(tiny_model: Path, tmp_path: Path) -> None:
    for path in tiny_model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"head_dim": 64', '"head_dim": 48'))
    with pytest.raises(ViubenchError, match="vLLM could not open the model") as raised:
        asyncio.run(VllmEngine(str(tmp_path), {}).start())
    assert "AssertionError at `assert " in raised.value.message, "the core's own reason, not that there was one"
    assert raised.value.where == str(tmp_path.resolve())


def test_an_unknown_argument_is_refused(tiny_model: Path) -> None:
    with pytest.raises(ViubenchError, match="no argument 'max_model_length'") as raised:
        asyncio.run(VllmEngine(str(tiny_model), {"max_model_length": "9"}).start())
    assert raised.value.hint == "did you mean max_model_len?"
