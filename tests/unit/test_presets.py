"""Golden requests: a preset asks each engine for exactly what its source says, through the engine's own translation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from viubench import cli
from viubench.runner.config import EvalConfig
from viubench.runner.protocol_page import page
from viubench.runner.protocol_requests import requests
from viubench.runner.protocols import protocol_of
from viubench.tasks.registry import Catalogue

CATALOGUE = Catalogue()
ROOT = Path(__file__).parents[2]
OFF = {
    "temperature": 0.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
    "repetition_penalty": 1.0,
}  # fmt: skip
QWEN_INSTRUCT = {"max_tokens": 32768, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "presence_penalty": 1.5}
QWEN_THINKING = {"max_tokens": 32768, "temperature": 0.6, "top_p": 0.95, "top_k": 20}
GOLDEN: dict[str, dict[str, Any]] = {
    "qwen3-vl-instruct": QWEN_INSTRUCT,
    "qwen3-vl-thinking": QWEN_THINKING,
    "qwen3.5-instruct": QWEN_INSTRUCT,
    "qwen3.5-thinking": QWEN_THINKING | {"temperature": 1.0, "presence_penalty": 1.5},
    "kimi-k2.5": {"max_tokens": 65536, "temperature": 1.0, "top_p": 0.95},
    "videollama3": {"max_tokens": 128},
    "timelens": {"max_tokens": 512},
}
THINKING = {"qwen3.5-instruct": False, "qwen3.5-thinking": True, "kimi-k2.5": True}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_preset_asks_vllm_and_servers_for_what_its_source_says(name: str) -> None:
    asked = requests(CATALOGUE.protocol(name), seed=7)
    sampled = GOLDEN[name].get("temperature", 0) > 0
    expected = OFF | GOLDEN[name]
    assert asked["vllm"] == expected | {"stop": [], "seed": 7 if sampled else None}
    body = expected | ({"seed": 7} if sampled else {})
    if name in THINKING:
        body["chat_template_kwargs"] = {"enable_thinking": THINKING[name]}
    assert asked["server"] == body


@pytest.mark.parametrize("name", GOLDEN)
def test_a_preset_asks_transformers_for_what_its_source_says(name: str) -> None:
    pytest.importorskip("transformers")
    asked, golden = requests(CATALOGUE.protocol(name))["hf"], GOLDEN[name]
    sampled = golden.get("temperature", 0) > 0
    assert asked["max_new_tokens"] == golden["max_tokens"]
    assert asked["do_sample"] is sampled
    for field in ("temperature", "top_p", "top_k"):
        if sampled:
            assert asked[field] == (OFF | golden)[field]
    assert asked.get("presence_penalty", 0.0) == golden.get("presence_penalty", 0.0)
    assert asked.get("repetition_penalty", 1.0) == 1.0


@pytest.mark.parametrize(
    ("name", "frames", "least", "fps", "pixels", "budget"),
    [
        ("qwen3-vl-instruct", 512, 4, 2.0, 401_408, ("total_pixels", 19_267_584)),
        ("qwen3-vl-thinking", 2048, 4, 2.0, 768 * 32**2, ("tokens", 224 * 1024)),
        ("qwen3.5-thinking", 2048, 4, 2.0, 768 * 32**2, ("tokens", 469_762_048 // (2 * 32**2))),
        ("videollama3", 180, 1, 1.0, 512**2, None),
        ("timelens", 768, 4, 2.0, 768 * 32**2, ("tokens", 14_336)),
    ],
)
def test_a_preset_shows_what_its_source_says(
    name: str, frames: int, least: int, fps: float, pixels: int, budget: tuple[str, int] | None
) -> None:
    protocol = CATALOGUE.protocol(name)
    how, resize = protocol.sampling, protocol.resize
    assert (how.frames, how.min_frames, how.fps, resize.max_pixels) == (frames, least, fps, pixels)
    budgets = {key: value for key in ("total_pixels", "tokens") if (value := getattr(resize, key))}
    assert budgets == (dict([budget]) if budget else {})
    assert protocol.decoding.samples == (3 if name == "kimi-k2.5" else 1)


def test_a_preset_says_where_it_comes_from_and_holds_on_any_task() -> None:
    for name in (*GOLDEN, "generation-config"):
        preset = CATALOGUE.protocol(name)
        assert preset.source.startswith("https://")
        assert preset.description
        assert preset.commands
        bare = preset.model_copy(update={"source": "", "commands": (), "description": ""})
        assert bare.hash() == preset.hash()
    task = CATALOGUE.task("videomme")
    short = task.model_copy(update={"generation_kwargs": type(task.generation_kwargs)(max_new_tokens=5)})
    asked = protocol_of(EvalConfig(protocol="qwen3-vl-instruct"), CATALOGUE, task.protocol, None, short)
    assert asked.hash() == CATALOGUE.protocol("qwen3-vl-instruct").hash()  # it is run as its source says
    assert protocol_of(EvalConfig(), CATALOGUE, task.protocol, None, short).decoding.max_tokens == 5


def test_a_server_that_applies_its_own_settings_is_sent_none() -> None:
    assert requests(CATALOGUE.protocol("generation-config"), seed=7)["server"] == {"max_tokens": 4096, "seed": 7}


def test_the_page_is_what_the_yaml_says() -> None:
    written = (ROOT / "docs/protocols.md").read_text()
    assert written == page(CATALOGUE), "viubench protocols list --markdown > docs/protocols.md"


def test_the_commands_list_and_show(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["viubench", "protocols", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code
        return capsys.readouterr().out

    assert "qwen3.5-thinking" in run("list")
    shown = run("show", "viubench", "--temperature", "0.7", "--set", "decoding.min_p=0.1", "--task", "videomme")
    assert "protocol: viubench+temperature=0.7+min_p=0.1" in shown
    assert "# vllm, beside the messages" in shown
