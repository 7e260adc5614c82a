"""Data from a hub on loopback: whole files under their own names, resumed, checked; each refusal with its own words."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_hub import Hub

from viubench.datasets import archives, download, hub_client, local_manifest
from viubench.errors import ViubenchError
from viubench.schema import Task

ROWS = b'{"q": "What is poured?", "answer": "tea", "video": "a"}\n'
VIDEO = bytes(range(256)) * 40


def packed(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


FILES = {
    "data/test-00000.jsonl": ROWS,
    "videos_1.zip": packed({"v/a.mp4": VIDEO}),
    "videos_2.zip": packed({"v/b.mp4": VIDEO[::-1]}),
    "README.md": b"about",
}


def make(**changes: Any) -> Task:
    about: dict[str, Any] = {
        "task": "pours",
        "domain": "general",
        "dataset_path": "old/pours",
        "rows": {"files": ["data/test-*"]},
        "video": {"path": "{{ video }}", "roots": ["v"], "extensions": [".mp4"], "archives": ["videos_*.zip"]},
        "question": "{{ q }}",
        "answer": "{{ answer }}",
        "evaluator": {"name": "choice"},
        "metric": "accuracy",
        "protocol": "viubench",
    }
    return Task.model_validate(about | changes)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        yield found


def tree(folder: Path) -> dict[str, bytes]:
    hidden = (local_manifest.MANIFEST, local_manifest.LOCK)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in hidden
    }


WHOLE = {name: content for name, content in FILES.items() if name != "README.md"} | {
    "v/a.mp4": VIDEO,
    "v/b.mp4": VIDEO[::-1],
}


def test_a_fetch_brings_what_the_task_needs_and_a_second_one_nothing(site: Hub, tmp_path: Path) -> None:
    commit = site.add("old/pours", FILES).revision
    got = download.fetch([make()], tmp_path)
    assert got.resolved == ("old/pours", "old/pours", commit)
    assert (got.files, got.written) == (3, 3)
    assert tree(tmp_path) == WHOLE
    held = local_manifest.load(tmp_path)
    assert held.files["videos_1.zip"].sha256 == hashlib.sha256(FILES["videos_1.zip"]).hexdigest()
    assert held.fetched["pours"].revision == local_manifest.revision(make(), tmp_path) == commit
    before = len(site.downloads)
    jobs: list[str] = []

    def noting(what: str) -> AbstractContextManager[archives.Update]:
        jobs.append(what)
        return download.silent(what)

    assert download.fetch([make()], tmp_path, progress=noting).written == 0
    assert len(site.downloads) == before == 3
    assert not [job for job in jobs if job.startswith("unpacking")]


def test_rows_only_leaves_the_videos(site: Hub, tmp_path: Path) -> None:
    site.add("old/pours", FILES)
    download.fetch([make()], tmp_path, "rows")
    assert tree(tmp_path) == {"data/test-00000.jsonl": ROWS}
    assert download.fetch([make()], tmp_path, "all").written == 2


def test_videos_that_are_not_packed_come_one_by_one(site: Hub, tmp_path: Path) -> None:
    site.add("old/pours", {"data/test-00000.jsonl": ROWS, "v/a.mp4": VIDEO, "other/b.mp4": VIDEO, "v/note.txt": b"x"})
    download.fetch([make(video={"path": "{{ video }}", "roots": ["v"]})], tmp_path)
    assert set(tree(tmp_path)) == {"data/test-00000.jsonl", "v/a.mp4"}


def test_of_rows_in_two_formats_one_comes(site: Hub, tmp_path: Path) -> None:
    site.add("old/pours", FILES | {"data/test-00000.parquet": b"PAR1"})
    download.fetch([make()], tmp_path, "rows")
    assert set(tree(tmp_path)) == {"data/test-00000.parquet"}


def test_a_renamed_id_is_followed(site: Hub, tmp_path: Path) -> None:
    commit = site.add("new/pours", FILES).revision
    site.moved["old/pours"] = "new/pours"
    assert download.resolve(make()) == ("old/pours", "new/pours", commit)
    download.fetch([make()], tmp_path, "rows")
    assert local_manifest.load(tmp_path).fetched["pours"].answered == "new/pours"


def test_a_fallback_answers_when_the_id_is_gone_or_closed(site: Hub) -> None:
    site.add("new/pours", FILES)
    task = make(fallbacks=["no/such", "new/pours"])
    assert download.resolve(task).asked == "new/pours"
    site.add("old/pours", FILES, refuse=(401, ""))
    assert download.resolve(task).repo == "new/pours"


def test_a_commit_is_pinned(site: Hub) -> None:
    commit = site.add("old/pours", FILES).revision
    assert download.resolve(make(revision=commit)).revision == commit
    with pytest.raises(ViubenchError, match="no commit, branch or tag 'video'"):
        download.resolve(make(revision="video"))


@pytest.mark.parametrize(
    ("refuse", "message", "hint"),
    [
        ((403, "GatedRepo"), "is gated", "accept the terms at .*/datasets/old/pours and set HF_TOKEN"),
        ((401, "GatedRepo"), "is gated", "by hand into the folder 'pours'"),
        ((401, ""), r"refuses old/pours \(401\): it is private", "HF_TOKEN"),
        ((403, ""), r"refuses old/pours \(403\): it is private", "HF_TOKEN"),
        ((404, "RepoNotFound"), "no data set old/pours is on the hub", "fallbacks"),
        ((500, ""), "answered 500", "retry later"),
    ],
)
def test_each_refusal_has_its_own_words(
    site: Hub, tmp_path: Path, refuse: tuple[int, str], message: str, hint: str
) -> None:
    site.add("old/pours", FILES, refuse=refuse)
    with pytest.raises(ViubenchError, match=message) as caught:
        download.fetch([make()], tmp_path)
    assert re.search(hint, caught.value.hint or "")
    assert len(site.downloads) <= 1 or refuse[0] >= 500  # a refusal is not asked for again
    assert "hf_secret" not in f"{caught.value.message}{caught.value.hint}{caught.value.where}"


def test_all_ids_are_named_when_none_answers(site: Hub) -> None:
    site.add("b/pours", FILES, refuse=(401, ""))
    with pytest.raises(ViubenchError, match=r"refuses b/pours .*; no data set old/pours is on the hub"):
        download.resolve(make(fallbacks=["b/pours"]))


def test_without_a_network(site: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ViubenchError, match="cannot be reached") as caught:
        download.resolve(make())
    assert caught.value.where == "http://127.0.0.1:9"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ViubenchError, match="HF_HUB_OFFLINE"):
        download.resolve(make())


def test_what_is_no_hub_and_what_is_no_id(site: Hub) -> None:
    with pytest.raises(ViubenchError, match="cannot be requested"):
        download.resolve(make(dataset_path="a/b/c"))


def test_the_token_is_not_sent_to_the_host_of_large_files(site: Hub, tmp_path: Path) -> None:
    site.add("old/pours", FILES)
    download.fetch([make()], tmp_path)
    sent = {path.split("/")[1]: headers.get("authorization") for path, headers in site.asked}
    assert sent == {"api": "Bearer hf_secret", "datasets": "Bearer hf_secret", "content": None}


def test_a_connection_that_breaks_is_taken_up_where_it_was(site: Hub, tmp_path: Path) -> None:
    site.add("old/pours", FILES)
    site.break_after, site.breaks = 700, 3
    download.fetch([make()], tmp_path)
    assert tree(tmp_path) == WHOLE
    starts = [headers["range"] for path, headers in site.asked if path.startswith("/content/")]
    assert starts == ["bytes=0-", "bytes=700-", "bytes=1400-", "bytes=2100-", "bytes=0-"]


def test_a_connection_that_brings_nothing_is_given_up_and_later_gone_on_with(site: Hub, tmp_path: Path) -> None:
    site.add("old/pours", FILES)
    site.break_after, site.breaks = 700, 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub_client, "PATIENCE", 0)
        with pytest.raises(ViubenchError, match="cannot be reached"):
            download.fetch([make()], tmp_path)
    assert not (tmp_path / "videos_1.zip").exists()
    assert list(local_manifest.load(tmp_path).files) == ["data/test-00000.jsonl"]
    site.asked.clear()
    got = download.fetch([make()], tmp_path)
    assert got.written == 2
    assert tree(tmp_path) == WHOLE
    assert [h["range"] for path, h in site.asked if path.startswith("/content/")] == ["bytes=700-", "bytes=0-"]


KILLED = """
import os, sys
from pathlib import Path
from viubench.schema import Task
from viubench.datasets import archives, download
from contextlib import contextmanager

@contextmanager
def dying(what):
    def update(done, total):
        if what.startswith(sys.argv[3]) and done >= total / 2:
            os._exit(9)
    yield update

download.fetch([Task.model_validate_json(sys.argv[1])], Path(sys.argv[2]), "all", dying)
"""


@pytest.mark.parametrize("during", ["downloading", "unpacking videos_2"])
def test_a_killed_fetch_is_gone_on_with(site: Hub, tmp_path: Path, during: str) -> None:
    tmp_path /= "killed"
    site.add("old/pours", FILES)
    command = [sys.executable, "-c", KILLED, make().model_dump_json(), str(tmp_path), during]
    assert subprocess.run(command, env=os.environ, check=False).returncode == 9
    assert "v/b.mp4" not in tree(tmp_path)
    assert download.ensure(make(data="killed"), tmp_path.parent) == tmp_path
    assert tree(tmp_path) == WHOLE


def test_a_server_that_knows_no_ranges(site: Hub, tmp_path: Path) -> None:
    site.add("old/pours", FILES)
    site.break_after, site.ignore_range = 700, True
    download.fetch([make()], tmp_path)
    assert tree(tmp_path) == WHOLE


def test_a_file_that_was_changed_on_the_way_is_refused(site: Hub, tmp_path: Path) -> None:
    site.add("old/pours", FILES)
    site.corrupt = True
    with pytest.raises(ViubenchError, match="came damaged"):
        download.fetch([make()], tmp_path)
    assert tree(tmp_path) == {}


def test_a_new_commit_brings_only_what_changed(site: Hub, tmp_path: Path) -> None:
    site.add("old/pours", FILES)
    first = download.fetch([make()], tmp_path).resolved.revision
    site.add("old/pours", FILES | {"videos_2.zip": packed({"v/b.mp4": VIDEO[:500]})})
    (tmp_path / f".videos_2.zip.{'0' * 16}.part").write_bytes(b"half of the first commit's")
    got = download.fetch([make()], tmp_path)
    assert (got.before, got.written) == (first, 1)
    assert tree(tmp_path).keys() == WHOLE.keys()
    assert tree(tmp_path)["v/b.mp4"] == VIDEO[:500]


def test_an_archive_deleted_after_it_was_unpacked_does_not_come_again(site: Hub, tmp_path: Path) -> None:
    site.add("old/pours", FILES)
    download.fetch([make()], tmp_path)
    (tmp_path / "videos_1.zip").unlink()
    assert download.fetch([make()], tmp_path).written == 0


def test_files_put_there_by_hand_are_recognised_and_never_overwritten(site: Hub, tmp_path: Path) -> None:
    site.add("old/pours", FILES)
    (tmp_path / "videos_1.zip").write_bytes(FILES["videos_1.zip"])
    (tmp_path / "data").mkdir()
    (tmp_path / "data/test-00000.jsonl").write_bytes(ROWS)
    assert download.fetch([make()], tmp_path).written == 1
    other = tmp_path / "other"
    (other / "data").mkdir(parents=True)
    (other / "data/test-00000.jsonl").write_bytes(b"mine")
    with pytest.raises(ViubenchError, match="in the way"):
        download.fetch([make()], other)
    assert (other / "data/test-00000.jsonl").read_bytes() == b"mine"


def test_no_room_is_said_with_both_figures(site: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("old/pours", FILES)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=30_000_000))
    monkeypatch.setattr(hub_client, "listing", lambda *_: {n: hub_client.Remote(10**9, "0" * 64) for n in FILES})
    with pytest.raises(ViubenchError, match=r"download 3 files and unpack them: it takes 5\.0 GB, 30 MB are free"):
        download.fetch([make()], tmp_path)
    assert tree(tmp_path) == {}


def test_files_the_hub_does_not_have(site: Hub, tmp_path: Path) -> None:
    site.add("old/pours", FILES)
    with pytest.raises(ViubenchError, match=r"no rows where the task expects them \(json/\*, test\)") as caught:
        download.fetch([make(rows={"files": ["json/*", "test"]})], tmp_path)
    assert "README.md" in (caught.value.where or "")
    with pytest.raises(ViubenchError, match=r"no videos where .* \(\*\.tar\)") as caught:
        download.fetch([make(video={"path": "x", "archives": ["*.tar"]})], tmp_path)
    assert "--rows-only" in (caught.value.hint or "")
    assert tree(tmp_path) == {}


def test_globs_of_other_layouts_need_not_match(site: Hub, tmp_path: Path) -> None:
    site.add("old/pours", FILES)
    video = {"path": "x", "archives": ["all.zip", "videos_1.zip"]}
    assert download.fetch([make(rows={"files": ["data/test-*", "test-*"]}, video=video)], tmp_path).files == 2


@pytest.mark.parametrize("name", ["../out.jsonl", "/etc/out.jsonl", "data/../../out.jsonl"])
def test_names_that_lead_out_of_the_folder_are_refused(site: Hub, tmp_path: Path, name: str) -> None:
    site.add("old/pours", {name: ROWS})
    with pytest.raises(ViubenchError, match=r"the name .* (absolute|leads out)"):
        download.fetch([make(rows={"files": ["**/*.jsonl"]})], tmp_path / "in", "rows")
    assert not list(tmp_path.rglob("*"))


def test_a_data_set_cannot_bring_its_own_manifest(site: Hub, tmp_path: Path) -> None:
    site.add("old/pours", FILES | {local_manifest.MANIFEST: b"{}"})
    with pytest.raises(ViubenchError, match=r"holds a file named '\.viubench"):
        download.fetch([make(video={"path": "x", "archives": ["*.manifest"]})], tmp_path)


def test_ensure_fetches_once_and_leaves_data_put_there_by_hand(site: Hub, tmp_path: Path) -> None:
    site.add("old/pours", FILES)
    assert download.ensure(make(), tmp_path) == tmp_path / "pours"
    asked = len(site.asked)
    download.ensure(make(), tmp_path)
    assert len(site.asked) == asked
    download.ensure(make(task="sips", data="pours"), tmp_path)  # another task of the same data
    assert len(site.asked) == asked
    (tmp_path / "mine" / "data").mkdir(parents=True)
    (tmp_path / "mine/data/test-0.jsonl").write_bytes(ROWS)
    local_manifest.save(
        local_manifest.LocalManifest(files={"data/test-0.jsonl": local_manifest.ManifestFile(size=1, sha256="")}),
        tmp_path / "mine",
    )
    for dataset_path in ("", "old/pours"):
        download.ensure(make(data="mine", dataset_path=dataset_path), tmp_path)
    assert len(site.asked) == asked
    with pytest.raises(ViubenchError, match=r"get it from example.org") as caught:
        download.ensure(make(data="none", dataset_path="", metadata={"source": "example.org"}), tmp_path)
    assert str(tmp_path / "none") in (caught.value.hint or "")


def test_a_task_cannot_name_a_folder_outside_the_root(tmp_path: Path) -> None:
    for data in ("../x", "/x", "a/../../x"):
        with pytest.raises(ViubenchError, match="name"):
            download.folder_of(make(data=data), tmp_path)


def test_the_default_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIUBENCH_DATA", str(tmp_path))
    assert download.default_data_root() == tmp_path
    monkeypatch.delenv("VIUBENCH_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert download.default_data_root() == tmp_path / "caches/viubench/data"
    (tmp_path / ".cache/viubench/data").mkdir(parents=True)
    assert download.default_data_root() == tmp_path / ".cache/viubench/data", "where an earlier version put it"


parts = st.sampled_from(["a", "b", "ab", "a.zip", "b.zip", "x1"])
globs = st.sampled_from(["**", "*", "a", "*.zip", "a*", "?", "[ab]*"])


@given(
    names=st.sets(st.lists(parts, min_size=1, max_size=3).map("/".join), max_size=8),
    glob=st.lists(globs, min_size=1, max_size=3),
)
def test_globs_mean_on_the_hub_what_they_mean_on_disk(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], glob: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("globs")
    names = {name for name in names if not any(other.startswith(f"{name}/") for other in names)}
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    pattern = "/".join([*glob, "*"] if glob[-1] == "**" else glob)
    there = {path.relative_to(folder).as_posix() for path in folder.glob(pattern) if path.is_file()}
    assert set(download.matching(sorted(names), pattern)) == there
