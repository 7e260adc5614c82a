"""What a run on a server would ask for, and cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import viubench
from viubench.cli import app
from viubench.cli.tables import dry_run_text
from viubench.engines import image_tokens
from viubench.engines.image_tokens import RuleCounter, rule_of
from viubench.engines.token_counts import Shown
from viubench.runner import costs
from viubench.video import synthetic

from test_server_faults import TASK  # isort: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("costs")
    (root / "colours.yaml").write_text(TASK)
    synthetic.draw(root / "data" / "colours", 1, seed=5, seconds=1.0, size=(96, 64))
    next((root / "data" / "colours").iterdir()).rename(root / "data" / "colours" / "k.mp4")
    rows = [{"clip": "k", "question": f"Which is {n}?", "choices": ["red", "blue"], "answer": "red"} for n in range(5)]
    (root / "data" / "colours" / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


@given(
    st.sampled_from(["gpt-4o", "gemini-3", "claude", "Qwen2.5-VL", "x"]), st.integers(28, 4000), st.integers(28, 4000)
)
def test_a_larger_picture_costs_no_less_and_each_costs_something(model: str, height: int, width: int) -> None:
    rule = rule_of(model)
    assert rule.tokens(height, width) >= 1
    if "OpenAI" not in rule.name:  # which scales large pictures down
        assert rule.tokens(height + 500, width) >= rule.tokens(height, width)


def test_rules_are_those_that_the_makers_publish() -> None:
    assert [rule_of("gpt-4o").tokens(*size) for size in ((512, 512), (1024, 1024), (4096, 2048))] == [255, 765, 1105]
    assert [rule_of("gemini-2.5").tokens(*size) for size in ((384, 384), (768, 769))] == [258, 516]
    counter = RuleCounter(rule_of("any"))
    still, moving = Shown(1, 64, 64, still=True), Shown(4, 64, 64)
    assert (counter.video(still), counter.video(moving)) == (4, 4 * (4 + image_tokens.STAMP))
    assert counter.prompt("123", [moving]) == 1 + 16 + 40


def test_a_dry_run_of_a_server_says_what_it_asks_and_costs(data: Path, tmp_path: Path) -> None:
    common = {
        "tasks": data / "colours.yaml", "data_root": data / "data", "engine": "server", "base_url": "http://127.0.0.1:9",
        "frames": 2, "max_pixels": 4096, "model": "gpt-4o",
    }  # fmt: skip
    dry = viubench.dry_run(**common, samples=3, temperature=1.0, price_in=2.0, price_out=10.0)
    assert dry.costs is not None
    assert (dry.costs.requests, dry.costs.pictures) == (15, 30)
    assert "5 samples, 15 answers; nothing was run" in dry_run_text(dry)
    assert dry.costs.answer_tokens == 15 * dry.plan.protocols["colours"].decoding.max_tokens
    assert dry.costs.money == pytest.approx((2 * dry.costs.prompt_tokens + 10 * dry.costs.answer_tokens) / 1e6)
    assert dry.costs.prompt_tokens > 30 * 255
    whole = viubench.dry_run(**common, engine_args={"transport": "file"})
    assert whole.costs is not None
    assert (whole.costs.files, whole.costs.pictures, whole.costs.money) == (5, 0, None)
    part = tmp_path / "colours.yaml"
    part.write_text(TASK.replace(".mp4", '.mp4", start: "0.5'))
    with pytest.raises(viubench.ViubenchError, match="5 of 5 samples show changed, cut or several videos"):
        viubench.dry_run(**common | {"tasks": part}, set={"media": "file"})


def test_the_command_prints_it(data: Path, tmp_path: Path) -> None:
    words = ["run", "--dry-run", "--base-url", "http://127.0.0.1:9", "--tasks", str(data / "colours.yaml"), "--quiet"]
    words += ["--data-root", str(data / "data"), "--out", str(tmp_path / "r"), "--frames", "2", "--price-in", "1000000"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "5 requests with 10 images: about" in done.output
    assert "at 1e+06 and 0 a million prompt and answer tokens" in done.output


def test_the_examples_of_the_documentation_hold() -> None:
    import doctest

    for module in (image_tokens, costs):
        assert doctest.testmod(module).failed == 0
