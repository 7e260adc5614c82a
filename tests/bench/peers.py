"""The same questions about the same clips, answered by us and by others: lmms-eval, vLLM's benchmark, evalscope.

Example:
    >>> rows, left = contest(clips, "tiny-qwen3-vl", PeerSettings(), print)     # doctest: +SKIP
    >>> [row.ratio for row in rows if row.side == "vllm_generate"]              # doctest: +SKIP
    [1.8, 20.3]

Each side works alone in a fresh process, one after the other; `tests.bench.contestant` says what the clock covers. A
ratio says how many times as long the other side takes; `tests.bench.standings` sums them up.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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

SAME = {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE", "VLLM_NO_USAGE_STATS": "1"}
"""Environment of every side. Threads that spin while they wait would slow lmms-eval, which does not turn that off."""


@dataclass(frozen=True)
class PeerSettings:
    """What all sides have in common; numbers as in `contestant.Work`. `questions`: of each clip, one contest each."""

    clips: int = 16
    questions: tuple[int, ...] = (1, 3, 10)
    frames: int = 32
    pixels: int = 90112
    tokens: int = 16
    workers: int = 2
    sides: tuple[str, ...] = THEIRS
    evalscope: str = sys.executable


@dataclass(frozen=True)
class PeerRow:
    """One pass of one side.

    Attributes:
        ran: "cold", "warm", and for ours "next" and "decode" (see `tests.bench.ours`).
        seconds: by the clock; cpu: processor seconds of all the side's processes.
        peak_mb: the most memory that one of them outside the engine core had until then, in 10^6 bytes.
        front: processor seconds outside vLLM's engine core: reading videos, prompts, transport, answers; None where no
            core ran.
        ratio: this side's seconds / ours of the same pass; None for our own. front_ratio: the same of `front`.
        same: share of answers that equal ours, letter for letter; None for our own.
        vision: vision tokens of a question, the mean; None where nothing is asked.
        unequal: prompts that hold more or fewer vision tokens than ours; None for our own.
    """

    side: str
    questions: int
    ran: str
    seconds: float
    cpu: float
    answers: int
    peak_mb: int
    front: float | None = None
    ratio: float | None = None
    front_ratio: float | None = None
    same: float | None = None
    vision: float | None = None
    unequal: int | None = None


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
) -> tuple[list[PeerRow], dict[str, str]]:
    """All passes of all sides, and by side why it was left out, if it was. The last of `clips` is what each warms up
    with; without a model, a tiny one is made.

    Raises:
        ViubenchError: ours failed, or all the others; with the end of what it printed.
    """
    if model is None:
        with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
            tiny = Path(scratch) / "tiny"
            tiny_checkpoints.write(tiny)
            _let_all_be_seen(tiny)
            return contest(clips, str(tiny), settings, log)
    rows: list[PeerRow] = []
    left: dict[str, str] = {}
    for count in settings.questions:
        base: dict[str, Mapping[str, Any]] = {}
        for side in (OURS, *(side for side in settings.sides if side not in left)):
            log(f"{side}, {count} questions a clip")
            work = Work(
                side, model, tuple(map(str, clips[:-1])), str(clips[-1]), QUESTIONS[:count], settings.frames,
                settings.pixels, settings.tokens, settings.workers, settings.evalscope,
            )  # fmt: skip
            try:
                passes = _alone(work)
            except ViubenchError as error:
                if side == OURS:
                    raise
                left[side] = f"{count} questions a clip: {error.message.strip().splitlines()[-1]}"
                log(f"left out: {side}, {left[side]}")
                continue
            if side == OURS:
                base = {one["name"]: one for one in passes}
            rows += [_row(side, count, one, None if side == OURS else base[one["name"]]) for one in passes]
    if left.keys() >= set(settings.sides):
        raise ViubenchError(
            "no other side could answer", hint="; ".join(f"{side}: {why}" for side, why in left.items())
        )
    return rows, left


def _let_all_be_seen(checkpoint: Path) -> None:
    """Set the limit on the pixels of a video to the published one of Qwen3-VL. Under the default of the library, which
    a tiny checkpoint has, other programs show fewer of them than were asked for, and so do less work."""
    path = checkpoint / "processor_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["video_processor"]["size"] = {"shortest_edge": 4096, "longest_edge": 25165824}
    path.write_text(json.dumps(settings), encoding="utf-8")


def _row(side: str, count: int, one: Mapping[str, Any], ours: Mapping[str, Any] | None) -> PeerRow:
    front, more = _front(one), {}
    if ours is not None:
        ours_front = _front(ours)
        more = {
            "ratio": round(one["seconds"] / ours["seconds"], 2),
            "front_ratio": round(front / ours_front, 2) if front is not None and ours_front else None,
            "same": sum(a == b for a, b in zip(one["answers"], ours["answers"], strict=True)) / len(ours["answers"]),
            "unequal": unequal(one["vision"], ours["vision"]),
        }
    return PeerRow(
        side, count, one["name"], round(one["seconds"], 3), round(one["cpu"], 2), len(one["answers"]),
        round(one["peak_mb"]), None if front is None else round(front, 2),
        vision=round(sum(one["vision"]) / len(one["vision"]), 1) if one["vision"] else None, **more,
    )  # fmt: skip


def _front(one: Mapping[str, Any]) -> float | None:
    return None if one["core"] is None else float(one["cpu"] - one["core"])


def unequal(theirs: Sequence[int], ours: Sequence[int]) -> int:
    """Prompts of one side that find none with as many vision tokens on the other."""
    more, fewer = Counter(theirs) - Counter(ours), Counter(ours) - Counter(theirs)
    return max(more.total(), fewer.total())


def _alone(work: Work) -> list[dict[str, Any]]:
    """The passes that `contestant` printed, run as a process of its own."""
    with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
        job = Path(scratch) / "job.json"
        job.write_text(json.dumps(asdict(work)), encoding="utf-8")
        found = machine.in_child(
            "tests.bench.contestant", job, name=work.side, environment=SAME | {"TMPDIR": scratch},
            hint="pip install 'viubench[cpu,lmms]' gives ours and lmms-eval",
        )  # fmt: skip
        return list(found["passes"])
