"""Merging where a sum alone is not enough: shared weights, changed files, settings and places that do not take part."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from viubench.engines import merging, processors, tiny_checkpoints
from viubench.engines.base_models import describe
from viubench.errors import ViubenchError

peft = pytest.importorskip("peft")

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose output has the weights of its embeddings, as the small ones of many families have."""
    folder = tmp_path_factory.mktemp("models") / "tied"
    tiny_checkpoints.write(folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["tie_word_embeddings"] = True
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def train(base: Path, to: Path, **config: Any) -> Any:
    """An adapter with random changes, and the logits of the model as it was trained."""
    import torch

    tuned = peft.get_peft_model(processors.open_model(str(base)), peft.LoraConfig(r=4, **config))
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in tuned.parameters():
            if weights.requires_grad:
                weights.add_(0.3 * torch.randn(weights.shape, generator=draws))
    tuned.save_pretrained(to)
    return logits(tuned)


def logits(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model.eval()(input_ids=torch.arange(5, 25)[None]).logits


@pytest.mark.parametrize(
    ("config", "stays_tied"),
    [
        ({"target_modules": ["q_proj"]}, True),
        ({"target_modules": ["q_proj", "lm_head"]}, False),
        ({"target_modules": ["q_proj", "embed_tokens"]}, False),
        ({"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}, False),
        ({"target_modules": ["q_proj"], "trainable_token_indices": [5, 6, 7]}, True),
    ],
)
def test_weights_that_are_shared_are_changed_where_the_training_did(
    config: dict[str, Any], stays_tied: bool, tied: Path, tmp_path: Path
) -> None:
    import torch

    trained = train(tied, tmp_path / "adapter", **config)
    facts = describe(str(tmp_path / "adapter"))
    merging.merge(facts)
    torch.testing.assert_close(logits(processors.open_model(facts["path"])), trained, rtol=1e-3, atol=1e-3)
    said = json.loads(Path(facts["path"], "config.json").read_text())
    assert said["tie_word_embeddings"] == said["text_config"]["tie_word_embeddings"] == stays_tied
    assert json.loads((tied / "config.json").read_text())["tie_word_embeddings"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"peft_type": "OF_TOMORROW"}, "its peft_type is OF_TOMORROW"),
        ({"use_magic": True}, "it sets use_magic"),
        ({"peft_type": "PROMPT_TUNING"}, "a PROMPT_TUNING adapter changes no weights"),
    ],
)
def test_what_peft_would_leave_out_is_refused(
    changed: dict[str, Any], message: str, tied: Path, tmp_path: Path
) -> None:
    train(tied, tmp_path / "adapter", target_modules=["q_proj"])
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(config | {"unused": None} | changed))
    with pytest.raises(ViubenchError, match=message) as raised:
        merging.merge(describe(str(tmp_path / "adapter")))
    assert raised.value.hint


def test_an_adapter_that_changes_before_it_is_merged_is_not_kept(tied: Path, tmp_path: Path) -> None:
    train(tied, tmp_path / "adapter", target_modules=["q_proj"])
    facts = describe(str(tmp_path / "adapter"))
    shutil.rmtree(tmp_path / "adapter")
    train(tied, tmp_path / "adapter", target_modules=["v_proj"])
    with pytest.raises(ViubenchError, match="changed while they were merged"):
        merging.merge(facts)
    assert not list(Path(facts["path"]).glob("*.safetensors"))


def test_a_full_disk_is_told(tied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tied, tmp_path / "adapter", target_modules=["q_proj"])
    monkeypatch.setattr(merging, "merged", lambda *_: Full())
    with pytest.raises(ViubenchError, match="cannot be written: I/O error") as raised:
        merging.merge(describe(str(tmp_path / "adapter")))
    assert "VIUBENCH_CACHE" in str(raised.value.hint)


class Full:
    def save_pretrained(self, folder: Path) -> None:
        raise SafetensorError("I/O error: No space left on device")


def test_a_cache_that_is_read_only_gives_what_is_in_it(
    tied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tied, tmp_path / "adapter", target_modules=["q_proj"])
    facts = describe(str(tmp_path / "adapter"))
    monkeypatch.setattr(merging, "FileLock", _refusing(merging.FileLock))
    with pytest.raises(ViubenchError, match="Read-only file system"):
        merging.merge(facts)
    monkeypatch.undo()
    merging.merge(facts)
    monkeypatch.setattr(merging, "FileLock", _refusing(merging.FileLock))
    merging.merge(facts)


def _refusing(_: Any) -> Callable[..., Any]:
    def lock(*_: Any, **__: Any) -> Any:
        raise OSError(30, "Read-only file system")

    return lock
