"""`viubench data fetch` and `verify`: what they say and how they end, against a hub on loopback."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from local_hub import Hub
from typer.testing import CliRunner, Result

from viubench.cli import app as viubench
from viubench.cli.data import app
from viubench.datasets import hub_client, local_manifest
from viubench.datasets.verify import verify
from viubench.errors import ViubenchError
from viubench.tasks.registry import load_task

VIDEO = b"\0\0\0\x20ftypisom" + bytes(3000)


def rows(*videos: str) -> bytes:
    lines = [
        {"id": n, "question": "What is poured?", "options": ["tea", "milk"], "answer": "A", "video": video}
        for n, video in enumerate(videos)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def packed(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


FILES = {
    "test.jsonl": rows("a", "b", "b", "c"),
    "extra.jsonl": rows("a"),
    "videos_1.zip": packed({"v/a.mp4": VIDEO, "v/b.mp4": VIDEO}),
    "videos_2.zip": packed({"v/c.mkv": VIDEO}),
}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as found:
        found.add("ours/pours", FILES)
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        yield found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with task files beside the data root, and no data yet."""
    monkeypatch.setenv("VIUBENCH_DATA", str(tmp_path / "data"))
    declare(tmp_path, "pours", expected=4)
    return tmp_path


def declare(world: Path, name: str, expected: int | None = None, **changes: Any) -> Path:
    task = {
        "task": name,
        "domain": "general",
        "data": "pours",
        "dataset_path": "ours/pours",
        "rows": {"files": ["test"], "expected": expected},
        "video": {"path": "{{ video }}", "roots": ["v", ""], "extensions": [".mp4", ".mkv"], "archives": ["*.zip"]},
        "id": "{{ id }}",
        "question": "{{ question }}",
        "options": "{{ options }}",
        "answer": "{{ answer }}",
        "evaluator": {"name": "choice"},
        "metric": "accuracy",
        "protocol": "viubench",
    }
    path = world / "tasks" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(task | changes))
    return path


def run(world: Path, *args: str) -> Result:
    return CliRunner().invoke(app, [*args, "--quiet", "--include-path", str(world / "tasks")])


def test_fetch_then_verify(world: Path, site: Hub) -> None:
    done = run(world, "fetch", "pours")
    assert done.exit_code == 0, done.output
    assert "ours/pours, commit" in done.output
    assert "3 files needed, 3 downloaded now" in done.output
    assert "pours: 4 rows (4 published), 3 videos or frames named" in done.output
    assert "3 files, sizes compared, 0 differ" in done.output
    again = run(world, "fetch", "pours")
    assert (again.exit_code, "0 downloaded now" in again.output) == (0, True)
    deep = run(world, "verify", "pours", "--deep")
    assert (deep.exit_code, "checksums compared, 0 differ" in deep.output) == (0, True)


def test_a_missing_video_is_named_with_what_it_costs_and_where_it_would_come_from(world: Path, site: Hub) -> None:
    run(world, "fetch", "pours")
    data = world / "data" / "pours"
    (data / "v/b.mp4").unlink()
    (data / "v/c.mkv").write_bytes(b"")
    (data / "v/a.mp4").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
    done = run(world, "verify", "pours")
    assert done.exit_code == 1
    assert "v/b.mp4 is missing (2 rows): its archive videos_1.zip was unpacked here" in done.output
    assert "v/c.mkv is empty (1 row)" in done.output
    assert "v/a.mp4 is a git-lfs pointer (1 row)" in done.output
    assert "4 of 4 rows lack a video" in done.output


def test_why_a_video_is_missing(world: Path) -> None:
    task = load_task(declare(world, "pours"))
    data = world / "data" / "pours"
    data.mkdir(parents=True)
    (data / "test.jsonl").write_bytes(rows("b", "c", "gone", "../../etc/passwd"))

    def whys() -> dict[str, str]:
        return {fault.path: fault.why for fault in verify([task], data).tasks[0].faults}

    assert whys()["v/gone.mp4"] == "no archive lies here: viubench data fetch pours"
    (data / "x.zip").write_bytes(b"PK cut short")
    assert "cannot be read: 'x.zip' is damaged" in whys()["v/gone.mp4"]
    (data / "x.zip").write_bytes(FILES["videos_2.zip"])
    found = whys()
    assert found["v/gone.mp4"] == "in no archive that lies here"
    assert found["v/c.mp4"].startswith("its archive x.zip is here but not unpacked")  # under its other suffix
    assert any("passwd" in path and "leads out" in why for path, why in found.items())


def test_a_wrong_number_of_rows_and_rows_that_cannot_be_read(world: Path, site: Hub) -> None:
    declare(world, "five", expected=5)
    declare(world, "odd", answer="{{ nothing }}")
    done = run(world, "fetch", "five,odd")
    assert done.exit_code == 1
    assert "4 rows, but the published set has 5" in done.output
    assert "odd: 0 rows" in done.output
    assert "nothing" in done.output


def test_no_rows(world: Path) -> None:
    done = run(world, "verify", "pours")
    assert done.exit_code == 1
    assert "its rows are not here (test): viubench data fetch pours" in done.output


def test_changed_and_lost_files_are_seen(world: Path, site: Hub) -> None:
    run(world, "fetch", "pours")
    data = world / "data" / "pours"
    (data / "videos_1.zip").unlink()  # it was unpacked
    changed = FILES["videos_2.zip"].replace(b"ftyp", b"FTYP")
    (data / "videos_2.zip").write_bytes(changed)
    assert run(world, "verify", "pours").exit_code == 0
    deep = run(world, "verify", "pours", "--deep")
    assert deep.exit_code == 1
    assert "videos_2.zip has changed: its checksum is not that of the manifest" in deep.output
    (data / "videos_2.zip").write_bytes(changed[:-1])
    assert "videos_2.zip has changed" in run(world, "verify", "pours").output


def test_write_manifest_notes_what_was_put_there_by_hand(world: Path) -> None:
    data = world / "data" / "pours"
    (data / "v").mkdir(parents=True)
    (data / "test.jsonl").write_bytes(rows("a", "a", "a", "a"))
    (data / "v" / "a.mp4").write_bytes(VIDEO)
    done = run(world, "verify", "pours", "--write-manifest")
    assert (done.exit_code, "2 files recorded" in done.output) == (0, True)
    assert set(local_manifest.load(data).files) == {"test.jsonl", "v/a.mp4"}
    (data / "v" / "a.mp4").write_bytes(VIDEO[:-1] + b"x")
    for option in ("--write-manifest", "--quiet"):  # noting never excuses a change
        done = run(world, "verify", "pours", "--deep", option)
        assert (done.exit_code, "v/a.mp4 has changed" in done.output) == (1, True)


def test_tasks_of_one_folder_are_fetched_once(world: Path, site: Hub) -> None:
    declare(world, "more", rows={"files": ["extra"]})
    done = run(world, "fetch", "pours,more")
    assert done.exit_code == 0, done.output
    assert done.output.count("ours/pours, commit") == 1
    assert "4 files needed" in done.output
    assert len(site.downloads) == 4
    assert set(local_manifest.load(world / "data" / "pours").fetched) == {"pours", "more"}


def test_rows_only(world: Path, site: Hub) -> None:
    done = run(world, "fetch", "pours", "--rows-only")
    assert done.exit_code == 0, done.output
    assert "pours: 4 rows (4 published)" in done.output
    assert [path.rsplit("/", 1)[1] for path in site.downloads] == ["test.jsonl"]


def test_what_cannot_be_fetched_does_not_keep_back_the_rest(world: Path, site: Hub) -> None:
    declare(world, "closed", data="closed", dataset_path="ours/closed")
    site.add("ours/closed", FILES, refuse=(403, "GatedRepo"))
    done = run(world, "fetch", "closed,pours")
    assert done.exit_code == 2
    assert "ours/closed is gated" in done.output
    assert "accept the terms" in done.output
    assert "pours: 4 rows" in done.output
    assert "Traceback" not in done.output


def test_data_that_no_hub_has_is_unpacked_once_it_is_there(world: Path) -> None:
    declare(world, "mine", data="mine", dataset_path="", metadata={"source": "https://example.org/pours"})
    done = run(world, "fetch", "mine")
    assert done.exit_code == 1
    assert "get it from https://example.org/pours" in done.output
    assert str(world / "data" / "mine") in done.output
    data = world / "data" / "mine"
    data.mkdir(parents=True)
    for name in ("test.jsonl", "videos_1.zip", "videos_2.zip"):
        (data / name).write_bytes(FILES[name])
    done = run(world, "fetch", "mine")
    assert done.exit_code == 0, done.output
    assert (data / "v/c.mkv").read_bytes() == VIDEO


def test_the_data_root_may_be_the_data_set(world: Path) -> None:
    root = world / "elsewhere"
    (root / "v").mkdir(parents=True)
    (root / "test.jsonl").write_bytes(rows("a", "a", "a", "a"))
    (root / "v" / "a.mp4").write_bytes(VIDEO)
    assert run(world, "verify", "pours", "--data-root", str(root)).exit_code == 0


def test_names_from_the_data_cannot_act_on_the_screen(world: Path) -> None:
    data = world / "data" / "pours"
    data.mkdir(parents=True)
    (data / "test.jsonl").write_bytes(rows("\x1b[2Jx"))
    done = run(world, "verify", "pours")
    assert "\x1b" not in done.output
    assert "␛[2Jx.mp4 is missing" in done.output


def test_many_faults_are_cut_short_unless_all_are_wanted(world: Path) -> None:
    data = world / "data" / "pours"
    data.mkdir(parents=True)
    (data / "test.jsonl").write_bytes(rows(*(f"x{n}" for n in range(30))))
    few = run(world, "verify", "pours").output
    assert "... and 11 more: --all names them" in few  # 30 videos and the number of rows
    assert run(world, "verify", "pours", "--all").output.count("is missing") == 30


def test_pretext_tasks_have_no_data(world: Path) -> None:
    with pytest.raises(ViubenchError, match="built from any videos"):
        CliRunner().invoke(app, ["fetch", "viubench-mini"], catch_exceptions=False)


def test_a_damaged_manifest_is_named(world: Path) -> None:
    data = world / "data" / "pours"
    data.mkdir(parents=True)
    (data / local_manifest.MANIFEST).write_text('{"version": 1, "files": 3}')
    with pytest.raises(ViubenchError, match="manifest") as caught:
        local_manifest.load(data)
    assert str(data) in (caught.value.where or "")


def test_two_fetches_into_one_folder_do_not_meet(tmp_path: Path) -> None:
    with (
        local_manifest.locked(tmp_path),
        pytest.raises(ViubenchError, match="another process"),
        local_manifest.locked(tmp_path),
    ):
        pass


def test_a_small_file_is_compared_by_its_git_id(tmp_path: Path) -> None:
    """`printf hello | git hash-object --stdin`"""
    (tmp_path / "x").write_bytes(b"hello")
    remote = hub_client.Remote(5, "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0")
    assert hub_client.compared(tmp_path / "x", remote) == local_manifest.measure(tmp_path / "x", remote.id)
    (tmp_path / "x").write_bytes(b"Hello")
    assert hub_client.compared(tmp_path / "x", remote) is None


def test_a_run_without_data_fetches_it_and_records_its_commit(world: Path, site: Hub) -> None:
    declare(world, "pours", expected=4, dataset_path="theirs/pours", fallbacks=["ours/pours"])
    words = ["run", "--engine", "oracle", "--tasks", "pours", "--out", str(world / "run"), "--quiet"]
    done = CliRunner().invoke(viubench, [*words, "--include-path", str(world / "tasks")])
    assert done.exit_code == 0, done.output
    assert (world / "data/pours/v/c.mkv").exists()
    manifest = json.loads((world / "run/manifest.json").read_text())
    assert len(manifest["tasks"]["pours"]["revision"]) == 40
    assert json.loads((world / "run/results.json").read_text())["tasks"]["pours"]["value"] == 1
