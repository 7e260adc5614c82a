"""Any tree comes out of an archive as it went in; a hostile archive is refused before anything is written."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viubench.datasets import archives
from viubench.datasets.archives import Archive
from viubench.errors import ViubenchError

Packer = Callable[[Mapping[str, bytes]], bytes]
Member = tuple[str, bytes] | zipfile.ZipInfo | tarfile.TarInfo


def pack_zip(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def pack_tar(files: Mapping[str, bytes], mode: str = "w:", form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode, format=form) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


PACKERS: dict[str, Packer] = {
    "x.zip": pack_zip,
    "stored.zip": lambda files: pack_zip(files, zipfile.ZIP_STORED),
    "x.tar": pack_tar,
    "gnu.tar": lambda files: pack_tar(files, form=tarfile.GNU_FORMAT),
    "x.tar.gz": lambda files: pack_tar(files, "w:gz"),
    "x.tgz": lambda files: pack_tar(files, "w:gz"),
}


def tags(style: str, count: int) -> list[str]:
    letters = [chr(97 + n // 26) + chr(97 + n % 26) for n in range(count)]
    digits = [f"{n + 1:03d}" for n in range(count)]
    return {
        ".part.aa": [f".part.{tag}" for tag in letters],
        ".partaa": [f".part{tag}" for tag in letters],
        ".aa": [f".{tag}" for tag in letters],
        ".001": [f".{tag}" for tag in digits],
        ".part-01": [f".part-{n:02d}" for n in range(count)],
    }[style]


def write(folder: Path, name: str, content: bytes, endings: Sequence[str] = ("",)) -> Archive:
    """The content as one file, or cut into a part for each ending; and as `find` sees it."""
    size = -(-len(content) // len(endings))
    for number, ending in enumerate(endings):
        (folder / (name + ending)).write_bytes(content[number * size : (number + 1) * size])
    (archive,) = archives.find(folder, [f"{name}*"])
    return archive


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


letters = st.text(st.characters(categories=["Ll", "Nd"], include_characters=" -_+é"), min_size=1, max_size=9)
names = st.lists(letters.filter(lambda part: part.strip()), min_size=1, max_size=3).map("/".join)
trees = st.dictionaries(names, st.binary(max_size=3000), max_size=6).filter(
    lambda files: (
        not any(a != b and (a.casefold() == b.casefold() or f"{b}/".startswith(f"{a}/")) for a in files for b in files)
    )
)


@given(
    files=trees,
    kind=st.sampled_from(list(PACKERS)),
    style=st.sampled_from(["", ".part.aa", ".partaa", ".aa", ".001", ".part-01"]),
    count=st.integers(1, 30),
)
@settings(max_examples=60, deadline=None)
def test_a_tree_comes_out_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], kind: str, style: str, count: int
) -> None:
    folder = tmp_path_factory.mktemp("archives")
    archive = write(folder, kind, PACKERS[kind](files), tags(style, count) if style else [""])
    assert archive.name == kind
    assert sorted(archives.names(archive)) == sorted(files)
    seen: list[tuple[int, int]] = []
    out = archives.unpack(archive, folder / "out", lambda done, total: seen.append((done, total)))
    assert tree(folder / "out") == files
    assert (out.files, out.written, out.bytes) == (len(files), len(files), sum(map(len, files.values())))
    assert seen == sorted(seen)
    assert not seen or seen[-1] == (out.bytes, out.bytes)
    assert archives.unpack(archive, folder / "out").written == 0


@given(files=trees.filter(bool), kind=st.sampled_from(list(PACKERS)), data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_damaged_archive_gives_the_right_files_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], kind: str, data: st.DataObject
) -> None:
    """A zip and a gz have checksums; a plain tar has them for its headers alone, so what is flipped in it may come."""
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(PACKERS[kind](files))
    place = data.draw(st.integers(0, len(content) - 1))
    flipped = data.draw(st.booleans())
    if flipped:
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        content = content[:place]
    archive = write(folder, kind, bytes(content))
    refusal = refused(archive, folder / "in" / "out")
    assert refusal is None or kind in f"{refusal.message} {refusal.where}"
    got = tree(folder / "in" / "out") if (folder / "in" / "out").exists() else {}
    assert set(tree(folder)) == {kind, *(f"in/out/{name}" for name in got)}
    if not (flipped and kind.endswith(".tar")):
        assert all(found in files.values() for found in got.values())
    assert refusal or len(got) == len(files)


def test_a_zip_whose_directory_lost_members_is_refused(tmp_path: Path) -> None:
    """A damaged length in the first entry swallows the second, which zipfile does not notice."""
    content = bytearray(PACKERS["stored.zip"]({"0": b"ab", "1": b"cd"}))
    content[content.index(b"PK\1\2") + 33] ^= 1  # the high byte of the length of its comment
    refusal = refused(write(tmp_path, "stored.zip", bytes(content)), tmp_path / "out")
    assert refusal is not None
    assert "1 of 2 members" in refusal.message


def refused(archive: Archive, into: Path) -> ViubenchError | None:
    try:
        archives.unpack(archive, into)
    except ViubenchError as error:
        return error
    return None


def zip_info(name: str, mode: int = 0, **about: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    for key, value in about.items():
        setattr(info, key, value)
    return info


def zip_of(*members: Member) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w") as archive:
        warnings.simplefilter("ignore", UserWarning)  # two members of one name
        archive.writestr("good/first.mp4", b"first")
        for member in members:
            if isinstance(member, tuple):
                archive.writestr(*member)
            else:
                assert isinstance(member, zipfile.ZipInfo)
                archive.writestr(member, b"../../out")
    return stream.getvalue()


def tar_info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def tar_of(*members: Member) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:") as archive:
        for member in (("good/first.mp4", b"first"), *members):
            if isinstance(member, tuple):
                archive.addfile(tar_info(member[0], size=len(member[1])), io.BytesIO(member[1]))
            else:
                assert isinstance(member, tarfile.TarInfo)
                archive.addfile(member)
    return stream.getvalue()


def patched(content: bytes, old: bytes, new: bytes) -> bytes:
    assert old in content
    assert len(old) == len(new)
    return content.replace(old, new)


def hostile() -> dict[str, tuple[bytes, str]]:
    """Archive by what is bad in it, with what must be said. "first.mp4" before it is good."""
    long = "n" * 201
    bad_names = {
        "up": ("../out", "leads out"),
        "up inside": ("a/../../out", "leads out"),
        "absolute": ("/tmp/out", "absolute"),
        "drive": ("C:/out", "absolute"),
        "backslash": ("..\\out", "backslash"),
        "long": (long, "too long"),
    }
    found = {}
    for kind, (name, said) in bad_names.items():
        found[f"zip {kind}"] = (zip_of((name, b"x")), said)
        found[f"tar {kind}"] = (tar_of((name, b"x")), said)
    twice = {
        "twice": ("good/first.mp4", "twice"),
        "two cases": ("GOOD/First.mp4", "two spellings"),
        "two ways": ("./good//first.mp4", "twice"),
        "two forms": ("é", "two spellings"),
        "file and folder": ("good/first.mp4/x", "as a file and as a folder"),
    }
    for kind, (name, said) in twice.items():
        more = [("e\u0301", b"x")] if kind == "two forms" else []
        found[f"zip {kind}"] = (zip_of(*more, (name, b"x")), said)
        found[f"tar {kind}"] = (tar_of(*more, (name, b"x")), said)
    found |= {
        "zip NUL": (patched(zip_of(("a@b", b"x")), b"a@b", b"a\0b"), "NUL"),
        "zip no name": (zip_of((".", b"x")), "is empty"),
        "zip only NUL": (patched(zip_of(("@", b"x")), b"@", b"\0"), "NUL"),
        "tar no name": (tar_of((".", b"x")), "is empty"),
        "zip link": (zip_of(zip_info("l", stat.S_IFLNK | 0o777)), "a link"),
        "zip device": (zip_of(zip_info("d", stat.S_IFCHR)), "special file"),
        "zip fifo": (zip_of(zip_info("d", stat.S_IFIFO)), "special file"),
        "zip encrypted": (encrypted(), "encrypted"),
        "zip method": (packed_by(zip_of(("a", b"x")), 97), "cannot be read \\(97\\)"),
        "tar symlink": (tar_of(tar_info("l", tarfile.SYMTYPE, "/etc/passwd")), "a link"),
        "tar inner symlink": (tar_of(tar_info("l", tarfile.SYMTYPE, "good")), "a link"),
        "tar hard link": (tar_of(tar_info("l", tarfile.LNKTYPE, "good/first.mp4")), "a link"),
        "tar device": (tar_of(tar_info("d", tarfile.CHRTYPE)), "special file"),
        "tar fifo": (tar_of(tar_info("d", tarfile.FIFOTYPE)), "special file"),
        "tar sparse": (tar_of(tar_info("d", tarfile.GNUTYPE_SPARSE)), "special file|damaged"),
        "tar.gz link": (gzip.compress(tar_of(tar_info("l", tarfile.SYMTYPE, "x"))), "a link"),
        "zip bomb": (pack_zip({"a": bytes(200_000), "b": bytes(200_000)}), "more than 100 times"),
        "tar.gz bomb": (gzip.compress(tar_of(("a", bytes(400_000)))), "more than 100 times"),
        "tar long header": (long_header(), "impossible length"),
        "tar.gz long header": (gzip.compress(long_header()), "impossible length"),
        "tar cut between members": (tar_of(("a", b"x"))[:1024], "no end mark"),
        "tar bad header": (patched(tar_of(("aaaa", b"x")), b"aaaa", b"aaab"), "a damaged header at byte 1024"),
        "tar.gz bad checksum": (gzip.compress(tar_of(("a", b"x")))[:-8] + bytes(8), "damaged or cut short: CRC"),
        "not an archive": (b"<html>404</html>", "damaged or cut short"),
        "empty": (b"", "damaged or cut short"),
        "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "damaged or cut short"),
    }
    return found


def encrypted() -> bytes:
    """A zip whose second member says that it is encrypted, in both of its headers (bit 0 of the flags)."""
    content = bytearray(zip_of(("a", b"x")))
    content[content.rindex(b"PK\x03\x04") + 6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def packed_by(content: bytes, method: int) -> bytes:
    changed = bytearray(content)
    changed[changed.rindex(b"PK\x01\x02") + 10] = method
    return bytes(changed)


def long_header() -> bytes:
    """A tar whose next name is said to be 64 MiB long."""
    header = tar_info("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=64 << 20)
    return header.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 21)


HOSTILE = hostile()


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_refused_and_nothing_is_written(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, said = HOSTILE[kind]
    monkeypatch.setattr(archives, "SLACK", 0 if "bomb" in kind else 1 << 20)
    archive = write(tmp_path, "bad.zip", content)
    with pytest.raises(ViubenchError, match=said) as caught:
        archives.unpack(archive, tmp_path / "in" / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["bad.zip"]
    assert "bad.zip" in f"{caught.value.message} {caught.value.where}"


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    archive = write(tmp_path, "x.tar", pack_tar({str(n): b"" for n in range(4)}))
    with pytest.raises(ViubenchError, match="more than 3 members"):
        archives.unpack(archive, tmp_path / "out")


def test_a_zip_that_lies_about_a_size_stops_there(tmp_path: Path) -> None:
    """A member of 1000 bytes that says 10: no more than 10 are unpacked, and these are no file."""
    content = bytearray(zip_of(("a", bytes(1000))))
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 10)
    archive = write(tmp_path, "x.zip", bytes(content))
    with pytest.raises(ViubenchError, match="damaged") as caught:
        archives.unpack(archive, tmp_path / "out")
    assert "'a'" in (caught.value.where or "")
    assert tree(tmp_path / "out") == {"good/first.mp4": b"first"}


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write(tmp_path, "x.zip", pack_zip({"a": bytes(3_000_000), "b": b"b"}))
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2_000_000))
    with pytest.raises(ViubenchError, match=r"unpack 'x\.zip': it takes 3 MB, 2 MB are free"):
        archives.unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", PACKERS)
def test_a_stopped_unpacking_is_gone_on_with(tmp_path: Path, kind: str) -> None:
    files = {"v/a.mp4": b"a" * 4000, "v/b.mp4": b"b" * 4000, "v/c.mp4": b"c" * 4000}
    archive = write(tmp_path, kind, PACKERS[kind](files))
    out = tmp_path / "out"

    def stop(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archives.unpack(archive, out, stop)
    assert 0 < len(tree(out)) < 3
    (out / "v" / f".b.mp4.{'0' * 32}.part").write_bytes(b"left by a killed writer")
    (out / "v" / "mine.part").write_bytes(b"mine")
    (out / "v" / "a.mp4").write_bytes(b"A" * 4000)  # the right size, another content
    assert archives.unpack(archive, out).written == 3
    assert tree(out) == files | {"v/mine.part": b"mine"}


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    archive = write(tmp_path, "x.zip", pack_zip({"v/a.mp4": b"a"}))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "v").write_bytes(b"a file")
    with pytest.raises(ViubenchError, match=r"'x\.zip' cannot be unpacked") as caught:
        archives.unpack(archive, tmp_path / "out")
    assert "v/a.mp4" in (caught.value.where or "")


@pytest.mark.parametrize(
    "there",
    [
        ["x.tar.part.aa", "x.tar.part.ac"],
        ["x.tar.part.ac", "x.tar.part.ad"],
        ["x.tar.part.ab"],
        ["x.zip.001", "x.zip.003"],
        ["x.zip.002", "x.zip.003"],
        ["x.z01", "x.z02"],
        ["x.z01", "x.z03", "x.zip"],
    ],
)
def test_a_missing_part_is_noticed(tmp_path: Path, there: list[str]) -> None:
    for name in there:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ViubenchError, match="is not whole"):
        archives.find(tmp_path, ["*"])


def test_a_missing_last_part_is_noticed(tmp_path: Path) -> None:
    files = {name: bytes(9000) for name in "abcd"}
    for kind in ("x.tar", "x.zip"):
        folder = tmp_path / kind
        folder.mkdir()
        write(folder, kind, PACKERS[kind](files), tags(".part.aa", 4))
        (folder / f"{kind}.part.ad").unlink()
        (archive,) = archives.find(folder, ["*"])
        with pytest.raises(ViubenchError, match="damaged or cut short"):
            archives.unpack(archive, folder / "out")
        assert not (folder / "out").exists()


def test_a_zip_cut_plainly_into_z01_parts(tmp_path: Path) -> None:
    content = pack_zip({"a": b"a" * 500, "b": b"b" * 500}, zipfile.ZIP_STORED)
    for number, name in enumerate(["x.z01", "x.z02", "x.zip"]):
        (tmp_path / name).write_bytes(content[number * 400 : (number + 1) * 400 if number < 2 else None])
    (archive,) = archives.find(tmp_path, ["x.z*"])
    assert [part.name for part in archive.parts] == ["x.z01", "x.z02", "x.zip"]
    archives.unpack(archive, tmp_path / "out")
    assert tree(tmp_path / "out") == {"a": b"a" * 500, "b": b"b" * 500}


def test_several_whole_archives_and_sets_of_parts_side_by_side(tmp_path: Path) -> None:
    for name in ("v_01.zip", "v_02.zip", "w.tar.gz", "w.tar.part.aa", "w.tar.part.ab", ".v_03.zip.1234.part"):
        (tmp_path / name).write_bytes(b"x")
    found = archives.find(tmp_path, ["v_*.zip", "w.*"])
    assert [(a.name, len(a.parts)) for a in found] == [("v_01.zip", 1), ("v_02.zip", 1), ("w.tar", 2), ("w.tar.gz", 1)]
    with pytest.raises(ViubenchError, match="leads out"):
        archives.find(tmp_path, ["../*.zip"])


def test_folders_of_an_archive_are_made_and_its_own_is_no_member(tmp_path: Path) -> None:
    content = tar_of(tar_info("./", tarfile.DIRTYPE), tar_info("./empty", tarfile.DIRTYPE), ("./a", b"a"))
    archives.unpack(write(tmp_path, "x.tar", content), tmp_path / "out")
    assert (tmp_path / "out" / "empty").is_dir()
    assert tree(tmp_path / "out") == {"good/first.mp4": b"first", "a": b"a"}
