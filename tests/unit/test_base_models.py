"""Checkpoints that lack something: what is taken from their base model, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import checkpoint_folders as folders
import numpy as np
import pytest
from safetensors.numpy import save_file

from viubench.engines import checkpoints
from viubench.engines.base_models import describe, fingerprint
from viubench.errors import ViubenchError
from viubench.watch.checkpoints import find, incomplete


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "checkpoints"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return folders.write(tmp_path / "base")


def write_adapter(folder: Path, base: Path | str | None, value: float = 0.0, **config: Any) -> Path:
    folder.mkdir(parents=True)
    given = {"base_model_name_or_path": None if base is None else str(base), "peft_type": "LORA", **config}
    (folder / checkpoints.ADAPTER_CONFIG).write_text(json.dumps(given))
    save_file({"q.lora_A.weight": np.full((2, 2), value, np.float32)}, folder / checkpoints.ADAPTER)
    return folder


def without(folder: Path, to: Path, *patterns: str) -> Path:
    """A copy of a checkpoint that lacks some files."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns(*patterns))
    return to


def test_an_adapter_is_described_by_its_base_model(base: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "checkpoint-7", base)
    facts, whole = describe(str(adapter)), describe(str(base))
    assert (facts["name"], facts["base"]) == ("checkpoint-7", "base")
    assert {facts[name] == whole[name] for name in ("architecture", "model_type", "size_multiple", "context")} == {True}
    assert facts["fingerprint"] == fingerprint(adapter) != whole["fingerprint"]
    names = {path.name for path in Path(facts["path"]).iterdir()}
    assert {"config.json", "tokenizer.json"} < names
    assert not {name for name in names if name.endswith(".safetensors")}  # they come when an engine starts


def test_other_weights_or_another_base_are_another_model(base: Path, tmp_path: Path) -> None:
    other_base = folders.write(tmp_path / "other", seed=3)
    made = {
        fingerprint(write_adapter(tmp_path / "a", base)),
        fingerprint(write_adapter(tmp_path / "b", base, 1.0)),
        fingerprint(write_adapter(tmp_path / "c", base, lora_alpha=4)),
        fingerprint(tmp_path / "a", str(other_base)),
    }
    assert len(made) == 4
    assert fingerprint(tmp_path / "a", str(base)) == fingerprint(tmp_path / "a")


def test_files_of_the_adapter_come_before_those_of_its_base_model(base: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "checkpoint-7", base)
    (adapter / "tokenizer.json").write_text('{"own": 1}')
    (adapter / "config.json").write_text("{}")
    (adapter / "optimizer.pt").touch()
    joined = Path(describe(str(adapter))["path"])
    assert json.loads((joined / "tokenizer.json").read_text()) == {"own": 1}
    assert json.loads((joined / "config.json").read_text()) == {"model_type": "none"}
    assert not (joined / "optimizer.pt").exists()


@pytest.mark.parametrize(
    ("named", "message", "hint"),
    [
        (None, "does not say which model it was trained on", "--base-model"),
        ("/gone/Qwen3-VL", "an adapter to /gone/Qwen3-VL, which cannot be opened: no such checkpoint", "--base-model"),
    ],
)
def test_a_base_model_that_is_not_there_is_asked_for(
    named: str | None, message: str, hint: str, base: Path, tmp_path: Path
) -> None:
    adapter = write_adapter(tmp_path / "checkpoint-7", named)
    with pytest.raises(ViubenchError, match=message) as raised:
        describe(str(adapter))
    assert hint in str(raised.value.hint)
    assert message in incomplete(adapter)
    assert describe(str(adapter), str(base))["base"] == "base"
    assert not incomplete(adapter, str(base))


def test_a_base_model_that_is_named_wrongly_is_told(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ViubenchError, match="no such checkpoint folder") as raised:
        describe(str(write_adapter(tmp_path / "a", base)), "/gone")
    assert raised.value.where == "--base-model"


def test_quantised_weights_take_no_adapter(base: Path, tmp_path: Path) -> None:
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "bitsandbytes"}}))
    with pytest.raises(ViubenchError, match="base has bitsandbytes weights") as raised:
        describe(str(write_adapter(tmp_path / "a", base)))
    assert "--base-model" in str(raised.value.hint)


def test_pickled_and_torn_adapters_are_refused(base: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "a", base)
    whole = (adapter / checkpoints.ADAPTER).read_bytes()
    (adapter / checkpoints.ADAPTER).write_bytes(whole[:-4])
    with pytest.raises(ViubenchError, match="torn weights"):
        describe(str(adapter))
    (adapter / checkpoints.ADAPTER).rename(adapter / "adapter_model.bin")
    with pytest.raises(ViubenchError, match=r"an adapter without adapter_model\.safetensors") as raised:
        describe(str(adapter))
    assert "pickled" in str(raised.value.hint)


def test_tokenizer_and_processor_come_from_the_base_model(base: Path, tmp_path: Path) -> None:
    bare = without(base, tmp_path / "checkpoint-7", "tokenizer*", "*processor*", "chat_template*")
    with pytest.raises(ViubenchError, match="lacks a tokenizer") as raised:
        describe(str(bare))
    assert "--base-model" in str(raised.value.hint)
    facts = describe(str(bare), str(base))
    joined = Path(facts["path"])
    assert (joined / "tokenizer.json").resolve() == (base / "tokenizer.json").resolve()
    assert (joined / "model.safetensors").resolve() == (bare / "model.safetensors").resolve()
    assert (facts["name"], facts["base"]) == ("checkpoint-7", "base")
    assert facts["fingerprint"] == fingerprint(bare, str(base))
    assert incomplete(bare)
    assert not incomplete(bare, str(base))


def test_a_whole_checkpoint_takes_nothing(base: Path, tmp_path: Path) -> None:
    (base / "chat_template.jinja").write_text("{{ messages }}")
    other = folders.write(tmp_path / "other", seed=3)
    assert describe(str(base), str(other)) == describe(str(base))
    assert fingerprint(base, str(other)) == checkpoints.fingerprint(base)


def test_a_template_among_the_settings_of_the_base_model_s_tokenizer_is_taken(base: Path, tmp_path: Path) -> None:
    bare = without(base, tmp_path / "checkpoint-7", "chat_template*")
    (bare / "tokenizer_config.json").write_text("{}")
    (base / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    for name in base.glob("chat_template*"):
        name.unlink()
    joined = Path(describe(str(bare), str(base))["path"])
    assert (joined / "chat_template.jinja").read_text() == "{{ messages }}"
    assert json.loads((joined / "tokenizer_config.json").read_text()) == {}


def test_what_neither_has_is_still_lacking(base: Path, tmp_path: Path) -> None:
    bare = without(base, tmp_path / "checkpoint-7", "tokenizer*", "model.safetensors")
    with pytest.raises(ViubenchError, match=r"weights as \.safetensors"):
        describe(str(bare), str(base))


def test_the_place_in_the_cache_follows_the_files(base: Path, tmp_path: Path, cache: Path) -> None:
    adapter = write_adapter(tmp_path / "a", base)
    first = describe(str(adapter))["path"]
    assert describe(str(adapter))["path"] == first
    save_file({"q.lora_A.weight": np.ones((2, 2), np.float32)}, adapter / checkpoints.ADAPTER)
    assert describe(str(adapter))["path"] != first
    assert not list(cache.glob(".*"))


def test_a_watch_finds_adapters_of_several_trainers(base: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path / "runs" / "checkpoint-10", base)
    inner = write_adapter(tmp_path / "runs" / "global_step_20" / "actor" / "lora_adapter", base)
    without(base, tmp_path / "runs" / "global_step_20" / "actor" / "huggingface", "*.safetensors")
    found = find(tmp_path / "runs")
    assert [(one.step, one.model) for one in found] == [(10, tmp_path / "runs" / "checkpoint-10"), (20, inner)]
    assert not any(incomplete(one.model) for one in found)


def test_a_cache_that_cannot_be_written_is_told(
    base: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.mkdir()
    cache.write_text("")
    with pytest.raises(ViubenchError, match="cannot write to"):
        describe(str(write_adapter(tmp_path / "a", base)))


def test_the_revision_of_the_base_model_is_asked_for(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    def fetched(name: str, revision: str | None = None, **_: Any) -> str:
        return str(shutil.copytree(base, tmp_path / f"{name.replace('/', '-')}-{revision}"))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetched)
    facts = describe(str(write_adapter(tmp_path / "a", "some/base", revision="abc")))
    assert (facts["base"], Path(facts["base_path"]).name) == ("some/base", "some-base-abc")


def test_an_adapter_to_an_adapter_is_to_be_merged_first(base: Path, tmp_path: Path) -> None:
    first = write_adapter(tmp_path / "a", base)
    with pytest.raises(ViubenchError, match="an adapter to") as raised:
        describe(str(write_adapter(tmp_path / "b", first)))
    assert "merged first" in str(raised.value.hint)


def test_an_adapter_in_a_folder_of_the_one_named_is_pointed_out(base: Path, tmp_path: Path) -> None:
    inner = write_adapter(tmp_path / "training" / "default", base)
    with pytest.raises(ViubenchError, match="it holds 1 folders with models") as raised:
        describe(str(tmp_path / "training"))
    assert str(inner) in str(raised.value.hint)
