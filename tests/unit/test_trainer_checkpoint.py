"""Checkpoints: whole or not there, bit for bit the same when resumed, and opened by the engines like any model."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest

from trainer.checkpoints import checkpoint
from viubench.engines import make
from viubench.engines.base import Request, Response
from viubench.engines.hf import HfEngine
from viubench.errors import ViubenchError
from viubench.schema import Decoding, Sample
from viubench.video.frames import VideoInput

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> Path:
    return tiny_model


def opened(base: Path, lora: bool = False) -> tuple[Any, Any]:
    """The base model and an AdamW with two groups; with `lora` under an adapter with a trained norm beside it."""
    model = transformers.Qwen3VLForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    if lora:
        peft = pytest.importorskip("peft")
        torch.manual_seed(5)
        model = peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]))
        model.get_base_model().model.visual.merger.norm.weight.requires_grad_(True)
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [{"params": trained[:3], "weight_decay": 0.0}, {"params": trained[3:]}]
    return model, torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))


def train(model: Any, optimizer: Any, steps: int) -> None:
    """A toy loss that draws from all three generators, so that losing one of them shows."""
    for _ in range(steps):
        length = random.randint(6, 12)
        ids = torch.from_numpy(np.random.randint(0, 200, (2, length)))
        scores = model(input_ids=ids, mm_token_type_ids=torch.zeros_like(ids)).logits
        loss = ((scores - torch.randn_like(scores)) ** 2).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def seed(number: int) -> None:
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def bits(model: Any, optimizer: Any) -> dict[str, str]:
    """A hash of the bytes of every weight and every entry of the optimizer."""
    tensors = dict(model.state_dict())
    state = optimizer.state_dict()
    tensors |= {f"{n}.{name}": value for n, entry in state["state"].items() for name, value in entry.items()}
    content = {name: t.detach().numpy().tobytes() for name, t in tensors.items()}
    content["groups"] = repr(state["param_groups"]).encode()
    return {name: hashlib.blake2b(data, digest_size=8).hexdigest() for name, data in content.items()}


def saved(folder: Path, step: int, model: Any, optimizer: Any, base: Path, **other: Any) -> Path:
    given = {"config_hash": "c1", "extra": {"cursor": step}, "log": {"reward": 0.5}, "card": "# A card"} | other
    return checkpoint.save(folder, step=step, model=model, base=base, optimizer=optimizer, **given)


def refusal(*args: Any, config_hash: str = "c1") -> str:
    with pytest.raises(ViubenchError) as raised:
        checkpoint.restore(*args, config_hash=config_hash)
    return raised.value.message


@pytest.mark.parametrize("lora", [False, True])
def test_six_steps_equal_three_saved_restored_and_three(base: Path, tmp_path: Path, lora: bool) -> None:
    model, optimizer = opened(base, lora)
    seed(1)
    train(model, optimizer, 3)
    before = bits(model, optimizer)
    saved(tmp_path, 3, model, optimizer, base)
    assert bits(model, optimizer) == before, "saving must change nothing"
    optimizer.param_groups[0]["lr"] = 5e-4
    train(model, optimizer, 3)
    straight = bits(model, optimizer)

    model, optimizer = opened(base, lora)
    seed(99)
    train(model, optimizer, 1)
    back = checkpoint.restore(checkpoint.latest(tmp_path), model, optimizer, config_hash="c1")  # type: ignore[arg-type]
    assert back == {"step": 3, "config_hash": "c1", "extra": {"cursor": 3}, "log": {"reward": 0.5}}
    assert bits(model, optimizer) == before
    optimizer.param_groups[0]["lr"] = 5e-4
    train(model, optimizer, 3)
    assert bits(model, optimizer) == straight


def test_tied_weights_come_back_too(base: Path, tmp_path: Path) -> None:
    config = transformers.AutoConfig.from_pretrained(base)
    config.tie_word_embeddings = config.text_config.tie_word_embeddings = True
    torch.manual_seed(0)
    model = transformers.Qwen3VLForConditionalGeneration(config)
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    optimizer = torch.optim.AdamW(model.parameters())
    train(model, optimizer, 1)
    path, before = saved(tmp_path, 1, model, optimizer, base), bits(model, optimizer)
    train(model, optimizer, 1)
    checkpoint.restore(path, model, optimizer, config_hash="c1")
    assert bits(model, optimizer) == before


def kill_writers(base: Path, out: Path) -> None:
    """Prints how many kills came while something was written, and how many checkpoints were whole."""
    torch.set_num_threads(1)
    transformers.logging.disable_progress_bar()  # its lock is shared over forks: a killed one would never give it back
    model, optimizer = opened(base, lora=False)
    train(model, optimizer, 1)

    def save() -> Path:
        step = max([checkpoint.step_of(path) for path in checkpoint.complete(out)], default=0) + 1
        with torch.no_grad():
            next(model.parameters()).fill_(step)
        return saved(out, step, model, optimizer, base)

    moments = random.Random(7)
    seen, torn = set(), 0
    for turn in range(12):
        told, tell = os.pipe()
        child = os.fork()
        if not child:
            while True:
                os.write(tell, b"!")
                save()
        os.read(told, 1)
        if turn % 2:  # else within the first one
            os.read(told, 1)
        time.sleep(moments.uniform(0.0, 0.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        leftovers = set(out.glob(checkpoint.LEFTOVER))
        torn += bool(leftovers)
        assert len(leftovers) <= 1, leftovers
        assert set(out.glob("checkpoint-*")) == set(checkpoint.complete(out))
        for path in checkpoint.complete(out):
            if path not in seen:
                back = checkpoint.restore(path, model, optimizer, config_hash="c1")
                assert back["step"] == checkpoint.step_of(path) == next(model.parameters()).flatten()[0].item()
                seen.add(path)
    last = save()
    assert not list(out.glob(checkpoint.LEFTOVER))
    transformers.Qwen3VLForConditionalGeneration.from_pretrained(last)
    print(torn, len(seen))


def test_a_killed_writer_leaves_whole_checkpoints_only(base: Path, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out, (tmp_path / "errors").open("w") as errors:
        (tmp_path / "run").mkdir()
        code = forked.start(lambda: kill_writers(base, tmp_path / "run"), stdout=out, stderr=errors).wait()
    assert code == 0, (tmp_path / "errors").read_text()
    torn, whole = map(int, (tmp_path / "out").read_text().split())
    assert torn > 0, "no kill came while something was written: the test shows nothing"
    assert whole > 0, "no checkpoint was ever finished: the test shows nothing"


def asked() -> Request:
    pixels = np.random.default_rng(3).integers(0, 256, (8, 64, 64, 3), np.uint8)
    clip = VideoInput(pixels, 25.0, tuple(range(0, 96, 12)), tuple(n * 0.48 for n in range(8)), 96, 3.84)
    sample = Sample(id="s", task="t", cluster="c", clips=(), question="<video>\nWhen?", target=None, answer_text="")
    return Request(sample, (clip,), (clip.pixel_hash(),), Decoding(max_tokens=12))


def answer(engine: Any) -> str:
    async def run() -> Response:
        async with engine:
            return await engine.generate(asked())

    return asyncio.run(run()).text


class InMemory(HfEngine):
    """The hf engine over a model that was never written to disk."""

    def __init__(self, base: Path, model: Any) -> None:
        super().__init__(str(base), {"device": "cpu"})
        self._given = model

    async def start(self) -> None:
        await super().start()
        self._model = self._given.eval()


@pytest.mark.parametrize("lora", [False, True])
def test_it_opens_as_a_model_and_answers_like_the_one_in_memory(base: Path, tmp_path: Path, lora: bool) -> None:
    model, optimizer = opened(base, lora)
    for group in optimizer.param_groups:
        group["lr"] = 0.05 if lora else 0.01
    seed(2)
    train(model, optimizer, 2)
    path = saved(tmp_path, 2, model, optimizer, base, card="# Trained\n")
    there = answer(make("hf", model=str(path), base_urls=(), args={"device": "cpu"}))
    assert there == answer(InMemory(base, model))
    assert there != answer(HfEngine(str(base), {"device": "cpu"})), "training must have changed the answer"
    assert (path / "README.md").read_text() == "# Trained\n"
    for name in ("config.json", "generation_config.json", "tokenizer.json", "processor_config.json"):
        assert (path / name).read_bytes() == (base / name).read_bytes()
    assert not [p for p in path.rglob("*") if p.suffix in (".bin", ".pt", ".pth", ".pkl", ".pickle")]
    if lora:
        bare = pytest.importorskip("peft").PeftModel.from_pretrained(opened(base)[0], path / "adapter")
        trained = {name: t for name, t in model.state_dict().items() if "lora_" in name}
        assert trained
        assert all(torch.equal(bare.state_dict()[name], t) for name, t in trained.items())


def test_an_adapter_is_not_restored_into_a_model_without_one(base: Path, tmp_path: Path) -> None:
    model, optimizer = opened(base, lora=True)
    path = saved(tmp_path, 1, model, optimizer, base)
    assert (path / "adapter" / "adapter_model.safetensors").is_file()
    assert checkpoint.complete(tmp_path) == [path]
    assert "holds an adapter" in refusal(path, *opened(base))


def test_damage_and_other_runs_are_refused_and_change_nothing(base: Path, tmp_path: Path) -> None:
    model, optimizer = opened(base)
    train(model, optimizer, 1)
    first, second, third = (saved(tmp_path, step, model, optimizer, base) for step in (1, 2, 3))
    train(model, optimizer, 1)
    before, generator = bits(model, optimizer), torch.get_rng_state()
    assert "another configuration" in refusal(first, model, optimizer, config_hash="c2")
    weights = second / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    assert "model.safetensors of checkpoint-000002 is damaged" in refusal(second, model, optimizer)
    moments = third / "trainer" / "optimizer.safetensors"
    moments.write_bytes(moments.read_bytes()[:-1] + b"\x55")
    assert "optimizer.safetensors of checkpoint-000003 is damaged" in refusal(third, model, optimizer)
    (first / "trainer" / "random.safetensors").unlink()
    assert "random.safetensors of checkpoint-000001 is missing" in refusal(first, model, optimizer)
    (third / "trainer" / "files.json").write_text("[]")
    assert "list of files does not read" in refusal(third, model, optimizer)
    assert checkpoint.complete(tmp_path) == []
    assert bits(model, optimizer) == before
    assert torch.equal(torch.get_rng_state(), generator)


def test_other_parameters_are_refused(base: Path, tmp_path: Path) -> None:
    model, optimizer = opened(base)
    train(model, optimizer, 1)
    path = saved(tmp_path, 1, model, optimizer, base)
    before = bits(model, optimizer)
    assert "other parameters" in refusal(path, model, torch.optim.AdamW(model.parameters()))
    assert "other parameters" in refusal(path, model, torch.optim.SGD(model.parameters()))
    assert bits(model, optimizer) == before
    other, its = opened(base)
    assert "another model" in refusal(path, other.to(torch.bfloat16), its)
    assert "has no adapter" in refusal(path, *opened(base, lora=True))


def test_what_is_no_json_or_there_already_is_refused_and_leaves_nothing(base: Path, tmp_path: Path) -> None:
    model, optimizer = opened(base)
    for log in ({"loss": float("nan")}, {"loss": object()}):
        with pytest.raises(ViubenchError, match="no JSON"):
            saved(tmp_path, 1, model, optimizer, base, log=log)
    assert list(tmp_path.iterdir()) == []
    path = saved(tmp_path, 1, model, optimizer, base)
    listed = json.loads((path / "trainer" / "files.json").read_text())
    with pytest.raises(ViubenchError, match="exists already"):
        saved(tmp_path, 1, model, optimizer, base)
    assert json.loads((path / "trainer" / "files.json").read_text()) == listed


def stub(folder: Path, step: int) -> str:
    """A checkpoint as far as its list of files goes."""
    path = folder / f"checkpoint-{step:06d}"
    (path / "trainer").mkdir(parents=True)
    (path / "trainer" / "state.json").write_text("{}")
    (path / "trainer" / "files.json").write_text('{"trainer/state.json": [2, ""]}')
    return path.name


def test_prune_keeps_the_last_and_the_best(tmp_path: Path) -> None:
    names = [stub(tmp_path, step) for step in (10, 20, 30, 40, 50, 1_000_000)]
    (tmp_path / "notes").mkdir()
    torn = tmp_path / stub(tmp_path, 5)
    (torn / "trainer" / "state.json").unlink()
    scores = {names[0]: 0.7, names[1]: 0.8, names[2]: 0.8, names[3]: float("nan"), "checkpoint-000099": 0.9}
    assert checkpoint.prune(tmp_path, 2, scores) == [names[0], names[2], names[3]]
    assert [path.name for path in checkpoint.complete(tmp_path)] == [names[1], names[4], names[5]]
    assert checkpoint.latest(tmp_path) == tmp_path / names[5], "by number, not by name"
    assert checkpoint.prune(tmp_path, 1, {}) == [names[1], names[4]]
    with pytest.raises(ViubenchError, match="keep_last is 0"):
        checkpoint.prune(tmp_path, 0, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([names[5], torn.name, "notes"])
    assert checkpoint.complete(tmp_path / "nowhere") == []
    assert checkpoint.latest(tmp_path / "nowhere") is None
