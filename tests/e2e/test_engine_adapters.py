"""Adapters through the engines: what peft merges is what is asked, and nothing of an adapter is lost in silence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import inprocess
import pytest
from engine_requests import ask, standard, texts

from viubench.engines import make, merging
from viubench.engines.base_models import describe, fingerprint
from viubench.engines.checkpoints import ADAPTER
from viubench.errors import ViubenchError
from viubench.storage.run_dir import read_manifest
from viubench.watch.history import read

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
    config = peft.LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": LAYERS} | more)
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
        (
            lambda names: names | {"base_model.model.lost.lora_A.weight": next(iter(names.values())).clone()},
            "1 of its weights",
        ),
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


def test_an_adapter_of_older_names_is_merged(tmp_path: Path) -> None:
    """transformers called the layers of Qwen2.5-VL otherwise before 4.52."""
    from safetensors.torch import load_file, save_file

    from viubench.engines import tiny_checkpoints

    base = tmp_path / "base"
    tiny_checkpoints.write(base, family="qwen2_5_vl")
    new, old = write_adapter(base, tmp_path / "new", target_modules=r".*\.(q_proj|qkv)"), tmp_path / "old"
    shutil.copytree(new, old)
    names = {"model.model.language_model.": "model.model.", "model.model.visual.": "model.visual."}
    weights = load_file(new / ADAPTER)
    for present, former in names.items():
        weights = {name.replace(present, former): value for name, value in weights.items()}
    assert weights.keys().isdisjoint(load_file(new / ADAPTER))
    save_file(weights, old / ADAPTER)
    first, second = (merging.merged(one, str(base)).state_dict() for one in (new, old))
    assert all(first[name].equal(second[name]) for name in first)


def test_an_adapter_to_a_model_of_another_size_is_refused(adapter: Path, tmp_path: Path) -> None:
    from viubench.engines import tiny_checkpoints

    tiny_checkpoints.write(tmp_path / "larger", kind=tiny_checkpoints.LEARNER)
    with pytest.raises(ViubenchError, match="peft cannot merge it"):
        merging.merge(describe(str(adapter), str(tmp_path / "larger")))


def test_a_watch_evaluates_adapters(
    adapter: Path, tiny_model: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The adapter was trained elsewhere: the model that it names is not on this machine."""
    moved = tmp_path / "training" / adapter.name
    shutil.copytree(adapter, moved)
    config = json.loads((moved / "adapter_config.json").read_text())
    (moved / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "/elsewhere/model"}))
    items = tmp_path / "items"
    inprocess.viubench("build", "--recipe", "viubench-mini", "--n", 1, "--videos", clips, "--out", items)
    done = inprocess.command(
        "watch", moved.parent, "--tasks", items, "--engine", "hf", "--base-model", tiny_model, "--once",
        "--settle", 0,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (entry,) = read(moved.parent / "watch")
    assert (entry.status, entry.step, entry.reason) == ("evaluated", 30, "")
    model = read_manifest(moved.parent / "watch" / entry.run).model
    assert (model["name"], model["base"]) == (adapter.name, tiny_model.name)
    assert model["fingerprint"] == entry.fingerprint == fingerprint(moved, str(tiny_model))
