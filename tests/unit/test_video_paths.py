"""Where videos may lie: a folder, one file, behind links only where the user or a hub's cache has put them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import viubench
from viubench.errors import MediaError, ViubenchError
from viubench.video.discover import list_videos
from viubench.video.paths import FOLLOW, resolve


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder with links to a file, to a folder and back to itself."""
    (tmp_path / "store" / "deep").mkdir(parents=True)
    for name in ("a.mp4", "deep/b.mp4"):
        (tmp_path / "store" / name).write_bytes(b"x")
    media = tmp_path / "media"
    media.mkdir()
    (media / "a.mp4").symlink_to(tmp_path / "store" / "a.mp4")
    (media / "folder").symlink_to(tmp_path / "store" / "deep")
    (media / "loop").symlink_to(media)
    return media


def test_links_are_followed_where_the_user_says_so(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list_videos(shared)[0] == ["a.mp4"]
    with pytest.raises(
        MediaError, match=rf"a link that leads out of .*; to follow links: --follow-links, or {FOLLOW}=1"
    ):
        resolve(shared, "a.mp4")
    monkeypatch.setenv(FOLLOW, "1")
    assert list_videos(shared)[0] == ["a.mp4", "folder/b.mp4"]
    assert resolve(shared, "folder/b.mp4") == shared.parent / "store" / "deep" / "b.mp4"
    for name in ("../store/a.mp4", "x/../../store/a.mp4", str(shared.parent / "store" / "a.mp4")):
        with pytest.raises(MediaError, match="outside root"):
            resolve(shared, name)


def test_an_option_says_so_for_one_command(clips: Path, tmp_path: Path) -> None:
    """Clips on shared storage, linked one by one."""
    (tmp_path / "media").mkdir()
    for path in sorted(clips.iterdir())[:3]:
        (tmp_path / "media" / path.name).symlink_to(path)
    words = ["build", "--recipe", "tiny", "--n", "2", "--videos", "media", "--out", "items", "--quiet"]
    command, own = [sys.executable, "-m", "viubench", *words], os.environ | {"VIUBENCH_CACHE": str(tmp_path / "cache")}
    refused = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True)
    assert "to follow links: --follow-links" in refused.stderr
    subprocess.run([*command, "--follow-links"], cwd=tmp_path, env=own, check=True)
    assert (tmp_path / "items" / "items.jsonl").read_text().count("\n") == 6


def test_a_snapshot_of_a_hub_s_cache_is_made_of_links(tmp_path: Path) -> None:
    repository = tmp_path / "datasets--a--b"
    blob, snapshot = repository / "blobs" / "1f", repository / "snapshots" / "abc" / "videos"
    for path in (blob.parent, snapshot, tmp_path / "other"):
        path.mkdir(parents=True)
    blob.write_bytes(b"x")
    (tmp_path / "other" / "c.mp4").write_bytes(b"x")
    (snapshot / "a.mp4").symlink_to(blob)
    (snapshot / "b.mp4").symlink_to(tmp_path / "other" / "c.mp4")
    assert resolve(snapshot, "a.mp4") == resolve(snapshot.parent, "videos/a.mp4") == blob
    with pytest.raises(MediaError, match="a link that leads out"):
        resolve(snapshot, "b.mp4")


def test_one_video_will_do(clips: Path, tmp_path: Path) -> None:
    first = clips / list_videos(clips)[0][0]
    options = {"engine": "oracle", "tasks": "viubench_jigsaw_easy", "limit": 2, "frame_cache": tmp_path / "cache"}
    run = viubench.evaluate(**options, videos=first, out=tmp_path / "r")  # type: ignore[arg-type]
    assert {record.cluster for record in run.records} == {run.records[0].cluster}
    assert run.valid
    again = viubench.evaluate(**options, videos=str(first), out=tmp_path / "r")  # type: ignore[arg-type]
    assert again.records == run.records
    with pytest.raises(ViubenchError, match="no such folder or video"):
        viubench.evaluate(**options, videos=clips / "none.mp4", out=tmp_path / "n")  # type: ignore[arg-type]


def test_folders_that_are_not_searched_are_told(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links, and folders without permission (the tests may run as one to whom nothing is forbidden)."""
    (shared / "closed").mkdir()
    scan = os.scandir

    def refused(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refused)
    link = f"folder: a linked folder; to search those: --follow-links, or {FOLLOW}=1"
    assert list_videos(shared).left_out == ["closed: Permission denied", link], "the loop leads to nothing new"
    (shared / "a.mp4").unlink()
    with pytest.raises(
        ViubenchError, match=r"no video files in .*; not searched: closed: Permission denied; folder: a"
    ):
        list_videos(shared)


def test_a_file_in_a_closed_folder_is_unreadable_not_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refused)
    with pytest.raises(MediaError, match=r"a\.mp4: unreadable \(Permission denied\)"):
        resolve(tmp_path, "a.mp4")


@pytest.mark.parametrize("name", [" a.mp4", "a .mp4", "\ta.mp4"])
def test_a_name_may_start_with_a_space(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert resolve(tmp_path, name).name == name
