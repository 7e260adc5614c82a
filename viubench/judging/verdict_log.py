"""The verdicts of one judge on disk: a run folder below the judged run, whose records are verdicts.

Example:
    with VerdictFolder.claim(Path("runs/a/judges/Qwen3-8B-1a2b3c4d")) as folder:
        folder.expect(keys, cache=None)

Appending, a kill, resuming and masked secrets are those of any run folder. What differs: a reply that is no verdict has
the status `judge_error`, whose `error.fault` says why (`unparsed`, `truncated`, `refused`, `engine`); and verdicts that
a cache holds need not be asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from viubench.schema import Failure, Manifest, Record, Sample, content_hash
from viubench.storage import atomic, record_log
from viubench.storage.run_dir import RunFolder

FOLDER = "judges"
"""Where the verdicts on a run lie, a folder for each judge."""

SAID = 120
"""Characters of a reply that is no verdict that its error quotes."""


class VerdictCache:
    """Verdicts of one judge on any run, by the content of what it was asked: a small file each, below `root`. `judge`
    is all that its replies depend on."""

    def __init__(self, root: Path, judge: object) -> None:
        self.folder = root / content_hash(judge)

    def get(self, sample: Sample) -> Record | None:
        """The verdict on this question; None where there is none that can be read."""
        try:
            record = Record.model_validate_json(self._path(sample.id).read_bytes())
        except (OSError, ValidationError):
            return None
        if record.question != sample.question:
            return None
        return record.model_copy(update={"task": sample.task, "cluster": sample.cluster, "groups": sample.groups})

    def put(self, record: Record) -> None:
        """Keep a verdict; what cannot be written is not kept."""
        path = self._path(record.id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write(path, record.model_dump_json().encode())
        except OSError:
            return

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


class VerdictFolder(RunFolder):
    """The folder of one judge, open for appending by one process at a time."""

    samples: Mapping[str, Sample]
    cache: VerdictCache | None = None
    cached: int = 0

    def expect(self, samples: Mapping[str, Sample], cache: VerdictCache | None) -> None:
        """What will be asked, by key; verdicts on anything else stay in the file and count for nothing."""
        self.samples, self.cache = samples, cache

    def begin(self, manifest: Manifest) -> None:
        super().begin(manifest)
        self.done &= {(key, 0) for key in self.samples}
        for key, sample in self.samples.items() if self.cache is not None else ():
            if (key, 0) not in self.done and self.cache is not None and (known := self.cache.get(sample)) is not None:
                super().append(known)
                self.cached += 1

    def append(self, record: Record) -> None:
        verdict = as_verdict(record)
        super().append(verdict)
        if self.cache is not None and verdict.status == "ok":
            self.cache.put(verdict)


def as_verdict(record: Record) -> Record:
    """A reply as a verdict: `ok`, or a `judge_error` that says why it is none."""
    if record.status == "ok":
        return record
    if record.status == "engine_error":
        fault, detail = "engine", record.error.detail if record.error else ""
    else:
        fault, detail = record.status, f"the judge said {(record.response or '')[:SAID]!r}"
    return record.model_copy(update={"status": "judge_error", "error": Failure(fault=fault, detail=detail)})


def verdicts(folder: Path) -> dict[str, Record]:
    """The last verdict on each question, by key; {} where the judge has said nothing yet."""
    return {record.id: record for record in record_log.read(folder, Record)}
