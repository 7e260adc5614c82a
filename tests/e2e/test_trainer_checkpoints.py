"""The checkpoints of a run: the last and the best stay, no kill costs one, no two runs are mixed, engines open them."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest
from tiny_training import FINETUNING, Stop, Vowels, config, go, stop_after, untimed, weights

from trainer import grpo, stage
from trainer.checkpoints import checkpoint
from trainer.checkpoints.metrics_log import read
from trainer.config import TrainConfig
from trainer.grpo import VideoGRPOTrainer
from trainer.rewards import Diagnostics
from trainer.stage import StageTrainer
from viubench.engines import make, tiny_checkpoints
from viubench.engines.base import Request, Response
from viubench.engines.hf import HfEngine
from viubench.errors import ViubenchError
from viubench.schema import Decoding, Sample
from viubench.video.frames import VideoInput

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.engine


def test_the_last_and_the_best_checkpoint_stay(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    scores = iter([0.3, 0.9, 0.5, 0.6, 0.2])

    def validate(*_: Any) -> dict[str, Diagnostics]:
        return {"few": Diagnostics(next(scores), 0, 1, 0, 1, 0.1, 3, ("a",))}

    monkeypatch.setattr(stage, "validate", validate)
    chosen = config(world, tiny_model, max_steps=5, save_steps=1, save_total_limit=2, eval_steps=9)
    go(chosen, world, tmp_path / "run")
    assert [path.name[-1] for path in checkpoint.complete(tmp_path / "run")] == ["2", "4", "5"]
    assert stage.best(tmp_path / "run") == (tmp_path / "run" / "checkpoint-000002", 0.9)
    card = (tmp_path / "run" / "checkpoint-000002" / "README.md").read_text()
    assert "| few | 0.900 | 0.000 |" in card
    scores = iter([0.9, 0.3, 0.5, 0.6, 0.2])
    saving = {"save_steps": 1, "save_total_limit": 1, "save_best": False}
    last = config(world, tiny_model, max_steps=5, eval_steps=9, **saving)
    go(last, world, tmp_path / "last")
    assert [path.name[-1] for path in checkpoint.complete(tmp_path / "last")] == ["5"]


def killed(chosen: TrainConfig, world: Path, out: Path, kind: type, method: str, at: int) -> None:
    """Train in a process that is killed when it has done, for step `at`, what `method` does."""

    def program() -> None:
        done = getattr(kind, method)

        def dying(self: Any, *given: Any, **named: Any) -> Any:
            result = done(self, *given, **named)
            if self.state.global_step == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(kind, method, dying)
        go(chosen, world, out)

    with (out.parent / "printed").open("w") as printed:
        code = forked.start(program, stdout=printed, stderr=printed).wait(120)
    assert code == -signal.SIGKILL, (out.parent / "printed").read_text()


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_a_kill_in_the_middle_of_a_save_loses_nothing(
    kind: str, tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First while transformers writes, then when only the new name is missing; each time resumed to the same bytes."""
    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    chosen = config(world, tiny_model, finetuning=FINETUNING[kind], beta=0.1)
    whole = weights(go(chosen, world, tmp_path / "whole"))
    run = tmp_path / "run"
    killed(chosen, world, run, VideoGRPOTrainer, "_save_optimizer_and_scheduler", at=2)
    assert (run / stage.WRITTEN / "checkpoint-2" / "optimizer.pt").is_file()
    assert not checkpoint.complete(run)
    killed(chosen, world, run, StageTrainer, "_complete", at=4)
    assert [path.name for path in checkpoint.complete(run)] == ["checkpoint-000002"]
    assert list(run.glob(checkpoint.LEFTOVER))
    ended = weights(go(chosen, world, run))
    assert all(torch.equal(one, ended[name]) for name, one in whole.items())
    for step in ("checkpoint-000002", "checkpoint-000004"):
        for name in ("model.safetensors", "optimizer.pt"):
            assert (run / step / name).read_bytes() == (tmp_path / "whole" / step / name).read_bytes()
    assert untimed(read(run)) == untimed(read(tmp_path / "whole"))
    assert not (run / stage.WRITTEN).exists()
    assert not list(run.glob(checkpoint.LEFTOVER))


def test_another_run_is_not_mixed_in(tiny_model: Path, world: Path, tmp_path: Path) -> None:
    chosen = config(world, tiny_model, max_steps=3)
    with pytest.raises(Stop):
        go(chosen, world, tmp_path / "run", stop_after(2))
    with pytest.raises(ViubenchError, match="another configuration"):
        go(config(world, tiny_model, max_steps=3, learning_rate=0.02), world, tmp_path / "run")
    other = tmp_path / "model"
    tiny_checkpoints.write(other, seed=1)
    with pytest.raises(ViubenchError, match="another configuration"):
        go(config(world, other, max_steps=3), world, tmp_path / "run")
    renamed = config(world, tiny_model, max_steps=3, checks={"on_collapse": "stop"}, run_name="renamed")
    go(renamed, world, tmp_path / "run")


def test_what_an_out_of_memory_asks_for_may_change_on_a_resume(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other micro-batches and full sequences round otherwise; the questions and, at first, the answers are the same."""
    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    go(config(world, tiny_model, max_steps=6), world, tmp_path / "whole")
    with pytest.raises(Stop):
        go(config(world, tiny_model), world, tmp_path / "run", stop_after(2))
    changed = config(world, tiny_model, max_steps=6, micro_batch_size=2, gradient_checkpointing=True)
    go(changed, world, tmp_path / "run")
    lines, expected = (read(tmp_path / name) for name in ("run", "whole"))
    assert [line["step"] for line in lines] == list(range(6))
    assert lines[2]["few/reward"] == expected[2]["few/reward"]
    assert lines[2]["grad_norm"] == pytest.approx(expected[2]["grad_norm"], rel=1e-3)


def test_one_process_at_a_time_trains_into_a_folder(tiny_model: Path, world: Path, tmp_path: Path) -> None:
    chosen = config(world, tiny_model, max_steps=1)

    def second(told: dict[str, Any]) -> None:
        with pytest.raises(ViubenchError, match="another process is training into"):
            go(chosen, world, tmp_path / "run")
        told["second"] = True

    told: list[dict[str, Any]] = []
    go(chosen, world, tmp_path / "run", lambda line: (second(line), told.append(line))[0])
    assert told[0]["second"]


# --- opened as a model ------------------------------------------------------------------------------------------------


def answer(engine: Any) -> str:
    pixels = np.random.default_rng(3).integers(0, 256, (8, 64, 64, 3), np.uint8)
    clip = VideoInput(pixels, 25.0, tuple(range(0, 96, 12)), tuple(n * 0.48 for n in range(8)), 96, 3.84)
    sample = Sample(id="s", task="t", cluster="c", clips=(), question="<video>\nWhen?", target=None, answer_text="")
    request = Request(sample, (clip,), (clip.pixel_hash(),), Decoding(max_tokens=12))

    async def run() -> Response:
        async with engine:
            return await engine.generate(request)

    return asyncio.run(run()).text


class InMemory(HfEngine):
    """The hf engine over a model that was never written to disk."""

    def __init__(self, base: Path, model: Any) -> None:
        super().__init__(str(base), {"device": "cpu"})
        self._given = model

    async def start(self) -> None:
        await super().start()
        self._model = self._given.eval()


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_it_opens_as_a_model_and_answers_like_the_one_in_memory(
    kind: str, tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    rate = 0.05 if kind == "lora" else 0.01
    policy = go(config(world, tiny_model, finetuning=FINETUNING[kind], learning_rate=rate), world, tmp_path / "run")
    path = checkpoint.latest(tmp_path / "run")
    assert path is not None
    there = answer(make("hf", model=str(path), base_urls=(), args={"device": "cpu"}))
    assert there == answer(InMemory(tiny_model, policy.base))
    assert there != answer(HfEngine(str(tiny_model), {"device": "cpu"})), "training must have changed the answer"
    for name in ("config.json", "generation_config.json", "tokenizer.json", "processor_config.json"):
        assert (path / name).read_bytes() == (tiny_model / name).read_bytes()
    assert "viubench run --model" in (path / "README.md").read_text()
    if kind == "lora":
        from transformers import AutoModelForImageTextToText

        peft = pytest.importorskip("peft")
        bare = AutoModelForImageTextToText.from_pretrained(tiny_model)
        adapted = peft.PeftModel.from_pretrained(bare, path / "adapter")
        merged = AutoModelForImageTextToText.from_pretrained(path)
        ids = torch.arange(40)[None] + 60
        types = torch.zeros_like(ids)
        scores = [model(input_ids=ids, mm_token_type_ids=types).logits for model in (adapted, merged)]
        assert (scores[0] - scores[1]).abs().max() < 1e-4
        monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path / "cache"))
        adapter = make("hf", model=str(path / "adapter"), args={"device": "cpu"}, base_model=str(tiny_model))
        assert answer(adapter) == there, "its adapter is merged into the same model"
