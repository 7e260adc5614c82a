"""Adapters through the engines: what peft merges is what is asked, and nothing of an adapter is lost in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from engine_requests import ask, standard, texts

from viubench.engines import make, merging
from viubench.engines.base_models import describe
from viubench.engines.checkpoints import ADAPTER
from viubench.errors import ViubenchError

peft = pytest.importorskip("peft")

LAYERS = r".*(language_model.*\.(q_proj|down_proj)|visual.*\.(qkv|linear_fc1))"
"""Of both halves of the model: vLLM's own adapters would change one of them alone."""

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("VIUBENCH_CACHE", str(folder))
    return folder


@pytest.fixture(scope="module")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter of large random changes, as peft saves it."""
    return write_adapter(tiny_model, tmp_path_factory.mktemp("training") / "checkpoint-30")


@pytest.fixture(scope="module")
def merged(tiny_model: Path, adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user who merges by hand would give to the engine."""
    import transformers

    folder = tmp_path_factory.mktemp("by-hand")
    model = transformers.AutoModelForImageTextToText.from_pretrained(tiny_model)
    peft.PeftModel.from_pretrained(model, adapter).merge_and_unload().save_pretrained(folder)
    transformers.AutoProcessor.from_pretrained(tiny_model).save_pretrained(folder)
    return folder


def write_adapter(base: Path, to: Path, **more: Any) -> Path:
    import torch
    import transformers

    model = transformers.AutoModelForImageTextToText.from_pretrained(base)
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=LAYERS, **more)
    tuned = peft.get_peft_model(model, config)
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weights in tuned.named_parameters():
            if "lora_" in name:
                weights.copy_(torch.randn(weights.shape, generator=draws))
    tuned.save_pretrained(to)
    return to


@pytest.mark.parametrize("kind", ["hf", "vllm"])
def test_an_adapter_answers_as_the_model_that_was_merged_by_hand(
    kind: str, adapter: Path, merged: Path, tiny_model: Path, hf_answers: list[str]
) -> None:
    given = {"device": "cpu"} if kind == "hf" else {"dtype": "float32"}
    answers = texts(ask(make(kind, model=str(adapter), args=given), standard()))
    assert answers == texts(ask(make("hf", model=str(merged), args={"device": "cpu"}), standard()))
    assert answers != hf_answers


def test_the_merged_weights_are_made_once(adapter: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        merging.merge(describe(str(adapter)))
    assert [line for line in caplog.messages if "is an adapter: merging it into" in line] == caplog.messages[:1]
    assert len(caplog.messages) == 1


def test_what_a_killed_process_left_is_made_anew(adapter: Path) -> None:
    facts = describe(str(adapter))
    folder = Path(facts["path"])
    (folder / ".torn.part").mkdir()
    merging.merge(facts)
    assert not list(folder.glob(".*.part"))
    assert (folder / "model.safetensors").is_file()


def test_old_ones_leave_the_cache(
    tiny_model: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "IN_USE_S", 0.0)
    folders = []
    for alpha in (1, 2, 3):
        other = tmp_path / str(alpha)
        other.mkdir()
        for path in adapter.iterdir():
            (other / path.name).write_bytes(path.read_bytes())
        config = json.loads((adapter / "adapter_config.json").read_text())
        (other / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": alpha}))
        facts = describe(str(other))
        merging.merge(facts)
        folders.append(Path(facts["path"]))
    assert [(folder / "model.safetensors").is_file() for folder in folders] == [False, True, True]
    describe(str(tmp_path / "1"))
    merging.merge(describe(str(tmp_path / "1")))  # it is made again where it is asked for again
    assert (folders[0] / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda names: names | {"base_model.model.lost.lora_A.weight": next(iter(names.values()))}, "1 of its weights"),
        (lambda names: dict(list(names.items())[1:]), "1 layers of"),
        (lambda names: {name.replace("language_model", "lm"): value for name, value in names.items()}, "fit nowhere"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(change: Any, message: str, adapter: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    other = tmp_path / "other"
    other.mkdir()
    (other / "adapter_config.json").write_bytes((adapter / "adapter_config.json").read_bytes())
    save_file(change(load_file(adapter / ADAPTER)), other / ADAPTER)
    with pytest.raises(ViubenchError, match=message) as raised:
        merging.merge(describe(str(other)))
    assert "another model" in str(raised.value.hint)


def test_an_adapter_to_a_model_of_another_size_is_refused(adapter: Path, tmp_path: Path) -> None:
    from viubench.engines import tiny_checkpoints

    tiny_checkpoints.write(tmp_path / "larger", kind=tiny_checkpoints.LEARNER)
    with pytest.raises(ViubenchError, match="peft cannot merge it"):
        merging.merge(describe(str(adapter), str(tmp_path / "larger")))
