"""Finished runs for the exports: a data set's example rows with answers of every kind.

Example:
    run = videomme(tmp_path / "run")                       # its answers from a file
    on_board(tmp_path / "run")                             # now as if a model had been asked all of it
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from example_rows import EXAMPLES, samples_of

import viubench

TEXTS = ("A", "The answer is {}.", "C", "D", "no idea")
MODEL = "Qwen/Qwen3-VL-8B-Instruct"


def videomme(out: Path, model: str = MODEL) -> Path:
    """A run of the example rows of videomme: right in other words than the target, wrong, and not to be read."""
    rows = [
        {"id": sample.id, "response": TEXTS[k % 5].format(sample.target)}
        for k, sample in enumerate(samples_of("videomme"))
    ]
    viubench.score("videomme", rows, model=model, data_root=EXAMPLES, out=out, argv=["viubench", "score"])
    return out


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file; results.json forgets then of which manifest it is."""
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def on_board(run: Path, protocol: Mapping[str, Any] | None = None, **entry: Any) -> Path:
    """As if vLLM had been asked every row there is; `protocol` and `entry` are changes of the manifest's."""

    def change(manifest: dict[str, Any]) -> None:
        manifest["engine"] = {"kind": "vllm", "version": "1.0"}
        manifest["model"] |= {"revision": "0" * 40}
        task = manifest["tasks"]["videomme"]
        task |= {"expected": task["n"], "revision": "1" * 40, **entry}
        for path, value in (protocol or {}).items():
            part, _, name = path.partition(".")
            manifest["protocols"]["videomme"][part][name] = value

    edit(run / "manifest.json", change)
    edit(run / "results.json", lambda results: results.pop("manifest_hash", None))
    return run


def records(run: Path, change: Callable[[int, dict[str, Any]], list[dict[str, Any]]]) -> Path:
    """Each record as `change` makes it, one or several; the results are those of the new records."""
    from viubench.scoring.aggregate import summarise
    from viubench.storage.run_dir import read_manifest, read_records, write_json

    path = run / "records.jsonl"
    old = [json.loads(line) for line in path.read_text().splitlines()]
    new = [one for k, record in enumerate(old) for one in change(k, record)]
    path.write_text("".join(json.dumps(record) + "\n" for record in new))
    several = max(record.get("number", 0) for record in new) + 1
    edit(run / "manifest.json", lambda m: m["protocols"]["videomme"]["decoding"].update(samples=several))
    write_json(run / "results.json", summarise(read_records(run), read_manifest(run)))
    return run
