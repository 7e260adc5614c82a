from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import checkpoint_folders as folders
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.checkpoints import checkpoint as trainers
from viubench.engines.checkpoints import describe_checkpoint, fingerprint
from viubench.errors import ViubenchError
from viubench.watch.checkpoints import completeness, find, incomplete, marked, stamp, step_of

INDEX = "model.safetensors.index.json"


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("checkpoint-200", 200),
        ("checkpoint-000040", 40),
        ("step-000200", 200),
        ("step_7", 7),
        ("global_step_50", 50),
        ("globalstep12", 12),
        ("iter_0001000", 1000),
        ("epoch=1-step=200", 200),
        ("qwen3-vl-8b-step-30", 30),
        ("Checkpoint-5", 5),
        ("ckpt.9", 9),
        ("epoch-3", 3),
        ("model-of-8b", None),
        ("checkpoint-best", None),
        ("checkpoint", None),
        ("missteps-3", None),
        (".checkpoint-000040.0f.part", None),
        ("tmp-checkpoint-200", None),
        ("checkpoint-200.tmp", None),
        ("step-1234567890123", None),
        ("step-٣", None),
        ("watch", None),
    ],
)
def test_the_step_is_in_the_name(name: str, step: int | None) -> None:
    assert step_of(name) == step


def test_checkpoints_come_by_step_wherever_their_model_lies(tmp_path: Path) -> None:
    folders.write(tmp_path / "checkpoint-300")
    folders.write(tmp_path / "global_step_20" / "actor" / "huggingface")
    folders.write(tmp_path / "global_step_20" / "critic" / "huggingface")
    (tmp_path / "global_step_20" / "actor" / "fsdp").mkdir()
    (tmp_path / "step-1000").mkdir()
    (tmp_path / "step-7").write_text("a file")
    folders.write(tmp_path / "final")
    found = find(tmp_path)
    assert [(one.name, one.step) for one in found] == [
        ("global_step_20", 20), ("checkpoint-300", 300), ("step-1000", 1000),
    ]  # fmt: skip
    assert found[0].model == tmp_path / "global_step_20" / "actor" / "huggingface"
    assert [one.model == one.folder for one in found] == [False, True, True]
    assert find(tmp_path / "nowhere") == []


def test_the_model_with_weights_is_preferred_to_one_without(tmp_path: Path) -> None:
    folders.write(tmp_path / "step-1" / "a", leave_out="model.safetensors")
    folders.write(tmp_path / "step-1" / "b" / "c")
    assert find(tmp_path)[0].model == tmp_path / "step-1" / "b" / "c"


@pytest.mark.parametrize("shards", [0, 3])
def test_a_whole_checkpoint_is_one_that_engines_open(shards: int, tmp_path: Path) -> None:
    whole = folders.write(tmp_path / "checkpoint-1", shards=shards)
    assert incomplete(whole) == ""
    assert describe_checkpoint(str(whole))["fingerprint"] == fingerprint(whole)


LACKS = "not a complete checkpoint: it lacks "
JOIN = f"{LACKS}weights as .safetensors (each process saved its own part: join them with "


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", "not a checkpoint: it has no config.json"),
        ("tokenizer.json", f"{LACKS}a tokenizer (tokenizer.json)"),
        ("processor_config.json", f"{LACKS}a processor (processor_config.json or preprocessor_config.json)"),
        ("model-00003-of-00003.safetensors", f"{LACKS}1 of 3 weight files (model-00003-of-00003.safetensors)"),
        (INDEX, f"it lacks model.safetensors or {INDEX}"),
    ],
)
def test_a_file_that_is_missing_is_named(name: str, message: str, tmp_path: Path) -> None:
    part = folders.write(tmp_path / "checkpoint-1", shards=3, leave_out=name)
    assert incomplete(part) == message
    if name != INDEX:  # an engine opens what it finds; while the index is missing, more may come
        with pytest.raises(ViubenchError):
            describe_checkpoint(str(part))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("adapter_config.json", "it is an adapter: merge it into its base model"),
        (
            "pytorch_model.bin",
            f"{LACKS}weights as .safetensors (pickled weights are not opened: they can run code)",
        ),
        ("notes.txt", f"{LACKS}weights as .safetensors"),
        ("pytorch_model_fsdp_0/__0_0.distcp", f"{JOIN}accelerate merge-weights)"),
        ("global_step5/mp_rank_00_model_states.pt", f"{JOIN}zero_to_fp32.py, which DeepSpeed puts beside them)"),
        ("../model_world_size_2_rank_0.pt", f"{JOIN}python -m verl.model_merger merge)"),
    ],
)
def test_other_kinds_of_weights_are_named(name: str, message: str, tmp_path: Path) -> None:
    other = folders.write(tmp_path / "checkpoint-1", leave_out="model.safetensors")
    (other / name).parent.mkdir(exist_ok=True)
    (other / name).touch()
    assert incomplete(other) == message


def test_an_adapter_without_its_configuration_is_not_whole(tmp_path: Path) -> None:
    adapter = folders.write(tmp_path / "checkpoint-1")
    (adapter / "model.safetensors").rename(adapter / "adapter_model.safetensors")
    assert incomplete(adapter) == "an adapter without adapter_config.json"


@pytest.mark.parametrize("name", ["config.json", INDEX])
def test_a_torn_json_file_is_not_whole(name: str, tmp_path: Path) -> None:
    whole = folders.write(tmp_path / "checkpoint-1", shards=2)
    content = (whole / name).read_bytes()
    for cut in range(len(content)):
        (whole / name).write_bytes(content[:cut])
        assert incomplete(whole).startswith(f"{name} does not read: ")
    for junk in (b'{"weight_map": 3}', b"[]", b"3"):
        (whole / INDEX).write_bytes(junk)
        assert incomplete(whole) != ""


def test_torn_weights_are_never_whole(tmp_path: Path) -> None:
    content = folders.weights(1)
    for cut in range(1, len(content) + 1):
        torn = folders.write(tmp_path / "checkpoint-1", torn=cut)
        assert re.match("torn weights|not a safetensors file", incomplete(torn))
    (torn / "model.safetensors").write_bytes(content + b"more")
    assert incomplete(torn) == f"torn weights: {len(content) + 4} of {len(content)} bytes"
    (torn / "model.safetensors").write_bytes(content)
    assert incomplete(torn) == ""


@given(st.binary(max_size=64))
def test_no_content_of_weights_is_a_crash(junk: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        folder = folders.write(Path(place) / "checkpoint-1")
        for content in (junk, len(junk).to_bytes(8, "little") + junk):
            (folder / "model.safetensors").write_bytes(content)
            assert re.match("$|torn weights|not a safetensors file", incomplete(folder))


def test_the_stamp_changes_with_whatever_changes(tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "checkpoint-1")
    seen = {stamp(folder)[0]}
    for change in (
        lambda: (folder / "optimizer").mkdir(),
        lambda: (folder / "optimizer" / "part.pt").write_bytes(b"1"),
        lambda: (folder / "optimizer" / "part.pt").write_bytes(b"12"),
        lambda: os.utime(folder / "config.json"),
        lambda: (folder / "config.json").rename(folder / "other.json"),
    ):
        change()
        seen.add(stamp(folder)[0])
    assert len(seen) == 5, "an empty folder alone is no change"
    assert stamp(folder)[0] == stamp(folder)[0]
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError):
        stamp(folder)


def test_a_link_that_leads_nowhere_is_no_hindrance(tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "checkpoint-1")
    (folder / "latest").symlink_to(tmp_path / "nowhere")
    before = stamp(folder)[0]
    (tmp_path / "nowhere").touch()
    assert stamp(folder)[0] != before
    assert incomplete(folder) == ""


def test_a_copy_with_old_times_is_not_old(tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "checkpoint-1")
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    assert stamp(folder)[1] < 60
    time.sleep(0.05)
    assert 0.04 < stamp(folder)[1] < 60


def test_the_trainer_of_this_project_says_itself_what_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint-000040"
    with trainers.atomic_folder(target) as aside:
        folders.write(aside)
        (aside / "trainer" / "state.json").write_text("{}")
        assert find(tmp_path) == []
    assert [one.step for one in find(tmp_path)] == [40]
    assert trainers.complete(tmp_path) == [target]
    assert marked(target)
    (target / "trainer" / "state.json").write_text("{")
    assert not marked(target)
    assert completeness(find(tmp_path)[0]) == (
        "it lacks files of its list (trainer/files.json), or parts of them",
        False,
    )
    other = folders.write(tmp_path / "checkpoint-000060")
    assert not marked(other)
    assert completeness(find(tmp_path)[1]) == ("", False)
    (other / "trainer").mkdir()
    for junk in ("", "[]", "{}", "3", '{"a": 1}'):
        (other / "trainer" / "files.json").write_text(junk)
        assert not marked(other)
