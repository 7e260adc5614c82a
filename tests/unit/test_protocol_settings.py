"""What a user may change of a protocol: flags, `--set`, their names, and what cannot hold together."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import viubench.runner.generation_config as own
from viubench.cli.run import pairs
from viubench.datasets.download import silent
from viubench.engines.base import FrameFormat
from viubench.errors import ViubenchError
from viubench.runner import protocol_fields
from viubench.runner.collect import Collector
from viubench.runner.config import EvalConfig
from viubench.runner.planning import _refuse_more_frames
from viubench.runner.protocols import FLAGS, protocol_of, resolve
from viubench.schema import Clip, Protocol, Sampling, Task
from viubench.tasks.registry import Catalogue

CATALOGUE = Catalogue()
VIUBENCH = CATALOGUE.protocol("viubench")


def changed(**options: Any) -> Protocol:
    return protocol_of(EvalConfig(**options), CATALOGUE, "viubench")


def test_what_differs_stands_in_the_name_and_nothing_else() -> None:
    assert changed(frames=48, temperature=0).hash() == VIUBENCH.hash()
    assert changed(frames=48, temperature=0).protocol == "viubench"
    both = changed(frames=16, temperature=0.7, top_p=0.8, set={"decoding.min_p": "0.1", "decoding.stop": '["\\n"]'})
    assert both.protocol == 'viubench+frames=16+temperature=0.7+top_p=0.8+min_p=0.1+stop=["\\n"]'
    assert (both.decoding.min_p, both.decoding.stop, both.sampling.frames) == (0.1, ("\n",), 16)
    long = changed(system="You are a careful watcher of videos.")
    assert re.fullmatch(r"viubench\+system=[0-9a-f]{8}", long.protocol)
    assert long.chat.system == "You are a careful watcher of videos."
    assert changed(system="Be brief.", set={"chat.system": "Be brief."}).hash() == changed(system="Be brief.").hash()


def test_a_flag_is_the_field_it_names() -> None:
    values = {"frames": 8, "fps": 1.0, "max_pixels": 4096, "max_tokens": 99, "temperature": 0.5, "top_p": 0.9}
    values |= {"top_k": 5, "samples": 3, "system": "Hello", "thinking": "off", "probe": "reversed"}
    assert values.keys() == FLAGS.keys()
    everything = changed(**values)
    for flag, path in FLAGS.items():
        assert protocol_fields.found(everything, path) == values[flag]
    assert everything.hash() == changed(set={FLAGS[name]: str(value) for name, value in values.items()}).hash()
    assert everything.sampling.kind == "fps"


@pytest.mark.parametrize(
    ("setting", "message", "hint"),
    [
        ("decoding.top_p=1.5", "decoding.top_p cannot be 1.5", "a number, more than 0, at most 1"),
        ("decoding.temperature=.inf", "cannot be Infinity", "at least 0"),
        ("decoding.temperature=true", "cannot be true", "a number"),
        ("decoding.seed=-1", "cannot be -1", "at least 0"),
        ("decoding.stop=x", "cannot be x", "a list of texts"),
        ("decoding.top_p=", "cannot be null", "a number"),
        ("decoding.top_p=[", r"cannot be \[", "a number"),
        ("sampling.frames=null", "cannot be null", "at least 1"),
        ("chat.thinking=maybe", "cannot be maybe", "one of default, on, off"),
        ("chat.template_kwargs=3", "cannot be 3", "a mapping"),
        ("top_p=0.8", "no field 'top_p'", "did you mean decoding.top_p"),
        ("decoding.topp=0.8", "no field 'decoding.topp'", "did you mean decoding.top_p"),
        ("decoding.top_p.x=1", "no field", "did you mean|names them"),
        ("protocol=mine", "no field 'protocol'", "viubench protocols show"),
        ("decoding=1", "a group of fields", "decoding.top_p"),
        ("decoding.samples=4", "samples is 4: at temperature 0", "change one"),
        ("chat.reasoning_budget=64", "leaves no answer of max_tokens 64", "change one"),
        ("sampling.min_frames=100", "min_frames 100 is more than frames 48", "change one"),
        ("resize.min_pixels=999999", "more than max_pixels 262144", "change one"),
        ("sampling.kind=indices", "of single questions", "change one"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_what_can(setting: str, message: str, hint: str) -> None:
    path, _, value = setting.partition("=")
    with pytest.raises(ViubenchError, match=message) as raised:
        changed(set={path: value})
    assert re.search(hint, raised.value.hint or "")


def test_texts_stay_texts_and_a_key_of_the_template_is_any_value() -> None:
    assert changed(set={"chat.system": "yes"}).chat.system == "yes"
    assert changed(set={"chat.thinking": "on"}).chat.thinking == "on"  # on is true in YAML
    inner = changed(set={"chat.template_kwargs.enable_thinking": "false", "chat.template_kwargs.level": "[1, x]"})
    assert inner.chat.template_kwargs == {"enable_thinking": False, "level": [1, "x"]}


@given(st.sampled_from(sorted(protocol_fields.paths())), st.text(max_size=12))
def test_any_text_for_any_field_is_taken_or_refused_in_words(path: str, text: str) -> None:
    try:
        protocol = changed(set={path: text})
    except ViubenchError:
        return
    assert Protocol.model_validate_json(protocol.model_dump_json()).hash() == protocol.hash()


def test_a_setting_given_twice_is_an_error_where_the_two_differ() -> None:
    with pytest.raises(ViubenchError, match=r"decoding\.top_p is set twice"):
        changed(top_p=0.9, set={"decoding.top_p": 0.8})
    with pytest.raises(ViubenchError, match=r"decoding\.top_p is set twice"):
        pairs(["decoding.top_p=0.8", "decoding.top_p=0.9"], "--set")
    assert pairs(["a=b=c", "a=b=c"]) == {"a": "b=c"}


def test_a_model_that_takes_fewer_frames_bounds_them_and_says_so() -> None:
    small = resolve(EvalConfig(), CATALOGUE, "viubench", FrameFormat(48, pixels=161_280))
    assert small.protocol.resize.max_pixels == 161_280
    assert small.notes == ("the model takes frames of at most 161280 pixels, not 262144",)
    filled = resolve(EvalConfig(max_pixels=20_000), CATALOGUE, "viubench", FrameFormat(48, pixels=161_280, fills=True))
    assert (filled.protocol.resize.max_pixels, filled.protocol.resize.kind) == (161_280, "fill")
    assert filled.notes == ("the model takes frames of 161280 pixels, not 20000",)
    short = resolve(EvalConfig(), CATALOGUE, "viubench", FrameFormat(28, (224, 224), 2, 8))
    assert short.notes == ("the model takes at most 8 frames of a video, not 48",)
    assert short.protocol.protocol == "viubench+multiple=28+fixed=[224,224]+frames=8"
    assert (short.protocol.sampling.frames, short.protocol.resize.fixed) == (8, (224, 224))
    greedy = resolve(EvalConfig(top_p=0.9), CATALOGUE, "viubench")
    assert greedy.notes == ("top_p: no effect at temperature 0, which is greedy",)


@pytest.mark.parametrize("written", ["on", "off", '"on"', "default"])
def test_thinking_may_be_a_bare_on_which_yaml_reads_as_true(tmp_path: Path, written: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"protocol: mine\nchat: {{thinking: {written}}}\n")
    assert CATALOGUE.protocol(str(tmp_path / "mine.yaml")).chat.thinking == written.strip('"')


@pytest.mark.parametrize(("path", "fits", "wrong"), [("resize.multiple", 56, 32), ("resize.fixed", [28, 56], [28, 50])])
def test_frame_sides_that_a_model_does_not_take_are_refused(path: str, fits: Any, wrong: Any) -> None:
    frames = FrameFormat(multiple=28)
    assert resolve(EvalConfig(set={path: fits}), CATALOGUE, "viubench", frames)
    assert resolve(EvalConfig(set={path: wrong}), CATALOGUE, "viubench")  # a server's model is not known
    with pytest.raises(ViubenchError, match=f"{path} does not fit: .* multiples of 28"):
        resolve(EvalConfig(set={path: wrong}), CATALOGUE, "viubench", frames)


def test_frames_a_model_merges_count_only_where_a_budget_does() -> None:
    alone = FrameFormat(32, group=1)
    assert protocol_of(EvalConfig(), CATALOGUE, "viubench", alone).hash() == VIUBENCH.hash()
    budget = protocol_of(EvalConfig(set={"resize.tokens": 9000}), CATALOGUE, "viubench", alone)
    assert (budget.resize.group, budget.protocol) == (1, "viubench+tokens=9000")


def test_a_task_changes_the_decoding_under_lm_evals_names() -> None:
    task = CATALOGUE.task("videomme")
    given = {"max_new_tokens": 7, "temperature": 1.0, "top_p": 0.5, "top_k": 3, "until": ["\n"]}
    kwargs = type(task.generation_kwargs).model_validate(given)
    asked = protocol_of(EvalConfig(), CATALOGUE, "fps2-32", None, task.model_copy(update={"generation_kwargs": kwargs}))
    assert asked.protocol == "fps2-32"  # it is the task's own
    assert asked.decoding.model_dump() == {
        "max_tokens": 7, "temperature": 1.0, "top_p": 0.5, "top_k": 3, "stop": ("\n",)
    }  # fmt: skip
    assert type(kwargs)(do_sample=False, temperature=0.9).decoding() == {"temperature": 0.0}
    assert task.hash() == Task.model_validate(task.model_dump()).hash()


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(own.base_models, "describe", lambda model, base_model: {"path": model})
    return tmp_path


SAMPLED = {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05}


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (SAMPLED, "viubench+temperature=0.7+top_p=0.8+top_k=20+repetition_penalty=1.05"),
        (SAMPLED | {"do_sample": False}, "viubench+top_p=0.8+top_k=20+repetition_penalty=1.05"),
        ({"eos_token_id": 1}, "viubench"),
        ({"top_k": 5}, "viubench+top_k=5+temperature=1"),
    ],
)
def test_the_checkpoints_own_settings_are_read_into_the_protocol(checkpoint: Path, file: Any, name: str) -> None:
    (checkpoint / "generation_config.json").write_text(json.dumps(file))
    options = {"model": checkpoint, "engine": "hf", "set": {"decoding.generation_config": "true"}}
    protocol = changed(**options)
    assert protocol.protocol == name
    assert not protocol.decoding.generation_config
    assert changed(**options, temperature=0.3).decoding.temperature == 0.3  # the user's word is the last


def test_a_server_applies_its_own_settings(checkpoint: Path) -> None:
    options: dict[str, Any] = {"base_url": "http://127.0.0.1:1/v1", "set": {"decoding.generation_config": "true"}}
    assert changed(**options).protocol == "viubench+generation_config=true"
    with pytest.raises(ViubenchError, match=r"decoding.temperature is set, but the server's own"):
        changed(**options, temperature=0.5)


def test_a_checkpoint_without_the_file_is_greedy_and_a_broken_one_an_error(checkpoint: Path) -> None:
    config = EvalConfig(checkpoint, engine="hf", set={"decoding.generation_config": True})
    assert "no generation_config.json" in resolve(config, CATALOGUE, "viubench").notes[0]
    (checkpoint / "generation_config.json").write_text("[1")
    with pytest.raises(ViubenchError, match="does not read"):
        resolve(config, CATALOGUE, "viubench")
    (checkpoint / "generation_config.json").write_text('{"temperature": "hot"}')
    with pytest.raises(ViubenchError, match=r"decoding\.temperature cannot be hot") as ill:
        resolve(config, CATALOGUE, "viubench")
    assert ill.value.where == "generation_config.json"


def test_items_keep_the_frames_of_their_own_protocol_under_one_from_elsewhere(tmp_path: Path) -> None:
    def collector(**options: Any) -> Collector:
        made = Collector(EvalConfig(tasks="viubench", **options), tmp_path, silent)
        made.catalogue = CATALOGUE
        return made

    preset = collector(protocol="qwen3-vl-instruct")
    assert preset._sampling("viubench") == VIUBENCH.sampling
    assert preset.notes == ["items are built from the frames of viubench; qwen3-vl-instruct says the rest"]
    assert collector(protocol="qwen3-vl-instruct", frames=16)._sampling("viubench").frames == 16
    assert collector(protocol="fps2-32")._sampling("viubench").kind == "fps"


def test_items_with_more_frames_than_the_model_takes_are_refused() -> None:
    spec = {"kind": "count", "places": list(range(48))}
    sample = SimpleNamespace(id="viubench_count_easy-1", pretext=SimpleNamespace(**spec), clips=())
    _refuse_more_frames([sample], 48)  # type: ignore[list-item]
    own = SimpleNamespace(id="mine-1", pretext=None, clips=(Clip(path="a.mp4", times=(1.0, 2.0, 3.0)),))
    with pytest.raises(ViubenchError, match="mine-1 shows 3 frames, the model takes 2"):
        _refuse_more_frames([own], 2)  # type: ignore[list-item]
    with pytest.raises(ViubenchError, match="shows 48 frames, the model takes 8"):
        _refuse_more_frames([sample], 8)  # type: ignore[list-item]


def test_a_budget_below_the_least_frames_is_said() -> None:
    (note,) = resolve(EvalConfig(set={"resize.tokens": 64}), CATALOGUE, "fps2-32").notes
    assert note.startswith("videos of more than 8 frames exceed the budget of 65536 pixels")
    assert resolve(EvalConfig(set={"resize.tokens": 256}), CATALOGUE, "fps2-32").notes == ()


def test_a_protocol_that_contradicts_itself_is_refused() -> None:
    own = Protocol(protocol="mine", sampling=Sampling(kind="fps", frames=8, min_frames=40))
    with pytest.raises(ViubenchError, match="min_frames 40 is more than frames 8"):
        resolve(EvalConfig(protocol=own), CATALOGUE, "viubench")
