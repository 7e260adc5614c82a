"""Checkpoint folders read without torch: what is missing is said, and the fingerprint follows the bytes."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from viubench.engines import checkpoints, processors
from viubench.engines.checkpoints import describe_checkpoint
from viubench.errors import ViubenchError


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    header: dict[str, Any] = {}
    data = b""
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + tensor.nbytes],
        }
        data += tensor.astype(np.float32).tobytes()
    encoded = json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + data)


CONFIG = {
    "architectures": ["Qwen3VLForConditionalGeneration"],
    "model_type": "qwen3_vl",
    "text_config": {
        "max_position_embeddings": 4096,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "hidden_size": 128,
    },
    "vision_config": {"patch_size": 16, "spatial_merge_size": 2},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "some-model"
    made.mkdir()
    (made / "config.json").write_text(json.dumps(CONFIG))
    (made / "tokenizer.json").write_text("{}")
    (made / "preprocessor_config.json").write_text("{}")
    write_safetensors(made / "model.safetensors", {"a": np.zeros(8192, np.float32), "b": np.ones(8192, np.float32)})
    return made


def test_what_is_read(folder: Path) -> None:
    found = describe_checkpoint(str(folder))
    assert found["name"] == "some-model"
    assert found["architecture"] == "Qwen3VLForConditionalGeneration"
    assert (found["size_multiple"], found["context"], found["cache_values"]) == (32, 4096, 2 * 2 * 2 * 64)
    assert len(found["fingerprint"]) == 32
    assert "revision" not in found


def test_size_multiple_falls_back_to_the_processor(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(CONFIG | {"vision_config": {}}))
    (folder / "preprocessor_config.json").write_text(json.dumps({"patch_size": 14, "merge_size": 2}))
    assert describe_checkpoint(str(folder))["size_multiple"] == 28


@pytest.mark.parametrize("whole", [True, False])
def test_the_fingerprint_follows_every_tensor(folder: Path, monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    if not whole:
        monkeypatch.setattr(checkpoints, "WHOLE_BYTES", 0)
    weights = [folder / "model.safetensors"]
    first = checkpoints.fingerprint(folder)
    copy = folder.parent / "copy"
    shutil.copytree(folder, copy)
    assert checkpoints.fingerprint(copy) == first
    data = bytearray(weights[0].read_bytes())
    data[-1] ^= 1
    weights[0].write_bytes(data)
    assert checkpoints.fingerprint(folder) != first


def test_the_fingerprint_follows_the_chat_template(folder: Path) -> None:
    first = checkpoints.fingerprint(folder)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert checkpoints.fingerprint(folder) != first


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("config.json", "no config.json"),
        ("tokenizer.json", "a tokenizer"),
        ("preprocessor_config.json", "a processor"),
        ("model.safetensors", "weights as .safetensors"),
    ],
)
def test_what_is_missing_is_named(folder: Path, lost: str, said: str) -> None:
    (folder / lost).unlink()
    with pytest.raises(ViubenchError, match=said) as raised:
        describe_checkpoint(str(folder))
    assert raised.value.where == str(folder)


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(ViubenchError, match="can run code"):
        describe_checkpoint(str(folder))


def test_a_missing_shard_is_named(folder: Path) -> None:
    shards = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(shards))
    with pytest.raises(ViubenchError, match=r"1 of 2 weight files \(model-00002-of-00002.safetensors\)"):
        describe_checkpoint(str(folder))


def test_parts_of_the_weights_are_counted_without_a_list_too(folder: Path) -> None:
    whole = folder / "model.safetensors"
    for number in (3, 1):
        shutil.copy(whole, folder / f"model-{number:05}-of-00003.safetensors")
    whole.unlink()
    with pytest.raises(ViubenchError, match=r"1 of 3 weight files \(number 2\)"):
        describe_checkpoint(str(folder))
    shutil.copy(folder / "model-00001-of-00003.safetensors", folder / "model-00002-of-00003.safetensors")
    assert describe_checkpoint(str(folder))["architecture"]


@pytest.mark.parametrize("config", [True, False])
def test_an_adapter_is_no_model(folder: Path, config: bool) -> None:
    (folder / "model.safetensors").rename(folder / checkpoints.ADAPTER)
    if config:
        (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ViubenchError, match="it is an adapter: merge it"):
        describe_checkpoint(str(folder))


def test_an_adapter_beside_a_model_would_be_opened_in_its_place(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ViubenchError, match="a model and an adapter"):
        describe_checkpoint(str(folder))


def test_of_several_checkpoints_one_must_be_named(folder: Path) -> None:
    with pytest.raises(ViubenchError, match="it holds 1 folders with models") as raised:
        describe_checkpoint(str(folder.parent))
    assert str(folder) in str(raised.value.hint)


@pytest.mark.parametrize("part", ["architectures", "text_config", "vision_config"])
def test_a_part_of_the_config_of_another_form_is_named(folder: Path, part: str) -> None:
    (folder / "config.json").write_text(json.dumps({**CONFIG, part: "odd"}))
    with pytest.raises(ViubenchError, match=rf"config\.json: {part} is no"):
        describe_checkpoint(str(folder))


@pytest.mark.parametrize("given", [".", "./", "../some-model", "../some-model/", "../some-model/.", "inner/.."])
def test_a_model_has_the_name_of_its_folder(folder: Path, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "inner").mkdir()
    monkeypatch.chdir(folder)
    assert describe_checkpoint(given)["name"] == "some-model"


def test_a_torn_config_is_named(folder: Path) -> None:
    (folder / "config.json").write_text('{"architectures": [')
    with pytest.raises(ViubenchError, match=r"config\.json does not read"):
        describe_checkpoint(str(folder))


def test_torn_weights_are_named(folder: Path) -> None:
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-5])
    with pytest.raises(ViubenchError, match=f"torn weights: {len(whole) - 5} of {len(whole)} bytes"):
        describe_checkpoint(str(folder))
    weights.write_bytes(b"\xff" * 64)
    with pytest.raises(ViubenchError, match="not a safetensors file"):
        describe_checkpoint(str(folder))


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "plain-name"])
def test_a_folder_that_is_not_there(name: str) -> None:
    with pytest.raises(ViubenchError, match="no such checkpoint folder"):
        describe_checkpoint(name)


def test_reading_a_checkpoint_needs_no_torch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "transformers", "safetensors"):
        monkeypatch.setitem(sys.modules, name, None)
    assert describe_checkpoint(str(folder))["model_type"] == "qwen3_vl"


class Own:
    """A model's class with a loader of its own."""

    @classmethod
    def from_pretrained(cls) -> None: ...


@pytest.mark.parametrize(
    ("missing", "thinks", "said"),
    [
        ((), False, ""),
        (("model.layers.0.q_proj.weight", "lm_head.weight"), False, r"2 weights are not .*random \(lm_head"),
        (("talker.head.weight",), True, ""),
        (("talker.head.weight", "thinker.head.weight"), True, r"1 weights are not .*\(thinker\.head"),
        (None, False, ""),
    ],
)
def test_weights_that_would_be_random_are_refused(
    monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...] | None, thinks: bool, said: str
) -> None:
    model = SimpleNamespace(thinker="thinker") if thinks else SimpleNamespace()

    def from_pretrained(folder: str, **settings: Any) -> Any:
        assert ("output_loading_info" in settings) is (missing is not None)
        return model if missing is None else (model, {"missing_keys": set(missing)})

    mapping = {SimpleNamespace: Own if missing is None else object}
    auto = SimpleNamespace(_model_mapping=mapping, from_pretrained=from_pretrained)
    config = SimpleNamespace(from_pretrained=lambda folder, **_: SimpleNamespace())
    faked = SimpleNamespace(AutoConfig=config, **{processors.AUTO_CLASSES[0]: auto})
    monkeypatch.setitem(sys.modules, "transformers", faked)
    monkeypatch.setattr(processors, "require_trust", lambda *_: None)
    if said:
        with pytest.raises(ViubenchError, match=said):
            processors.open_model("m")
    else:
        assert processors.open_model("m") == ("thinker" if thinks else model)


def test_other_weights_in_the_same_place_are_another_checkpoint(folder: Path) -> None:
    first = describe_checkpoint(str(folder))["fingerprint"]
    assert describe_checkpoint(str(folder))["fingerprint"] == first
    write_safetensors(folder / "model.safetensors", {"a": np.ones(8192, np.float32), "b": np.ones(8192, np.float32)})
    assert describe_checkpoint(str(folder))["fingerprint"] != first
