"""`viubench train` says what is wrong with what it was given, in the user's words, before a model is opened."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from trainer import arguments
from trainer.config import TrainConfig, load
from trainer.processes import SINGLE, Processes
from trainer.stage import in_plain_words
from viubench.cli import app
from viubench.cli import train as command
from viubench.errors import ViubenchError

from test_trainer_data import world as world  # isort: skip

GOOD: dict[str, Any] = {
    "run_name": "t", "tasks": {"mirrored": {}}, "max_steps": 4, "train_batch_size": 4, "num_generations": 2,
}  # fmt: skip


def write(folder: Path, **more: Any) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(GOOD | more))
    return path


def refused(*words: Any) -> ViubenchError:
    done = CliRunner().invoke(app, ["train", *map(str, words)])
    assert isinstance(done.exception, ViubenchError), (done.exception, done.output)
    return done.exception


# --- folders ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_key", [False, True])
@pytest.mark.parametrize(("option", "key"), [("--items", "train"), ("--validation", "validation")])
@pytest.mark.parametrize(("there", "said"), [(False, "there is no folder"), (True, "holds neither items.jsonl")])
def test_a_wrong_folder_is_named_as_it_was_given(
    world: Path, tiny_model: Path, tmp_path: Path, option: str, key: str, there: bool, said: str, as_key: bool
) -> None:
    wrong = tmp_path / "wrong"
    if there:
        wrong.mkdir()
    given = {"--items": world / "items-a", "--validation": world / "items-b"} | {option: wrong}
    words = [] if as_key else [word for pair in given.items() for word in pair]
    items = {"train": str(given["--items"]), "validation": str(given["--validation"])} if as_key else {}
    error = refused("--config", write(tmp_path, items=items), "--model", tiny_model, "--out", tmp_path / "o", *words)
    assert said in error.message
    assert str(wrong) in error.message
    assert error.where == f"{option} (items.{key})"
    assert "--data-root" not in f"{error.where} {error.hint}"
    assert not (tmp_path / "o").exists()


def test_a_wrong_folder_of_tests_is_named(world: Path, tiny_model: Path, tmp_path: Path) -> None:
    folders = ("--items", world / "items-a", "--validation", world / "items-b", "--tests", tmp_path / "none")
    error = refused("--config", write(tmp_path), "--model", tiny_model, "--out", tmp_path / "o", *folders)
    assert error.where == "--tests"


def test_a_folder_that_is_not_given_is_named(tiny_model: Path, tmp_path: Path) -> None:
    error = refused("--config", write(tmp_path), "--model", tiny_model, "--out", tmp_path / "o")
    assert error.where == "--items (items.train)"


@pytest.mark.parametrize("about", ["{}", "[]", '{"tasks": {"mirrored": {"a": 1}}}', "{", '{"tasks": []}'])
def test_a_damaged_build_is_told(world: Path, tiny_model: Path, tmp_path: Path, about: str) -> None:
    items = tmp_path / "items"
    shutil.copytree(world / "items-a", items)
    (items / "build.json").write_text(about)
    words = ("--items", items, "--validation", world / "items-b", "--out", tmp_path / "o")
    error = refused("--config", write(tmp_path), "--model", tiny_model, *words)
    assert "build.json is missing or damaged" in error.message


def test_the_folder_of_the_training_must_be_its_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("file", "file/below"):
        with pytest.raises(ViubenchError, match="cannot be written") as caught:
            command.claim(tmp_path / name)
        assert caught.value.where == "--out"
    run = tmp_path / "run"
    run.mkdir()
    (run / "records.jsonl").write_text("")
    with pytest.raises(ViubenchError, match="is a run of viubench run"):
        command.claim(run)
    command.claim(tmp_path / "a" / "b")
    command.claim(tmp_path / "a" / "b")


# --- keys -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "key", "hint"),
    [
        ({"learning_rte": 1e-5}, "learning_rte", "did you mean 'learning_rate'?"),
        ({"lr": 1e-5}, "lr", "did you mean 'learning_rate'?"),
        ({"num_generation": 4}, "num_generation", "did you mean 'num_generations'?"),
        ({"batch": 4}, "batch", "'train_batch_size' or 'mini_batch_size' or 'micro_batch_size'?"),
        ({"finetuning": {"r": 8}}, "finetuning.r", "did you mean 'lora_r'?"),
        ({"tasks": {"mirrored": {"rewards": "smooth"}}}, "tasks.mirrored.rewards", "did you mean 'reward'?"),
        ({"lora_alpha": 8}, "lora_alpha", "it belongs under finetuning"),
        ({"checks": {"foo": 1}}, "checks.foo", "there are: on_collapse, max_logprob_gap, patience"),
        (
            {"optim": "adafactor"},
            "optim",
            "see docs/training.md; other fields of TRL's GRPOConfig are written under trl",
        ),
    ],
)
def test_an_unknown_key_is_hinted_as_one_of_a_training(
    tmp_path: Path, more: dict[str, Any], key: str, hint: str
) -> None:
    error = refused("--config", write(tmp_path, **more), "--out", tmp_path / "o")
    assert f"unknown key {key!r}" in error.message
    assert hint in (error.hint or "")
    assert "task that works" not in (error.hint or "")


def test_one_logger_need_not_be_a_list(tmp_path: Path) -> None:
    assert load(write(tmp_path, report_to="tensorboard")).report_to == ("tensorboard",)


# --- what TRL is given ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "where", "said", "hint"),
    [
        ({"trl": {"optimm": "sgd"}}, "trl.optimm", "no field of TRL's GRPOConfig", "did you mean optim?"),
        ({"trl": {"max_grad_norm": 1}}, "trl.max_grad_norm", "decided by other keys", "outside trl"),
        ({"trl": {"use_vllm": True}}, "trl.use_vllm", "decided by other keys", "docs/training.md"),
        ({"trl": {"top_p": 0.9}}, "trl.top_p", "no effect here", "docs/training.md"),
        ({"trl": {"optim": "nonsense"}}, "--config", "TRL refuses the configuration", "docs/training.md"),
    ],
)
def test_what_trl_does_not_take_is_told_without_a_model(
    tmp_path: Path, more: dict[str, Any], where: str, said: str, hint: str
) -> None:
    with pytest.raises(ViubenchError, match=said) as caught:
        arguments.check(TrainConfig.model_validate(GOOD | more), tmp_path, SINGLE)
    assert caught.value.where == where
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("more", "package"),
    [
        ({"report_to": ["trackio"]}, "trackio"),
        ({"trl": {"deepspeed": "zero3.json"}}, "deepspeed"),
        ({"finetuning": {"type": "lora", "load_in_4bit": True}}, "bitsandbytes"),
    ],
)
def test_a_package_that_a_key_needs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], package: str
) -> None:
    monkeypatch.setattr(arguments, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(ViubenchError, match=f"{package} is not installed") as caught:
        arguments.check(TrainConfig.model_validate(GOOD | more), tmp_path, SINGLE)
    assert caught.value.hint == f"pip install {package}"


def test_a_missing_file_of_deepspeed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arguments, "find_spec", lambda name: object())
    config = TrainConfig.model_validate(GOOD | {"trl": {"deepspeed": str(tmp_path / "zero3.json")}})
    with pytest.raises(ViubenchError, match=r"there is no file .*zero3\.json"):
        arguments.check(config, tmp_path, SINGLE)


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda0", "cpu:1x", "mps"])
def test_an_unknown_device_is_refused(device: str) -> None:
    with pytest.raises(ViubenchError, match=f"no such device: {device}"):
        Processes.join(device)


def test_a_missing_package_of_the_trainer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from viubench.system import doctor

    command.require_training()
    monkeypatch.setattr(doctor, "version_of", lambda name: None if name == "peft" else name)
    with pytest.raises(ViubenchError, match="peft is not installed"):
        command.require_training()


# --- what goes wrong while a model is opened --------------------------------------------------------------------


def test_faults_outside_the_loop_are_told(tmp_path: Path) -> None:
    import torch

    with pytest.raises(ViubenchError, match="out of memory") as caught, in_plain_words(tmp_path):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
    assert "micro_batch_size" in (caught.value.hint or "")

    class UsageError(Exception):
        __module__ = "wandb.errors.errors"

    with pytest.raises(ViubenchError, match="wandb: no API key") as caught, in_plain_words(tmp_path):
        raise UsageError("no API key")
    assert caught.value.where == "report_to"
    with pytest.raises(KeyError), in_plain_words(tmp_path):
        raise KeyError("a fault of ours")
