"""The same questions about the same clips, answered by us and by the installed lmms-eval.

Example:
    >>> rows = contest(clips, "tiny-qwen3-vl", PeerSettings(), print)     # doctest: +SKIP
    >>> ratios(rows)["vllm_generate"]["cold"]                      # theirs / ours, by the clock   # doctest: +SKIP

Each side works alone in a fresh process, one after the other; `tests.bench.contestant` says what the clock covers. A
ratio says how many times as long the other side takes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from tests.bench import machine
from tests.bench.contestant import OURS, THEIRS, Work
from viubench.engines import tiny_checkpoints
from viubench.errors import MediaError, ViubenchError
from viubench.video.discover import list_videos
from viubench.video.process_pool import KillablePool

QUESTIONS = (
    "What happens first?",
    "What moves, and in which direction?",
    "Is there a person in the picture?",
    "What colour is the largest thing?",
    "Where could this have been filmed?",
    "What happens last?",
    "How many things are moving?",
    "Does the camera stand still?",
    "Which sound would you expect to hear?",
    "What is in the middle of the picture half way through?",
)

OPEN_SECONDS = 60.0

SAME = {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of every side. Threads that spin while they wait would slow lmms-eval, which does not turn that off."""


@dataclass(frozen=True)
class PeerSettings:
    """What all sides have in common; numbers as in `contestant.Work`. `questions`: of each clip, one contest each."""

    clips: int = 16
    questions: tuple[int, ...] = (1, 3, 10)
    frames: int = 32
    pixels: int = 65536
    tokens: int = 16
    workers: int = 2
    sides: tuple[str, ...] = THEIRS


@dataclass(frozen=True)
class PeerRow:
    """One pass of one side.

    Attributes:
        ran: "cold", "warm", and for ours "next" and "decode" (see `contestant.PASSES`).
        seconds: by the clock; cpu: processor seconds of the side's processes, as far as they still ran at the end.
        ratio: this side's seconds / ours of the same pass; None for our own.
        same: share of answers that equal ours, letter for letter; None for our own.
        vision: vision tokens of a question, the mean; None where nothing is asked.
        peak_mb: the most memory the side's first process had in use, in 10^6 bytes.
    """

    side: str
    questions: int
    ran: str
    seconds: float
    cpu: float
    answers: int
    peak_mb: int
    ratio: float | None = None
    same: float | None = None
    vision: float | None = None


def readable(folder: Path, settings: PeerSettings) -> tuple[list[Path], list[str]]:
    """The clips of the contest, by name, and one more to warm up with; and why others of the folder were left out.

    A clip takes part when both sides can open it: lmms-eval's reader here is decord, with its own default settings.

    Raises:
        ViubenchError: there are not enough of them.
    """
    taken: list[Path] = []
    left: list[str] = []
    with KillablePool(1, OPEN_SECONDS) as pool:
        for name in [name for name in list_videos(folder)[0] if "/" not in name]:
            try:
                pool.submit(_opens, folder / name, settings.frames, name=name).result()
            except (MediaError, RuntimeError, ViubenchError) as error:
                left.append(f"{name}: {error}")
                continue
            taken.append(folder / name)
            if len(taken) > settings.clips:
                return taken, left
    raise ViubenchError(
        f"{len(taken)} clips that both sides open, {settings.clips + 1} wanted",
        where=str(folder),
        hint="give a folder with more clips, or a smaller --clips",
    )


def _opens(path: Path, frames: int) -> None:
    import decord
    import numpy as np

    try:
        reader = decord.VideoReader(str(path))
        chosen = np.linspace(0, len(reader) - 1, frames).round().astype(int)
        reader.get_batch(chosen).asnumpy()
    except decord.DECORDError:
        raise RuntimeError("decord does not read it") from None
    if len(set(chosen)) < frames:
        raise RuntimeError(f"it has {len(reader)} frames, {frames} are asked")


def contest(
    clips: Sequence[Path], model: str | None, settings: PeerSettings, log: Callable[[str], None]
) -> list[PeerRow]:
    """All passes of all sides; the last of `clips` is what each warms up with. Without a model, a tiny one is made.

    Raises:
        ViubenchError: a side failed; with the end of what it printed.
    """
    if model is None:
        with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
            tiny = Path(scratch) / "tiny"
            tiny_checkpoints.write(tiny)
            _let_all_be_seen(tiny)
            return contest(clips, str(tiny), settings, log)
    rows: list[PeerRow] = []
    for count in settings.questions:
        base: dict[str, tuple[float, list[str]]] = {}
        for side in (OURS, *settings.sides):
            log(f"{side}, {count} questions a clip")
            work = Work(
                side, model, tuple(map(str, clips[:-1])), str(clips[-1]), QUESTIONS[:count],
                settings.frames, settings.pixels, settings.tokens, settings.workers,
            )  # fmt: skip
            done = _alone(work)
            for one in done["passes"]:
                if side == OURS:
                    base[one["name"]] = (one["seconds"], one["answers"])
                rows.append(_row(side, count, one, done["peak_mb"], None if side == OURS else base[one["name"]]))
    return rows


def _let_all_be_seen(checkpoint: Path) -> None:
    """Set the limit on the pixels of a video to the published one of Qwen3-VL. Under the default of the library, which
    a tiny checkpoint has, other programs show fewer of them than were asked for, and so do less work."""
    path = checkpoint / "processor_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["video_processor"]["size"] = {"shortest_edge": 4096, "longest_edge": 25165824}
    path.write_text(json.dumps(settings), encoding="utf-8")


def _row(side: str, count: int, one: Mapping[str, Any], peak: int, ours: tuple[float, list[str]] | None) -> PeerRow:
    same = None
    if ours is not None:
        same = sum(a == b for a, b in zip(one["answers"], ours[1], strict=True)) / len(ours[1])
    return PeerRow(
        side, count, one["name"], round(one["seconds"], 3), round(one["cpu"], 2), len(one["answers"]), peak,
        None if ours is None else round(one["seconds"] / ours[0], 2), same,
        round(sum(one["vision"]) / len(one["vision"]), 1) if one["vision"] else None,
    )  # fmt: skip


def _alone(work: Work) -> dict[str, Any]:
    """What `contestant` printed, run as a process of its own."""
    with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
        job = Path(scratch) / "job.json"
        job.write_text(json.dumps(asdict(work)), encoding="utf-8")
        return dict(
            machine.in_child(
                "tests.bench.contestant", job, name=work.side, environment=SAME | {"TMPDIR": scratch},
                hint="pip install 'viubench[cpu,lmms]' gives both sides",
            )
        )  # fmt: skip


def ratios(rows: Sequence[PeerRow]) -> dict[str, dict[str, float]]:
    """The headline: per other side, cold and warm at 3 questions a clip, and cold at 10 as "ten"."""
    named = {(3, "cold"): "cold", (3, "warm"): "warm", (10, "cold"): "ten"}
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row.ratio is not None and (name := named.get((row.questions, row.ran))):
            found.setdefault(row.side, {})[name] = row.ratio
    return found


def floors(rows: Sequence[PeerRow], cores: int) -> list[dict[str, float]]:
    """Per number of questions: our cold pass against decoding alone and the engine alone, in seconds.

    `larger` is what the cold pass takes of the longer of the two. Without a GPU both want the same cores, so `floor`,
    the least there can be, is also no less than the processor seconds of both spread evenly over all `cores`; `left`
    is the share of the cold pass above it, and each other side's `<side> / floor` the most the ratio could be.
    """
    found = []
    for count in dict.fromkeys(row.questions for row in rows):
        of_count = [row for row in rows if row.questions == count]
        own = {row.ran: row for row in of_count if row.side == OURS}
        cold, decode, engine = own["cold"].seconds, own["decode"].seconds, own["next"].seconds
        floor = max(decode, engine, (own["decode"].cpu + own["next"].cpu) / cores)
        one: dict[str, float] = {"questions": count, "cold": cold, "decode": decode, "engine": engine}
        one |= {"larger": round(cold / max(decode, engine), 3), "busy": round(own["cold"].cpu / cold, 2)}
        one |= {"floor": round(floor, 3), "left": round(1 - floor / cold, 3)}
        others = {row.side: row.seconds for row in of_count if row.side != OURS and row.ran == "cold"}
        found.append(one | {f"{side} / floor": round(seconds / floor, 2) for side, seconds in others.items()})
    return found


def table(rows: Sequence[PeerRow], settings: PeerSettings, cores: int) -> str:
    """The passes, and ours against its parts, for a terminal."""
    size = f"{settings.frames} frames of at most {settings.pixels} pixels, {settings.tokens}-token answers"
    lines = []
    for row in rows:
        speed = f"{row.answers / row.seconds:.1f}" if row.answers else ""
        ratio = "" if row.ratio is None else f"{row.ratio:.1f}"
        vision = "" if row.vision is None else f"{row.vision:,.0f}"
        cells = [f"{row.seconds:.2f}", speed, f"{row.cpu:.1f}", row.peak_mb, vision, ratio]
        lines.append([row.side, row.questions, row.ran, *cells])
    headers = ["side", "questions a clip", "pass", "seconds", "answers/s", "CPU s", "peak MB", "vision tokens", "ratio"]
    passes = tabulate(lines, headers, disable_numparse=True, colalign=("left", "right", "left", *["right"] * 6))
    first = f"{settings.clips} clips, {size}, engine start excluded; ratio: theirs / ours"
    return f"{first}\n{passes}\n\nOurs, cold, against its parts alone, in seconds\n{_floor_table(floors(rows, cores))}"


def _floor_table(parts: Sequence[Mapping[str, float]]) -> str:
    sides = [name for name in parts[0] if name.endswith(" / floor")]
    lines = [
        [
            f"{one['questions']:g}",
            *(f"{one[name]:.2f}" for name in ("cold", "decode", "engine", "larger", "busy", "floor")),
            f"{one['left']:.0%}",
            *(f"{one[side]:.1f}" for side in sides),
        ]
        for one in parts
    ]
    headers = ["questions", "cold", "decode", "engine", "cold / larger", "cores busy", "floor", "left", *sides]
    return tabulate(lines, headers, disable_numparse=True, colalign=["right"] * len(headers))
