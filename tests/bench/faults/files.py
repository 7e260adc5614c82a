"""Faults of files between two starts: damaged records and cache entries, other items, other videos, lost files."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.bench.faults.fault import Fault
from tests.bench.faults.world import Place, Subject

Damage = Callable[[random.Random, bytes], bytes]

LINES: dict[str, Damage] = {
    "torn": lambda rng, line: line[: rng.randrange(len(line))] + b"\n",
    "glued": lambda rng, line: line[: rng.randrange(len(line))] + line,
    "doubled": lambda rng, line: line * rng.randint(2, 4),
    "garbage": lambda rng, line: rng.randbytes(rng.randint(1, 400)) + b"\n",
    "blank": lambda rng, line: b"\n" * rng.randint(1, 3),
    "zeros": lambda rng, line: bytes(rng.randint(1, 5000)) + b"\n",
    "nested": lambda rng, line: b"[" * 50_000 + b"\n",
    "marked": lambda rng, line: b"\xef\xbb\xbf" + line,
    "returned": lambda rng, line: line[:-1] + b"\r\n",
    "lost": lambda rng, line: b"",
}


class Records(Fault):
    """Lines of records.jsonl that are not as they were written; its end is cut; it is gone."""

    kinds = ("damaged records", "cut records", "lost records")
    follows = True

    def __init__(self, kind: str, rng: random.Random) -> None:
        super().__init__(kind, rng)
        self.how = [rng.choice(sorted(LINES)) for _ in range(rng.randint(1, 4))] if kind == "damaged records" else ""

    def before(self, place: Place) -> None:
        if not place.records.exists() or not (held := place.records.read_bytes()):
            return
        if self.kind == "lost records":
            place.records.unlink()
        elif self.kind == "cut records":
            end = bytes(self.rng.choice([0, 0, 1, 4096]))
            place.records.write_bytes(held[: self.rng.randrange(len(held))] + end)
        else:
            lines = held.splitlines(keepends=True)
            for how in self.how:
                number = self.rng.randrange(len(lines))
                lines[number] = LINES[how](self.rng, lines[number] or b"\n")
            place.records.write_bytes(b"".join(lines))


class Cache(Fault):
    """Bits of the frame cache flip; its files are cut, lost, or joined by others."""

    kinds = ("flipped bits", "damaged cache")
    follows = True

    @classmethod
    def meets(cls, subject: Subject) -> bool:
        return subject.media

    def before(self, place: Place) -> None:
        root = place.folder / "cache" / "c"
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            if self.rng.random() < 0.4:
                continue
            held = bytearray(path.read_bytes())
            how = "flip" if self.kind == "flipped bits" else self.rng.choice(["cut", "lose", "fill", "folder"])
            if how == "flip" and held:
                for _ in range(self.rng.randint(1, 3)):
                    held[self.rng.randrange(len(held))] ^= 1 << self.rng.randrange(8)
                path.write_bytes(held)
            elif how == "cut":
                path.write_bytes(held[: self.rng.randrange(len(held) + 1)])
            elif how == "fill":
                path.write_bytes(self.rng.randbytes(200))
            elif how in ("lose", "folder"):
                path.unlink()
                if how == "folder" and self.rng.random() < 0.2:
                    path.mkdir()


class OtherItems(Fault):
    """Other items of the same names lie where those of the run lay."""

    kinds = ("other items",)
    follows = True

    def before(self, place: Place) -> None:
        if place.began:
            self.refused = "other items"
            self._copy(place.world.other_items, place)

    def after(self, place: Place) -> None:
        self._copy(place.world.folder / "items", place)

    def _copy(self, source: Path, place: Place) -> None:
        shutil.copytree(source, place.folder / "items", dirs_exist_ok=True)


class OtherVideos(Fault):
    """Videos are exchanged, cut or gone."""

    kinds = ("other videos",)
    follows = True

    def __init__(self, kind: str, rng: random.Random) -> None:
        super().__init__(kind, rng)
        self.how = rng.choice(["exchanged", "cut", "gone", "emptied"])

    def before(self, place: Place) -> None:
        clips = sorted((place.folder / "clips").iterdir())
        for clip in self.rng.sample(clips, self.rng.randint(1, len(clips))):
            if self.how == "gone":
                clip.unlink()
            elif self.how == "exchanged":
                other = next(one for one in sorted((place.world.folder / "clips").iterdir()) if one.name != clip.name)
                clip.write_bytes(other.read_bytes())
            else:
                held = clip.read_bytes()
                clip.write_bytes(held[: 0 if self.how == "emptied" else self.rng.randrange(len(held))])

    def after(self, place: Place) -> None:
        shutil.copytree(place.world.folder / "clips", place.folder / "clips", dirs_exist_ok=True)


class RunFiles(Fault):
    """A file of the run folder is gone or damaged, beside its records."""

    kinds = ("lost manifest", "damaged manifest", "damaged results", "files left behind")
    follows = True

    def __init__(self, kind: str, rng: random.Random) -> None:
        super().__init__(kind, rng)
        self._manifest = b""

    def before(self, place: Place) -> None:
        if not place.began:
            return
        manifest = place.out / "manifest.json"
        held = manifest.read_bytes()
        if self.kind == "damaged results":
            place.results.write_bytes(held[: self.rng.randrange(len(held))])
        elif self.kind == "files left behind":
            (place.out / f".records.jsonl.{self.rng.getrandbits(64):x}.part").write_bytes(b"{")
            (place.out / ".lock").write_text(str(self.rng.randrange(30_000)))
        else:
            self._manifest = held
            manifest.unlink()
            if self.kind == "damaged manifest":
                manifest.write_bytes(held[: self.rng.randrange(len(held))])
            if self.kind == "damaged manifest" or place.finished():
                self.refused = "manifest.json"

    def after(self, place: Place) -> None:
        if self._manifest:
            (place.out / "manifest.json").write_bytes(self._manifest)
