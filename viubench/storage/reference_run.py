"""A saved reference run: what the gate needs of a run, small enough to commit, and the hash of each file.

Example:
    folder = save(Path("runs/base"), "main")
    folder, changes(folder)
    # (PosixPath('baselines/main'), {})

It is a run folder whose records hold less, so that whatever reads runs reads it too. The hashes guard against slips (a
merge, an editor, line ends), not against someone who writes new ones: who may change it is for review to decide.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from viubench.errors import ViubenchError
from viubench.schema import Record
from viubench.schema.gate import ReferenceRun
from viubench.storage import atomic, output
from viubench.storage.run_dir import read_manifest, read_records, write_json

FOLDER = Path("baselines")
CARD = "baseline.json"
FILES = ("manifest.json", "records.jsonl", "results.json")
KEPT = {"task", "id", "number", "cluster", "status", "response", "answer", "target", "scores", "groups"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def save(run: Path, name: str, folder: Path = FOLDER, *, replace: bool = False) -> Path:
    """Keep the finished run in folder `run` as `folder`/`name`; equal runs give equal bytes. Raises ViubenchError where
    it is no run, the name is not allowed, or the folder is there and is not to be replaced."""
    if not NAME.fullmatch(name):
        raise ViubenchError(
            f"{name!r:.80} cannot name a baseline", where="--name", hint="letters, digits, dots, _ and -, at most 100"
        )
    target = folder / name
    if target.exists() and not is_reference_run(target):
        raise ViubenchError(f"{target} is there already and is no baseline", where="--name", hint="choose another name")
    if target.exists() and not replace:
        raise ViubenchError(f"{target} is there already", where="--name", hint="add --replace to save over it")
    read_manifest(run)
    content = {name: (run / name).read_bytes() for name in ("results.json", "manifest.json")}
    content["records.jsonl"] = _reduced(read_records(run))
    card = ReferenceRun(name=name, files={name: hashlib.sha256(content[name]).hexdigest() for name in FILES})
    output.folder(target, "--dir")
    atomic.write(target / "records.jsonl", content["records.jsonl"], lasting=True)
    atomic.write(target / "results.json", content["results.json"], lasting=True)
    write_json(target / CARD, card)
    atomic.write(target / "manifest.json", content["manifest.json"], lasting=True)  # last: without it, it is no run
    return target


def is_reference_run(path: Path) -> bool:
    return (path / CARD).is_file()


def changes(path: Path) -> dict[str, str]:
    """Files that are not as saved -> "changed", "missing" or "unreadable"; {} for a folder that is no reference run."""
    if not is_reference_run(path):
        return {}
    try:
        card = ReferenceRun.model_validate_json((path / CARD).read_bytes())
    except (OSError, ValidationError):
        return {CARD: "unreadable"}
    changed = {}
    for name in FILES:
        try:
            if hashlib.sha256((path / name).read_bytes()).hexdigest() != card.files.get(name):
                changed[name] = "changed"
        except OSError:
            changed[name] = "missing"
    return changed


def find(given: str, folder: Path = FOLDER) -> Path:
    """The run folder `given`, or the reference run saved under that name; ViubenchError when there is neither."""
    path = Path(given)
    if (path / "manifest.json").exists():
        return path
    known = names(folder)
    if given in known:
        return folder / given
    if path.exists():
        return path
    close = get_close_matches(given, known, n=1)
    raise ViubenchError(
        f"{given!r:.200} is neither a run folder nor a baseline in {folder}",
        where="--baseline",
        hint=f"did you mean {close[0]}?" if close else "save one with viubench baseline save",
    )


def names(folder: Path = FOLDER) -> list[str]:
    """The reference runs saved in a folder."""
    return sorted(card.parent.name for card in folder.glob(f"*/{CARD}"))


def _reduced(records: Iterable[Record]) -> bytes:
    """The fields that pairing and scoring need. A response is kept where no answer was extracted from it, so that
    the answers of two runs can be compared."""
    lines = []
    for record in sorted(records, key=lambda record: (record.task, record.id, record.number)):
        fields = KEPT if record.answer is None else KEPT - {"response"}
        lines.append(record.model_dump_json(include=fields, exclude_defaults=True).encode() + b"\n")
    return b"".join(lines)
