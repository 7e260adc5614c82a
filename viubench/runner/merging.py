"""Finished shards of one run as one run folder, whose results are those of a run that was never split.

Example:
    merge([Path("runs/a.shards/1"), Path("runs/a.shards/2")], Path("runs/a"))
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from viubench.errors import ViubenchError
from viubench.schema import Manifest, MergedShard, Record, ScoredRecord, content_hash
from viubench.scoring.aggregate import items_hash, summarise
from viubench.storage import record_log
from viubench.storage.run_dir import RunFolder, difference, read_manifest, read_records

log = logging.getLogger("viubench")

TAKEN = ("items", "pictures", "strips")
"""Folders of a shard that its merged run has too."""


@dataclass(frozen=True)
class ShardFolder:
    """A shard on disk."""

    path: Path
    manifest: Manifest
    number: int
    of: int
    answers: int

    @classmethod
    def read(cls, path: Path) -> ShardFolder:
        """Raises ViubenchError where the folder holds no shard."""
        manifest = read_manifest(path)
        if manifest.shard is None:
            hint = "a shard is what viubench run --shard I/N writes"
            raise ViubenchError(f"{path} is no shard: it holds a whole run", where=str(path), hint=hint)
        return cls(path, manifest, manifest.shard.number, manifest.shard.of, manifest.shard.answers)


def merge(shards: Sequence[Path], out: Path) -> None:
    """Write the run that these shards are the parts of to `out`, a new folder or one that was merged before.

    Raises:
        ViubenchError: shards of different runs, one that is missing, unfinished or there twice, answers that are not
            those the run asks for, or another run in `out`.
    """
    parts = _complete([ShardFolder.read(path) for path in shards])
    _require_answers(parts)
    manifest = _merged(parts, out)
    for part in parts:
        for name, (was, now) in _unlike(manifest.packages, part.manifest.packages).items():
            log.warning("shard %d ran with %s %s, shard %d with %s", parts[0].number, name, was, part.number, now)
    if (out / "manifest.json").exists() and not read_manifest(out).merged:
        hint = "name a new folder"
        raise ViubenchError(f"{out} holds a run that was not merged from shards", where="--out", hint=hint)
    with RunFolder.claim(out, fresh=True) as folder:
        folder.begin(manifest)
        for record in _records(parts):
            folder.append(record)
        for part in parts:
            for name in TAKEN:
                if (part.path / name).is_dir():
                    shutil.copytree(part.path / name, out / name, dirs_exist_ok=True)
        folder.write_results(summarise(record_log.read(out, ScoredRecord), manifest))


def _complete(parts: Sequence[ShardFolder]) -> list[ShardFolder]:
    """The shards in order: all those of one run, each of them once."""
    if not parts:
        raise ViubenchError("no shard was named", hint="viubench merge runs/a.shards/* --out runs/a")
    first, found = parts[0], dict[int, ShardFolder]()
    for part in parts:
        if part.of != first.of:
            raise ViubenchError(
                f"{part.path} is one of {part.of} shards, {first.path} one of {first.of}",
                where=str(part.path),
                hint="merge the shards of one split; run those of the other one again",
            )
        if differs := difference(first.manifest, part.manifest, shards=False):
            raise ViubenchError(
                f"{part.path} is no shard of the run of {first.path}: it has another {differs}",
                where=str(part.path),
                hint="run the shard again with the options of the others, and --fresh",
            )
        if (other := found.setdefault(part.number, part)) is not part:
            raise ViubenchError(
                f"shard {part.number} of {part.of} is there twice: {other.path} and {part.path}",
                where=str(part.path),
                hint="leave one of them out",
            )
    if missing := [str(number) for number in range(1, first.of + 1) if number not in found]:
        raise ViubenchError(
            f"of {first.of} shards {len(missing)} are missing: {', '.join(missing[:20])}",
            where="SHARDS",
            hint=f"run them with --shard {missing[0]}/{first.of}, or name their folders too",
        )
    return [found[number] for number in sorted(found)]


def _require_answers(parts: Sequence[ShardFolder]) -> None:
    """Every answer that the run asks for, once, by what the manifest says of the tasks' items."""
    seen: set[tuple[str, int]] = set()
    counts: Counter[str] = Counter()
    items: dict[str, list[tuple[str, str]]] = {}
    for part in parts:
        own = 0
        for record in read_records(part.path):
            if record.key in seen:
                raise ViubenchError(
                    f"answer {record.number} to {record.id!r:.80} is there twice",
                    where=str(part.path / record_log.FILE),
                    hint="run the shard again with --fresh",
                )
            seen.add(record.key)
            counts[record.task] += 1
            own += 1
            if record.number == 0:
                items.setdefault(record.task, []).append((record.id, content_hash(record.target)))
        if own < part.answers:
            raise ViubenchError(
                f"{part.path} is not finished: {own} of {part.answers} answers",
                where=str(part.path),
                hint="rerun the command of that shard to resume, then merge again",
            )
    for task, entry in parts[0].manifest.tasks.items():
        due = entry.n * parts[0].manifest.protocols[task].decoding.samples
        if counts[task] != due or items_hash(items.get(task, ())) != entry.items_hash:
            raise ViubenchError(
                f"the records of the shards are not the answers to the {entry.n} questions of {task!r:.80}",
                where=str(parts[0].path.parent),
                hint="their files were changed, or are of several runs: run the shards again with --fresh",
            )


def _unlike(first: Mapping[str, str], other: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Packages of which two shards had different versions: these can move a score."""
    both = {name: (first.get(name, "none"), other.get(name, "none")) for name in {**first, **other}}
    return {name: (was, now) for name, (was, now) in both.items() if was != now}


def _records(parts: Sequence[ShardFolder]) -> Iterator[Record]:
    for part in parts:
        yield from read_records(part.path)


def _merged(parts: Sequence[ShardFolder], out: Path) -> Manifest:
    """The manifest of the whole run, with the command that would have made it, and what is each shard's own."""
    first = parts[0].manifest
    own: list[Mapping[str, object]] = [
        {"number": part.number} | part.manifest.model_dump(include={"argv", "started", "hardware"}) for part in parts
    ]
    started = min(part.manifest.started for part in parts)
    named = {"argv": whole_command(first.argv, out), "shard": None, "started": started}
    return first.model_copy(update=named | {"merged": [MergedShard.model_validate(one) for one in own]})


def whole_command(argv: Sequence[str], out: Path) -> list[str]:
    """The command of a shard without --shard, and with another --out."""
    words, kept = iter(argv), list[str]()
    for word in words:
        name, equals, _ = word.partition("=")
        if name not in ("--shard", "--out"):
            kept.append(word)
            continue
        if not equals:
            next(words, None)
        kept += [name, str(out)] if name == "--out" else []
    return kept
