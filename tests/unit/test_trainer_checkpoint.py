"""Checkpoint folders: whole or not there, checked file by file before a resume, pruned to the last and the best."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import forked
import pytest

from trainer.checkpoints import checkpoint
from viubench.errors import ViubenchError

RUN = "0123456789abcdef"


def saved(folder: Path, step: int, run: str = RUN, weights: bytes = b"weights") -> Path:
    target = folder / f"checkpoint-{step:06d}"
    with checkpoint.atomic_folder(target) as aside:
        (aside / "model.safetensors").write_bytes(weights)
        checkpoint.write_json(aside / checkpoint.STATE, {"schema": checkpoint.SCHEMA, "run": run, "step": step})
    return target


def refusal(path: Path, run: str = RUN) -> str:
    with pytest.raises(ViubenchError) as raised:
        checkpoint.read_state(path, run)
    return raised.value.message


def test_what_was_saved_is_read_again(tmp_path: Path) -> None:
    path = saved(tmp_path / "new", 3)
    assert checkpoint.latest(tmp_path / "new") == path
    assert checkpoint.read_state(path, RUN) == {"schema": checkpoint.SCHEMA, "run": RUN, "step": 3}
    assert set(json.loads((path / checkpoint.FILES).read_text())) == {"model.safetensors", "trainer/state.json"}


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), checkpoint.atomic_folder(tmp_path / "checkpoint-000001") as aside:
        aside.write_bytes(b"a folder")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / checkpoint.LEFTOVER.replace("*", "000001.0123")
    left.mkdir()
    path = saved(tmp_path, 2)
    assert list(tmp_path.iterdir()) == [path]


def test_one_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    path = saved(tmp_path, 1)
    with pytest.raises(ViubenchError, match="checkpoint-000001 exists already"):
        saved(tmp_path, 1, weights=b"others")
    assert (path / "model.safetensors").read_bytes() == b"weights"


def test_damage_and_other_runs_are_refused(tmp_path: Path) -> None:
    first, second, third, fourth = (saved(tmp_path, step) for step in (1, 2, 3, 4))
    assert "another configuration" in refusal(first, "f" * 16)
    (first / "model.safetensors").write_bytes(b"weight")
    assert "checkpoint-000001 is not whole: a file is missing, or has another size" in refusal(first)
    (second / "model.safetensors").write_bytes(b"wEights")
    assert "checkpoint-000002 is not whole: model.safetensors is damaged" in refusal(second)
    (third / "model.safetensors").unlink()
    assert "checkpoint-000003 is not whole: a file is missing" in refusal(third)
    for listed in ("[]", "{}", '{"../x": [1, ""], "trainer/state.json": [1, ""]}', "no json"):
        (fourth / checkpoint.FILES).write_text(listed)
        assert "list of files" in refusal(fourth)


def test_a_checkpoint_of_another_version_says_what_to_do(tmp_path: Path) -> None:
    with checkpoint.atomic_folder(tmp_path / "checkpoint-000001") as aside:
        checkpoint.write_json(aside / checkpoint.STATE, {"schema": 1, "run": RUN})
    with pytest.raises(ViubenchError, match=r"another viubench \(schema 1\)") as refused:
        checkpoint.read_state(tmp_path / "checkpoint-000001", RUN)
    assert "--model" in str(refused.value.hint)


@pytest.mark.parametrize("state", [{"loss": float("nan")}, {"loss": object()}])
def test_a_state_that_is_no_json_leaves_nothing(tmp_path: Path, state: dict[str, object]) -> None:
    with (
        pytest.raises((TypeError, ValueError), match="JSON"),
        checkpoint.atomic_folder(tmp_path / "checkpoint-000001") as aside,
    ):
        checkpoint.write_json(aside / checkpoint.STATE, state)
    assert not list(tmp_path.iterdir())


def kill_writers(out: Path) -> None:
    """Prints how many kills came while something was written, and how many checkpoints were whole."""
    moments, torn = random.Random(7), 0
    weights = bytes(range(256)) * 8000

    def save() -> Path:
        return saved(out, max(map(checkpoint.step_of, checkpoint.complete(out)), default=0) + 1, weights=weights)

    for turn in range(12):
        told, tell = os.pipe()
        child = os.fork()
        if not child:
            try:
                while True:
                    os.write(tell, b"!")
                    save()
            finally:
                os._exit(1)
        os.close(tell)
        for _ in range(1 + turn % 2):  # within the first one, or a later one
            assert os.read(told, 1), "the writer failed"
        os.close(told)
        time.sleep(moments.uniform(0.0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        leftovers = set(out.glob(checkpoint.LEFTOVER))
        torn += bool(leftovers)
        assert len(leftovers) <= 1, leftovers
        assert set(out.glob("checkpoint-*")) == set(checkpoint.complete(out))
        for path in checkpoint.complete(out):
            assert checkpoint.read_state(path, RUN)["step"] == checkpoint.step_of(path)
    save()
    assert not list(out.glob(checkpoint.LEFTOVER))
    print(torn, len(checkpoint.complete(out)))


def test_a_killed_writer_leaves_whole_checkpoints_only(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out, (tmp_path / "errors").open("w") as errors:
        (tmp_path / "run").mkdir()
        code = forked.start(lambda: kill_writers(tmp_path / "run"), stdout=out, stderr=errors).wait(60)
    assert code == 0, (tmp_path / "errors").read_text()
    torn, whole = map(int, (tmp_path / "out").read_text().split())
    assert torn > 0, "no kill came while something was written: the test shows nothing"
    assert whole > 0, "no checkpoint was ever finished: the test shows nothing"


def stub(folder: Path, step: int) -> str:
    """A checkpoint as far as its list of files goes."""
    path = folder / f"checkpoint-{step:06d}"
    (path / "trainer").mkdir(parents=True)
    (path / "trainer" / "state.json").write_text("{}")
    (path / "trainer" / "files.json").write_text('{"trainer/state.json": [2, ""]}')
    return path.name


def test_prune_keeps_the_last_and_the_best(tmp_path: Path) -> None:
    names = [stub(tmp_path, step) for step in (10, 20, 30, 40, 50, 1_000_000)]
    (tmp_path / "notes").mkdir()
    torn = tmp_path / stub(tmp_path, 5)
    (torn / "trainer" / "state.json").unlink()
    scores = {names[0]: 0.7, names[1]: 0.8, names[2]: 0.8, names[3]: float("nan"), "checkpoint-000099": 0.9}
    assert checkpoint.prune(tmp_path, 2, scores) == [names[0], names[2], names[3]]
    assert [path.name for path in checkpoint.complete(tmp_path)] == [names[1], names[4], names[5]]
    assert checkpoint.latest(tmp_path) == tmp_path / names[5], "by number, not by name"
    assert checkpoint.prune(tmp_path, 1, {}) == [names[1], names[4]]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([names[5], torn.name, "notes"])
    assert checkpoint.complete(tmp_path / "nowhere") == []
    assert checkpoint.latest(tmp_path / "nowhere") is None
