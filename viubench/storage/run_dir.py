"""The run folder: a manifest, one line per finished answer, and the results; it survives a kill at any moment.

Example:
    with RunFolder.claim(Path("runs/a")) as folder:
        folder.begin(manifest)
        folder.append(record)

`records.jsonl` is only ever appended to. A kill can tear its last line, which the next start cuts off; what may end
better at another try is dropped then as well, and lines that cannot be read are set aside, so that their answers are
asked for again. Of a finished answer only its key is held.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from io import FileIO
from pathlib import Path
from typing import Any, Self, TypeVar

from filelock import BaseFileLock
from pydantic import BaseModel, ValidationError

from viubench.errors import Exit, ViubenchError
from viubench.schema import SCHEMA_VERSION, Manifest, Record, Results, TaskEntry, content_hash, wording
from viubench.storage import atomic, locking, output, record_log, secrets

M = TypeVar("M", bound=BaseModel)

SYNC_SECONDS = 2.0
"""A power cut loses at most the records of this many seconds; a kill loses none."""

STARTED = (
    "results.json", "frontier.json", record_log.FILE, record_log.DAMAGED, "strips", "judges", "run.log",
    "manifest.json",
)  # fmt: skip
"""What `--fresh` removes, and nothing else; items are built again where they are not those of the new run."""

MISSING = "none"

NAMES = ("protocol", "hash")
"""Keys of a protocol that follow from the others, which say what differs."""

OWN = (*STARTED, "items", "pictures", "frontier.html", locking.LOCK)
"""What a run writes."""


class RunFolder(AbstractContextManager["RunFolder"]):
    """One run on disk, open for appending by one process at a time."""

    def __init__(self, path: Path, lock: BaseFileLock, fresh: bool, new: bool) -> None:
        self.path = path
        self.fresh = fresh
        self.done: set[tuple[str, int]] = set()
        self.damaged = 0
        self._lock = lock
        self._new = new
        self._file: FileIO | None = None
        self._failed: ViubenchError | None = None
        self._size = 0
        self._synced = time.monotonic()

    @classmethod
    def claim(cls, path: Path, *, fresh: bool = False) -> Self:
        """Create or reopen the folder and lock it; raises ViubenchError where another process writes to it, or other
        things are in it."""
        new = not path.exists()
        output.file(path / "results.json", "--out")
        foreign = [p.name for p in path.iterdir() if p.name not in OWN and p.suffix != atomic.ASIDE]
        if foreign and not (path / "manifest.json").exists():
            raise ViubenchError(
                f"{path} is not a run and not empty (it holds {foreign[0]!r})", where="--out", hint="name a new folder"
            )
        lock = locking.acquire(path / locking.LOCK, f"another process is writing to {path}", where="--out")
        return cls(path, lock, fresh, new)

    def begin(self, manifest: Manifest) -> None:
        """Start the run, or resume the one in the folder; raises ViubenchError where that is one of another model,
        engine, protocol, seed or item set."""
        with output.writing(self.path, "--out"):
            self._begin(manifest)

    def _begin(self, manifest: Manifest) -> None:
        target, records = self.path / "manifest.json", self.path / record_log.FILE
        manifest = Manifest.model_validate(secrets.masked(manifest.model_dump(mode="json", by_alias=True)))
        if self.fresh:  # only now: an error while planning must not cost the finished run
            for name in STARTED:
                old = self.path / name
                shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
        if target.exists():
            check_same(read_manifest(self.path), manifest, self.path)
            repaired = record_log.repair(self.path)
            self.done, self.damaged = repaired.done, repaired.damaged
        elif records.exists() and records.stat().st_size:
            raise ViubenchError(
                f"{self.path} has records, but its manifest.json, which says of which run they are, is missing",
                where="--out",
                hint="put it back, name another folder, or add --fresh to start again without the records",
            )
        else:
            write_json(target, manifest)
        self._file = FileIO(records, "ab")  # held until close
        self._size = os.fstat(self._file.fileno()).st_size

    def append(self, record: Record) -> None:
        """Write one finished answer; it is on disk, for this machine's other processes, when this returns. Raises
        ViubenchError where the disk takes no more: then no part of the answer is left, and none is taken any more."""
        if self._file is None:
            raise RuntimeError("begin() comes before append()")
        if self._failed is not None:
            raise self._failed
        line = without_secrets(record).model_dump_json().encode() + b"\n"
        try:
            with output.writing(Path(self._file.name)):
                self._write(self._file, line)
        except ViubenchError as error:
            self._failed = error
            raise
        self.done.add(record.key)

    def _write(self, file: FileIO, line: bytes) -> None:
        left = memoryview(line)
        try:
            while left:
                left = left[file.write(left) :]
        except BaseException:
            with suppress(OSError):
                os.ftruncate(file.fileno(), self._size)
            raise
        self._size += len(line)
        if time.monotonic() - self._synced > SYNC_SECONDS:
            os.fsync(file.fileno())
            self._synced = time.monotonic()

    def write_results(self, results: Results) -> None:
        manifest_hash = _manifest_hash(_json(self.path, "manifest.json"))
        with output.writing(self.path / "results.json"):
            write_json(self.path / "results.json", results.model_copy(update={"manifest_hash": manifest_hash}))

    def close(self) -> None:
        file, self._file = self._file, None
        try:
            if file is not None:
                with output.writing(self.path / record_log.FILE), file:
                    os.fsync(file.fileno())
        finally:
            locking.leave(self.path, self._lock, self._new)

    def __exit__(self, *_: object) -> None:
        self.close()


_REACHED = "timeout retries max_in_flight requests_per_minute tokens_per_minute headers api_key_env base_url stream"
CONNECTION = frozenset(_REACHED.split())
"""Engine arguments that say how an engine is reached, not what it is asked: a resumed run may have others."""


def check_same(old: Manifest, new: Manifest, path: Path) -> None:
    """Refuse to mix two runs in one folder; the message names what differs, and both values."""
    if differs := difference(old, new):
        raise ViubenchError(
            f"{path} holds a run with another {differs}",
            where="--out",
            hint="name another folder, or add --fresh to start this one again",
        )


def difference(old: Manifest, new: Manifest, shards: bool = True) -> str:
    """What makes two manifests those of different runs, with both values: "seed: 0 there, 1 now"; "" where nothing
    does. `shards`: whether two shards of one run are different."""
    args = [{k: v for k, v in (m.engine.get("args") or {}).items() if k not in CONNECTION} for m in (old, new)]
    for what, was, now in (
        ("model", old.model, new.model),
        ("engine", old.engine.get("kind"), new.engine.get("kind")),
        ("choice of --deterministic", old.engine.get("deterministic"), new.engine.get("deterministic")),
        ("engine argument", *args),
        ("seed", old.seed, new.seed),
        ("set of tasks", sorted(old.tasks), sorted(new.tasks)),
        ("plan of the frontier", old.frontier, new.frontier),
        ("protocol", old.protocols, new.protocols),
        ("task definition or other items", old.tasks, _as_told(new.tasks, old.tasks)),
        ("--shard", *(f"{m.shard.number}/{m.shard.of}" if shards and m.shard else None for m in (old, new))),
    ):
        if was != now:
            return f"{what}{_difference(was, now)}"
    return ""


def _as_told(tasks: dict[str, TaskEntry], by: dict[str, TaskEntry]) -> dict[str, TaskEntry]:
    """`tasks` without what a manifest of an older version does not say."""
    bare = [name for name, entry in by.items() if not entry.samples_hash]
    return tasks | {name: tasks[name].model_copy(update={"samples_hash": ""}) for name in bare if name in tasks}


def _difference(was: Any, now: Any, name: str = "") -> str:
    """The first place where two values differ, with both: " transport: images there, video now"."""
    was, now = (one.model_dump(mode="json") if isinstance(one, BaseModel) else one for one in (was, now))
    if isinstance(was, dict) and isinstance(now, dict):
        differing = [key for key in {**was, **now} if was.get(key) != now.get(key)]
        key = min(differing, key=lambda key: key in NAMES)
        return _difference(was.get(key), now.get(key), f"{name}.{key}" if name else f" {key}")
    there, here = (MISSING if one is None else str(one) for one in (was, now))
    return f"{name}: {there[:80]} there, {here[:80]} now"


def without_secrets(record: Record) -> Record:
    """The record with what the engine said (answer, reasoning, failure) free of keys and passwords."""
    said = record.model_dump(mode="json", include={"response", "reasoning", "answer", "error"})
    hidden = secrets.masked(said)
    return record if hidden == said else Record.model_validate(record.model_dump() | hidden)


def read_manifest(path: Path) -> Manifest:
    """The manifest of a run folder; ViubenchError when it is not one or is of a newer version."""
    return read_file(path, "manifest.json", Manifest)


def read_results(path: Path) -> Results:
    """The results of a finished run; ViubenchError when it is unfinished or not a run, or its manifest was changed."""
    if (path / "manifest.json").exists() and not (path / "results.json").exists():
        why, hint = unfinished(path)
        raise ViubenchError(f"{path} {why}", where=str(path), hint=hint)
    results = read_file(path, "results.json", Results)
    if results.manifest_hash and results.manifest_hash != _manifest_hash(_json(path, "manifest.json")):
        raise ViubenchError(
            f"manifest.json of {path} is not the one that its results were made with",
            where=str(path / "manifest.json"),
            hint="put the old one back, or rerun the same command, which checks it and scores again",
            exit_code=Exit.INVALID_RUN,
        )
    return results


def unfinished(path: Path) -> tuple[str, str]:
    """Why a run folder has no results, and what to do."""
    manifest = read_manifest(path)
    if manifest.frontier is not None:
        return "has thresholds and no scores", "viubench frontier RUN RUN shows them"
    if (shard := manifest.shard) is None:
        return "is not finished", "rerun the same command to resume"
    return f"is shard {shard.number} of {shard.of}", "viubench merge SHARDS --out RUN makes one run of all of them"


def _manifest_hash(data: Any) -> str:
    """Hash of what was asked of which model: equal for runs that must have equal results, wherever they were made."""
    asked = {key: _part(data, key) for key in ("seed", "protocols", "tasks", "suites", "imported")}
    asked |= {key: _part(_part(data, "model"), key) for key in ("name", "revision", "fingerprint")}
    asked |= {key: _part(_part(data, "engine"), key) for key in ("kind", "deterministic")}
    return content_hash(asked)


def _part(data: Any, key: str) -> Any:
    return data.get(key) if isinstance(data, dict) else None


def read_records(path: Path) -> Iterator[Record]:
    """The records, see `record_log.read`."""
    return record_log.read(path, Record)


def write_json(path: Path, value: BaseModel | dict[str, Any]) -> None:
    """Indented JSON, written whole or not at all."""
    data = value.model_dump(mode="json", by_alias=True) if isinstance(value, BaseModel) else value
    data = secrets.masked(data)
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    atomic.write(path, text.encode(errors="backslashreplace"), lasting=True)  # a name may have what UTF-8 has not


def read_file(path: Path, name: str, model: type[M]) -> M:
    """A JSON file of a run folder; ViubenchError where there is none, or one that is damaged or of a newer version."""
    data = _json(path, name)
    version = data.get("schema", 0) if isinstance(data, dict) else 0
    if isinstance(version, int | float) and version > SCHEMA_VERSION:
        raise ViubenchError(f"{path} was written by a newer viubench (schema {version})", hint="upgrade viubench")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ViubenchError(f"{name} is damaged: {wording.first_in_words(error, model)}", where=str(path)) from None


def _json(path: Path, name: str) -> Any:
    try:
        return json.loads((path / name).read_bytes())
    except (OSError, ValueError, RecursionError):
        message, inside = f"{path} is not a run folder: no readable {name}", next(path.glob("*/manifest.json"), None)
        hint = f"it holds runs, as {inside.parent.name!r:.80}: name those" if inside else None
        raise ViubenchError(message, where=str(path), hint=hint) from None
