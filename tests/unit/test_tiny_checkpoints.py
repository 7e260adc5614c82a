"""Tiny checkpoints: every family is written, opened and small; equal seeds give equal weights."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from viubench import cli
from viubench.engines import tiny_checkpoints
from viubench.engines.tiny_checkpoints import families, weights
from viubench.errors import ViubenchError

pytest.importorskip("transformers")

QUESTION = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is it A or B?"}]}]


@pytest.fixture(params=sorted(tiny_checkpoints.names()))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def few_threads() -> Iterator[None]:
    """So small matrices are drawn faster by one thread than by several."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_a_family_is_written_small_and_opens(family: str, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoProcessor

    entry = families.find(family)
    for package in {"smolvlm": ["num2words"], "perception_lm": ["timm"]}.get(family, []):
        pytest.importorskip(package)
    for name in ("one", "same"):
        tiny_checkpoints.write(tmp_path / name, family=family)
    folder = tmp_path / "one"
    assert digest(folder) == digest(tmp_path / "same")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5_000_000
    assert json.loads((folder / "config.json").read_text())["architectures"] == [entry.model]
    assert type(AutoConfig.from_pretrained(folder)).__name__ == type(_config(entry, folder)).__name__
    processor = AutoProcessor.from_pretrained(folder)
    assert type(processor).__name__ == entry.processor["class"]
    for part, settings in (("image_processor", entry.image), ("video_processor", entry.video)):
        if settings is not None:  # what was written is what is opened again
            assert type(getattr(processor, part)).__name__ == settings["class"]
            for name in ("patch_size", "merge_size"):
                if name in settings:
                    assert getattr(getattr(processor, part), name) == settings[name]
    _check_template(entry, processor)


def _config(entry: families.Family, folder: Path) -> Any:
    import transformers

    return getattr(transformers, entry.model).config_class.from_pretrained(folder)


def _check_template(entry: families.Family, processor: Any) -> None:
    """The slots stand in the prompt, nothing of the table's own marks does, and every special token is one token."""
    tokenizer = processor.tokenizer
    for kind, slot in entry.slots.items():
        if slot is None:
            continue
        content = [{"type": kind}, {"type": "text", "text": "Is it A or B?"}]
        prompt = processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        assert slot.replace("\\n", "\n").strip() in prompt
        assert "Is it A or B?" in prompt
        assert "@" not in prompt
    for token in entry.special_tokens:
        assert tokenizer.tokenize(f"a{token}b") == ["a", token, "b"]


def test_thinking_families_open_their_reasoning_and_shut_it_on_request(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tiny_checkpoints.write(tmp_path / "m", family="qwen3_5")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "m")
    messages = [{"role": "user", "content": "What?"}]

    def prompt(**switch: bool) -> str:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **switch))

    assert prompt().endswith("<think>\n")
    assert prompt(enable_thinking=True) == prompt()
    assert prompt(enable_thinking=False).endswith("<think>\n\n</think>\n\n")
    ids = tokenizer("<think>so</think>B", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<think>so</think>B"  # the answer keeps its tags


@pytest.mark.parametrize("name", ["qwen2_5_vl", "internvl", "gemma4"])
def test_the_answer_depends_on_the_pixels(name: str, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    tiny_checkpoints.write(tmp_path / "m", family=name)
    processor = AutoProcessor.from_pretrained(tmp_path / "m")
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "m", dtype="float32").eval()
    prompt = processor.apply_chat_template(QUESTION, tokenize=False, add_generation_prompt=True)
    picture = torch.arange(3 * 224 * 224).reshape(3, 224, 224).remainder(251).to(torch.uint8)
    with torch.inference_mode():
        seen = [
            model(**processor(text=[prompt], images=[pixels], return_tensors="pt")).logits[0, -1].log_softmax(-1)
            for pixels in (picture, 255 - picture)
        ]
    assert (seen[0].exp() - seen[1].exp()).abs().sum() > 0.02


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    for seed in (0, 1):
        tiny_checkpoints.write(tmp_path / str(seed), seed, family="gemma3")
    assert digest(tmp_path / "0") != digest(tmp_path / "1")


def test_the_default_is_qwen3_vl_of_two_sizes(tmp_path: Path) -> None:
    tiny_checkpoints.write(tmp_path / "learner", kind=tiny_checkpoints.LEARNER, texts=["When was it altered?"])
    config = json.loads((tmp_path / "learner" / "config.json").read_text())
    assert (config["model_type"], config["text_config"]["hidden_size"]) == ("qwen3_vl", 128)
    processor = json.loads((tmp_path / "learner" / "processor_config.json").read_text())
    assert processor["video_processor"]["size"]["shortest_edge"] == 1024
    with pytest.raises(ViubenchError, match="a learner is a qwen3_vl"):
        tiny_checkpoints.write(tmp_path / "x", kind=tiny_checkpoints.LEARNER, family="internvl")


def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["viubench", "tiny", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_the_command_names_the_families(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = command(capsys, monkeypatch, "--list")
    assert code == 0
    for known in (*tiny_checkpoints.names(), "InternVL3", *tiny_checkpoints.absent()):
        assert known in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--family", "qwen25_vl"), "did you mean qwen2_5_vl?"),
        (("--family", "nope"), "viubench tiny --list"),
        (("--family", "molmo2"), "trust_remote_code"),
        (("--family", "internvl", "--learner"), "a learner is a qwen3_vl"),
    ],
)
def test_the_command_refuses_what_cannot_be_made(
    words: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    code, _, err = command(capsys, monkeypatch, *words, "--out", str(tmp_path / "m"))
    assert code == 2
    assert said in err
    assert not (tmp_path / "m").exists()


def test_the_command_needs_a_folder(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = command(capsys, monkeypatch)
    assert code == 2
    assert "--out FOLDER" in err


def test_a_place_that_cannot_be_written_is_told_before_torch_is_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(tiny_checkpoints, "_model", None)
    with pytest.raises(ViubenchError, match=r"cannot write .*file: it is a file") as refused:
        tiny_checkpoints.write(tmp_path / "file" / "m")
    assert refused.value.where == "--out"


def test_a_class_that_transformers_lacks_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tiny_checkpoints, "find", lambda *_: families.Family(**_renamed("internvl")))
    with pytest.raises(ViubenchError, match="has no NotThereProcessor"):
        tiny_checkpoints.write(tmp_path / "m", family="internvl")


def _renamed(name: str) -> dict[str, Any]:
    return {**vars(families.find(name)), "processor": {"class": "NotThereProcessor"}}


def test_weights_are_renamed_and_turned_as_published(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    path = tmp_path / "model.safetensors"
    names = {"tower.a.weight": (2, 3), "layers.0.mlp.experts.up": (4, 2, 3), "layers.0.mlp.gate.weight": (4, 3)}
    saved = {name: torch.rand(shape) for name, shape in names.items()}
    save_file(saved, path)
    weights.publish(path, {"tower.": "tower.model."}, [".mlp.experts."])
    found = load_file(path)
    assert found["tower.model.a.weight"].equal(saved["tower.a.weight"])
    assert found["layers.0.mlp.experts.up"].equal(saved["layers.0.mlp.experts.up"].transpose(1, 2))
    assert found["layers.0.mlp.gate.weight"].equal(saved["layers.0.mlp.gate.weight"])
