"""The main job through the command line: build, baselines, resume after kills, bad media, bad input."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import inprocess
import pandas as pd
import pytest

from viubench.storage.run_dir import read_manifest, read_records, read_results
from viubench.tasks.registry import BUILT_IN

PACED = Path(__file__).with_name("slow_oracle.py")


def viubench(
    *arguments: object, cache: Path, script: Path | None = None, alone: bool = False, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The command in this process; in one of its own where a `script` takes its place, or it is to be `alone`."""
    env = {"VIUBENCH_CACHE": str(cache)}
    if script is None and not alone:
        return inprocess.command(*arguments, env=env, cwd=cwd)
    command = [sys.executable, *([str(script)] if script else ["-m", "viubench"]), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | env, timeout=300, cwd=cwd)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def items(clips: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`viubench-mini` built from the drawn clips."""
    out = tmp_path_factory.mktemp("items") / "mini"
    done = viubench("build", "--recipe", "viubench-mini", "--videos", clips, "--out", out, "--quiet", cache=cache)
    assert done.returncode == 0, done.stderr
    return out


def without_times(path: Path) -> list[dict[str, Any]]:
    """Records sorted by id, the timing fields left out."""
    rows = [record.model_dump(mode="json", exclude={"seconds"}) for record in read_records(path)]
    return sorted(rows, key=lambda row: str(row["id"]))


def test_baselines_score_what_they_must(items: Path, cache: Path, tmp_path: Path) -> None:
    for engine in ("random", "blind", "oracle"):
        done = viubench("run", "--engine", engine, "--tasks", items, "--out", tmp_path / engine, cache=cache)
        assert done.returncode == 0, done.stderr
        assert "viubench_jigsaw_hard" in done.stdout
    oracle = read_results(tmp_path / "oracle")
    assert {task.value for task in oracle.tasks.values()} == {1.0}
    assert {tuple(task.statuses) for task in oracle.tasks.values()} == {("ok",)}
    assert oracle.suites["viubench-mini"].value == 1
    blind = read_results(tmp_path / "blind")
    for name, task in blind.tasks.items():
        assert task.value == pytest.approx(task.blind), name
        assert task.blind_statement
    guess = read_results(tmp_path / "random")
    for task in guess.tasks.values():
        assert task.ci[0] <= (task.chance or 0) <= task.ci[1]


def test_equal_commands_give_equal_bytes(items: Path, cache: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        viubench(
            "run",
            "--engine",
            "random",
            "--tasks",
            items,
            "--seed",
            3,
            "--out",
            tmp_path / name,
            cache=cache,
            alone=True,
        )
    assert (tmp_path / "a" / "results.json").read_bytes() == (tmp_path / "b" / "results.json").read_bytes()
    assert without_times(tmp_path / "a") == without_times(tmp_path / "b")


def test_killed_five_times_it_ends_as_one_never_stopped(items: Path, cache: Path, tmp_path: Path) -> None:
    arguments = ("run", "--engine", "oracle", "--tasks", items, "--quiet")
    whole = viubench(*arguments, "--out", tmp_path / "whole", cache=cache, script=PACED)
    assert whole.returncode == 0, whole.stderr
    out = tmp_path / "killed"
    rng = random.Random(0)
    kills = 0
    while kills < 5:
        process = subprocess.Popen(
            [sys.executable, str(PACED), *map(str, arguments), "--out", str(out)],
            env=os.environ | {"VIUBENCH_CACHE": str(cache)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wanted = len((out / "records.jsonl").read_bytes().splitlines()) + rng.randint(1, 14) if out.exists() else 1
        while process.poll() is None:
            file = out / "records.jsonl"
            if file.exists() and file.read_bytes().count(b"\n") >= wanted:
                time.sleep(rng.uniform(0, 0.02))
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.002)
        process.wait()
        if not list(read_records(out)) or len(list(read_records(out))) == 90:
            break
    assert kills == 5, "the run ended before it could be killed often enough"
    last = viubench(*arguments, "--out", out, cache=cache, script=PACED)
    assert last.returncode == 0, last.stderr
    assert (out / "results.json").read_bytes() == (tmp_path / "whole" / "results.json").read_bytes()
    assert without_times(out) == without_times(tmp_path / "whole")


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_says_how_to_go_on_and_leaves_no_process(items: Path, cache: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(PACED), "run", "--engine", "oracle", "--tasks", str(items), "--quiet"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "r")],
        env=os.environ | {"VIUBENCH_CACHE": str(cache)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    records = tmp_path / "r" / "records.jsonl"
    while process.poll() is None and not (records.exists() and records.read_bytes().count(b"\n") > 3):
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "of 90 answers; rerun the same command to resume" in said
    assert "Traceback" not in said
    for _ in range(100):
        if not group_lives(process.pid):
            break
        time.sleep(0.05)
    assert not group_lives(process.pid)


def test_frames_reach_the_engine_and_the_record(items: Path, cache: Path, tmp_path: Path) -> None:
    done = viubench(
        "run", "--engine", "oracle", "--tasks", items, "--limit", 2, "--filmstrips", 1, "--out", tmp_path / "r",
        cache=cache, script=PACED,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = read_records(tmp_path / "r")
    assert len(list((tmp_path / "r" / "strips").glob("*.jpg"))) == len({record.task for record in records})
    for record in records:
        assert record.frames is not None
        assert record.usage["frames"] == len(record.frames.indices) == len(record.frames.times) == 48
        assert record.frames.height % 32 == record.frames.width % 32 == 0


def test_media_that_changed_or_vanished_are_records_and_make_the_run_invalid(
    items: Path, clips: Path, cache: Path, tmp_path: Path
) -> None:
    videos = tmp_path / "videos"
    shutil.copytree(clips, videos)
    gone, changed = sorted(videos.iterdir())[:2]
    gone.unlink()
    changed.write_bytes(sorted(videos.iterdir())[-1].read_bytes())
    words = ("run", "--engine", "oracle", "--tasks", items, "--videos", videos, "--out", tmp_path / "r")
    done = viubench(*words, cache=cache, script=PACED)
    assert (done.returncode, list(read_records(tmp_path / "r"))) == (4, []), done.stderr
    assert f"{gone.name}: missing" in done.stderr
    # The missing ones alone are allowed; with the changed ones, found on the way, they are too many.
    done = viubench(*words, "--max-errors", "0.3", cache=cache, script=PACED)
    assert done.returncode == 4
    assert "missing" in done.stderr
    assert "changed" in done.stderr
    assert "of 90 answers failed, more than --max-errors 0.3 allows" in done.stderr
    records = list(read_records(tmp_path / "r"))
    assert len(records) == 90
    faults = {record.error.fault for record in records if record.error}
    assert faults == {"missing", "changed"}
    results = read_results(tmp_path / "r")
    assert all(task.n == 10 and task.value < 1 for task in results.tasks.values() if task.statuses.get("media_error"))


def test_videos_are_built_into_the_run_and_the_run_resumes(clips: Path, cache: Path, tmp_path: Path) -> None:
    arguments = ("run", "--engine", "oracle", "--tasks", "viubench_count_easy", "--videos", clips, "--limit", 5)
    for _ in range(2):
        done = viubench(*arguments, "--out", tmp_path / "r", cache=cache)
        assert done.returncode == 0, done.stderr
    assert read_results(tmp_path / "r").tasks["viubench_count_easy"].n == 5
    other = viubench(*arguments, "--seed", 1, "--out", tmp_path / "r", cache=cache)
    assert other.returncode == 2
    assert "--fresh" in other.stderr
    fresh = viubench(*arguments, "--seed", 1, "--out", tmp_path / "r", "--fresh", cache=cache)
    assert fresh.returncode == 0, fresh.stderr
    assert read_manifest(tmp_path / "r").seed == 1


def test_ready_answers_are_scored(items: Path, cache: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (items / "items.jsonl").read_text().splitlines()]
    lines = [json.dumps({"id": row["id"], "response": f"The answer is {row['answer']}"}) for row in rows]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    done = viubench(
        "score", "--tasks", items, "--responses", tmp_path / "a.jsonl", "--out", tmp_path / "r", cache=cache
    )
    assert done.returncode == 0, done.stderr
    assert read_results(tmp_path / "r").suites["viubench-mini"].value == 1
    (tmp_path / "b.jsonl").write_text("\n".join(lines[:-9]))
    short = viubench(
        "score", "--tasks", items, "--responses", tmp_path / "b.jsonl", "--out", tmp_path / "s", cache=cache
    )
    assert short.returncode == 4, "nine samples without an answer are nine errors, not nine samples fewer"
    assert sum(task.n for task in read_results(tmp_path / "s").tasks.values()) == 90


def test_a_lone_file_of_items_is_enough_to_score_its_task(items: Path, cache: Path, tmp_path: Path) -> None:
    lines = [line for line in (items / "items.jsonl").read_text().splitlines() if "jigsaw_easy" in line]
    (tmp_path / "some.jsonl").write_text("\n".join(lines[:7]))
    answers = [json.dumps({"id": row["id"], "response": row["answer"]}) for row in map(json.loads, lines[:7])]
    (tmp_path / "answers.jsonl").write_text("\n".join(answers))
    arguments = ("score", "--task", "viubench_jigsaw_easy", "--samples", tmp_path / "some.jsonl")
    done = viubench(*arguments, "--responses", tmp_path / "answers.jsonl", "--out", tmp_path / "r", cache=cache)
    assert done.returncode == 0, done.stderr
    task = read_results(tmp_path / "r").tasks["viubench_jigsaw_easy"]
    assert (task.value, task.n) == (1, 7)


def test_a_folder_named_like_a_suite_does_not_shadow_it(clips: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "viubench-mini").mkdir()
    arguments = ("run", "--engine", "oracle", "--tasks", "viubench-mini", "--videos", clips, "--limit", 1)
    done = viubench(*arguments, "--out", tmp_path / "r", cache=cache, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_videos_that_give_too_few_items_are_run_and_said(clips: Path, cache: Path, tmp_path: Path) -> None:
    one = tmp_path / "one"
    one.mkdir()
    shutil.copy(sorted(clips.iterdir())[0], one)
    suite = tmp_path / "tasks" / "suites"
    suite.mkdir(parents=True)
    (suite / "many.yaml").write_text("suite: many\ntasks: [viubench_jigsaw_tiny]\nrecipe: many\n")
    (suite.parent / "recipes").mkdir()
    (suite.parent / "recipes" / "many.yaml").write_text("recipe: many\nitems: [{task: viubench_jigsaw_tiny, n: 40}]\n")
    task = (BUILT_IN / "viubench" / "viubench_jigsaw_easy.yaml").read_text()
    task = task.replace("viubench_jigsaw_easy", "viubench_jigsaw_tiny").replace("n: 6", "n: 3")
    (suite.parent / "viubench_jigsaw_tiny.yaml").write_text(task)
    arguments = ("run", "--engine", "oracle", "--tasks", "many", "--include-path", suite.parent, "--videos", one)
    done = viubench(*arguments, "--out", tmp_path / "r", cache=cache)
    assert done.returncode == 0, done.stderr
    made = read_results(tmp_path / "r").tasks["viubench_jigsaw_tiny"].n
    assert made <= 6, "one clip in three parts has six orders"
    assert f"viubench_jigsaw_tiny: {made} of 40 items could be made" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", "--tasks", "viubench-mini", "--out", "{out}"), "no model was named"),
        (("run", "--engine", "oracle", "--tasks", "viubench-mimi", "--out", "{out}"), "did you mean viubench-mini"),
        (("run", "--engine", "oracle", "--tasks", "viubench-mini", "--out", "{out}"), "--videos"),
        (("run", "--engine", "orakel", "--tasks", "viubench-mini", "--out", "{out}"), "did you mean oracle"),
        (("run", "--engine", "oracle", "--tasks", "viubench-mini", "--videos", "{out}/none", "--out", "{out}"), "none"),
        (("run", "--engine", "hf", "--model", "{out}", "--tasks", "{items}", "--out", "{out}/r"), "config.json"),
        (("report", "{out}"), "not a run"),
        (("tasks", "show", "viubench_count_esy"), "did you mean viubench_count_easy"),
        (("build", "--recipe", "viubench-mini", "--videos", "{items}", "--out", "{out}/b"), "no video"),
    ],
)
def test_a_mistake_is_answered_in_a_few_lines(
    arguments: tuple[str, ...], sentence: str, items: Path, cache: Path, tmp_path: Path
) -> None:
    done = viubench(*(a.format(out=tmp_path, items=items) for a in arguments), cache=cache)
    assert done.returncode == 2, done.stdout + done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 4


def test_a_dry_run_counts_and_answers_nothing(items: Path, cache: Path, tmp_path: Path) -> None:
    done = viubench("run", "--engine", "oracle", "--tasks", items, "--dry-run", "--out", tmp_path / "r", cache=cache)
    assert done.returncode == 0, done.stderr
    assert "90 samples" in done.stdout
    assert not (tmp_path / "r" / "records.jsonl").exists()


def test_prompts_that_will_not_fit_are_told_before_the_engine_is_started(
    items: Path, cache: Path, tmp_path: Path, tiny_model: Path
) -> None:
    short = ["--engine", "vllm", "--model", tiny_model, "--tasks", items, "--engine-arg", "max_model_len=300"]
    dry = viubench("run", *short, "--dry-run", "--out", tmp_path / "r", cache=cache)
    assert dry.returncode == 0, dry.stderr
    assert "text: the checkpoint's tokenizer" in dry.stdout
    assert "sequences of" in dry.stdout
    assert "warning: viubench_count_easy: 10 samples do not fit into 300 tokens: the longest" in dry.stdout
    done = viubench("run", *short, "--out", tmp_path / "r", cache=cache)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "90 of 90 samples are too long, more than --max-errors 0.01" in done.stderr
    assert not (tmp_path / "r" / "manifest.json").exists()


def test_published_rows_run_as_they_are(clips: Path, cache: Path, tmp_path: Path) -> None:
    """Rows in the paper's schema: lists of frames written elsewhere, a whole video, a jigsaw that says `shuffled`."""
    frames = tmp_path / "data" / "frames"
    frames.mkdir(parents=True)
    source = sorted(clips.iterdir())[0]
    shutil.copy(source, tmp_path / "data" / "whole.mp4")
    with av.open(str(source)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number == 48:
                break
            frame.to_image().save(frames / f"{number:03d}.jpg")
    files = [f"/home/author/videos/frames/{number:03d}.jpg" for number in range(48)]

    def row(source: str, videos: list[dict[str, Any]], truth: str) -> dict[str, Any]:
        marks = "<video>" * len(videos)
        return {
            "data_source": source,
            "prompt": [{"role": "user", "content": f"{marks}Their own wording."}],
            "videos": videos,
            "reward_model": {"style": "rule", "ground_truth": truth},
            "extra_info": {"index": 0},
        }

    rows = [
        row("grounding_mirror", [{"video": files, "sample_fps": 4.0}], "1.0-3.5"),
        row("counting", [{"video": files, "sample_fps": 4.0}], "2,0,5"),
        row("shuffled", [{"video": files[8 * k : 8 * k + 8], "sample_fps": 4.0} for k in range(6)], "341562"),
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / "data" / "lists.parquet")
    whole = [row("grounding", [{"video": "whole.mp4"}], "2.0-4.0")]
    pd.DataFrame(whole).to_parquet(tmp_path / "data" / "whole.parquet")
    out = tmp_path / "r"
    done = viubench("run", "--engine", "oracle", "--tasks", tmp_path / "data", "--out", out, cache=cache, script=PACED)
    assert done.returncode == 0, done.stderr
    shown = {record.task: record for record in read_records(out)}
    assert set(shown) == {"viubench_ground_mirror", "videossr_count", "viubench_jigsaw_easy", "videossr_ground"}
    assert all(record.scores and record.question.endswith("Their own wording.") for record in shown.values())
    jigsaw = shown["viubench_jigsaw_easy"].frames
    assert jigsaw is not None
    assert (jigsaw.videos, len(jigsaw.indices)) == (6, 48)
    assert read_manifest(out).protocols["viubench_ground_mirror"].protocol == "viubench-paper"
    named = viubench(
        "run",
        "--engine",
        "random",
        "--tasks",
        "viubench_ground_mirror",
        "--data-root",
        tmp_path / "data",
        "--out",
        tmp_path / "n",
        cache=cache,
    )
    assert named.returncode == 0, named.stderr
