"""A run in shards: split by video, resumed on their own, merged into the run that was never split, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from test_server_faults import TASK

import viubench
from viubench.errors import ViubenchError
from viubench.runner.merging import whole_command
from viubench.runner.sharding import part_of, shard_of


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions about five videos, two answers each: the whole run `whole`, and its three shards `1`, `2` and `3`."""
    folder = tmp_path_factory.mktemp("shards")
    (folder / "colours.yaml").write_text(TASK)
    (folder / "data" / "colours").mkdir(parents=True)
    row = {"choices": ["red", "blue"], "answer": "red"}
    rows = [row | {"clip": f"clip {n % 5 if n < 18 else 0}", "question": f"Which is {n}?"} for n in range(24)]
    (folder / "data" / "colours" / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run(folder, "whole")
    for number in (1, 2, 3):
        run(folder, str(number), shard=f"{number}/3")
    return folder


def run(world: Path, out: str | Path, **options: Any) -> viubench.Run:
    found = {"engine": "random", "out": world / out, "samples": 2, "temperature": 0.5, **options}
    return viubench.evaluate(tasks=world / "colours.yaml", data_root=world / "data", **found)


def merged(world: Path, out: Path, *shards: Path | str) -> viubench.Run:
    return viubench.merge([world / one for one in shards or ("1", "2", "3")], out)


def test_a_merged_run_has_the_results_of_the_whole_one(world: Path, tmp_path: Path) -> None:
    found, whole = merged(world, tmp_path / "run", "3", "1", "2"), viubench.load_run(world / "whole")
    assert (found.path / "results.json").read_bytes() == (whole.path / "results.json").read_bytes()
    own = {"argv", "started", "merged"}
    assert found.manifest.model_dump(exclude=own) == whole.manifest.model_dump(exclude=own)
    assert [one.number for one in found.manifest.merged] == [1, 2, 3]
    swapped = {str(world / "whole"): str(found.path)}
    assert found.manifest.argv == [swapped.get(word, word) for word in whole.manifest.argv]
    assert whole_command(["viubench", "run", "--shard=1/2", "--out=a", "-x"], Path("b"))[2:] == ["--out", "b", "-x"]
    by_key = {record.key: record.model_copy(update={"seconds": {}}) for record in whole.records}
    assert {record.key: record.model_copy(update={"seconds": {}}) for record in found.records} == by_key
    again = merged(world, tmp_path / "run")  # one that was merged before is merged anew
    assert len(again.records) == len(whole.records)


def test_questions_of_a_video_are_together_and_shards_are_even(world: Path) -> None:
    parts = [{record.cluster for record in viubench.load_run(world / one).records} for one in "123"]
    sizes = [len(viubench.load_run(world / one).records) for one in "123"]
    videos = [video for part in parts for video in part]
    assert len(videos) == len(set(videos)) == 5
    whole = viubench.load_run(world / "whole").to_frame()
    assert max(sizes) - min(sizes) <= whole["cluster"].value_counts().max()


def test_a_shard_resumes_alone_and_is_no_run_by_itself(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "2", tmp_path / "2")
    records = tmp_path / "2" / "records.jsonl"
    lines = records.read_bytes().splitlines(keepends=True)
    records.write_bytes(b"".join(lines[:2]))
    with pytest.raises(ViubenchError, match=rf"not finished: 2 of {len(lines)} answers"):
        merged(world, tmp_path / "run", "1", tmp_path / "2", "3")
    shard = run(world, tmp_path / "2", shard="2/3")
    assert sum(shard.statuses.values()) == len(lines)
    with pytest.raises(ViubenchError, match="is shard 2 of 3") as refused:
        _ = shard.results
    assert "viubench merge" in str(refused.value.hint)
    with pytest.raises(ViubenchError, match="another --shard: 2/3 there, 1/3 now"):
        run(world, tmp_path / "2", shard="1/3")
    assert merged(world, tmp_path / "run", "1", tmp_path / "2", "3").valid


def test_more_shards_than_videos_leave_some_empty(world: Path, tmp_path: Path) -> None:
    for number in range(1, 8):
        run(world, tmp_path / str(number), shard=f"{number}/7")
    assert viubench.load_run(tmp_path / "7").records == []
    found = viubench.merge([tmp_path / str(number) for number in range(1, 8)], tmp_path / "run")
    assert (found.path / "results.json").read_bytes() == (world / "whole" / "results.json").read_bytes()


def test_shards_that_do_not_make_the_run_are_refused(world: Path, tmp_path: Path) -> None:
    run(world, tmp_path / "seed", shard="2/3", seed=5)
    run(world, tmp_path / "two", shard="2/2")
    for shards, message in (
        (["1", "3"], "of 3 shards 1 are missing: 2"),
        (["1", "2", "3", "2"], "shard 2 of 3 is there twice"),
        (["1", tmp_path / "seed", "3"], "another seed: 0 there, 5 now"),
        (["1", tmp_path / "two", "3"], "is one of 2 shards, .* one of 3"),
        (["1", "whole", "3"], "is no shard: it holds a whole run"),
        (["1", "data", "3"], "is not a run folder"),
    ):
        with pytest.raises(ViubenchError, match=message) as refused:
            merged(world, tmp_path / "run", *shards)
        assert refused.value.where
        assert not (tmp_path / "run").exists()
    with pytest.raises(ViubenchError, match="was not merged from shards"):
        merged(world, world / "whole")


def test_records_that_are_not_the_answers_of_the_run_are_refused(world: Path, tmp_path: Path) -> None:
    first = (world / "1" / "records.jsonl").read_text().splitlines(keepends=True)
    other = json.dumps(json.loads(first[0]) | {"id": "other"}) + "\n"
    third = json.dumps(json.loads(first[0]) | {"number": 2}) + "\n"
    for name, lines, message in (
        ("twice", [*first, first[0]], "is there twice"),
        ("other", [other, *first[1:]], "not the answers to the 24 questions"),
        ("more", [*first, other], "not the answers to the 24 questions"),
        ("third", [*first, third], "not the answers to the 24 questions"),
    ):
        shutil.copytree(world / "1", tmp_path / name)
        (tmp_path / name / "records.jsonl").write_text("".join(lines))
        with pytest.raises(ViubenchError, match=message):
            merged(world, tmp_path / "run", tmp_path / name, "2", "3")


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "1/0", "-1/3", "a/b", "", "1/3/3", "١/٣"])
def test_what_is_no_shard_is_refused_before_anything_is_done(text: str, tmp_path: Path) -> None:
    with pytest.raises(ViubenchError, match="is no shard: I/N"):
        shard_of(text)
    with pytest.raises(ViubenchError, match="is no shard: I/N"):
        viubench.evaluate(engine="random", tasks="tiny_count", videos=tmp_path, out=tmp_path / "run", shard=text)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_counts_those_of_the_shard(world: Path, tmp_path: Path) -> None:
    from viubench.cli.tables import dry_run_text

    dry = viubench.dry_run(engine="oracle", tasks=world / "colours.yaml", data_root=world / "data", shard="2/3")
    assert f"{len(viubench.load_run(world / '2').records) // 2} samples" in dry_run_text(dry)
    assert part_of(dry.plan, None) is dry.plan


def test_a_run_that_failed_while_it_was_planned_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ViubenchError):
        viubench.evaluate(engine="random", tasks="tiny_count", videos=tmp_path / "none", out=tmp_path / "a" / "run")
    assert not (tmp_path / "a" / "run").exists()
    (tmp_path / "own").mkdir()
    with pytest.raises(ViubenchError):
        viubench.evaluate(engine="random", tasks="tiny_count", videos=tmp_path / "none", out=tmp_path / "own")
    assert (tmp_path / "own").exists()  # the user's own folder
