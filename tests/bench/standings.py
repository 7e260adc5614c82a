"""What a contest came to: ratios, what every side was shown, and how near ours is to the least there can be.

Example:
    >>> ratios(rows)["vllm_generate"]["cold"]     # theirs / ours, by the clock   # doctest: +SKIP
    5.1
    >>> print(table(rows, left, settings, cores=2))                               # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

from tabulate import tabulate

from tests.bench.contestant import OURS
from tests.bench.peers import PeerRow, PeerSettings

WIDTH = 118


def ratios(rows: Sequence[PeerRow]) -> dict[str, dict[str, float]]:
    """The headline: per other side, cold and warm at 3 questions a clip, and cold at 10 as "ten"; and the least of all
    contests of the front end alone, as "front cold" and "front warm"."""
    named = {(3, "cold"): "cold", (3, "warm"): "warm", (10, "cold"): "ten"}
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        of_side = found.setdefault(row.side, {}) if row.ratio is not None else {}
        if row.ratio is not None and (name := named.get((row.questions, row.ran))):
            of_side[name] = row.ratio
        if row.front_ratio is not None:
            front = f"front {row.ran}"
            of_side[front] = min(row.front_ratio, of_side.get(front, row.front_ratio))
    return found


def sight(rows: Sequence[PeerRow]) -> list[str]:
    """What the sides were shown, in sentences: whether every prompt holds as many vision tokens as ours, or who has how
    many. A side that sees less has less to do, and its ratios are too low by that."""
    ours = {(row.questions, row.ran): row.vision for row in rows if row.side == OURS}
    told = {}
    for row in rows:
        if row.unequal:
            seen, own = f"{row.vision or 0:,.0f}", f"{ours[row.questions, row.ran] or 0:,.0f}"
            told[row.side] = (
                f"Not equal: {row.side} has other vision tokens than ours in {row.unequal} of {row.answers} prompts "
                f"({row.questions} questions a clip, {row.ran}), {seen} a question against {own} of ours."
            )
    equal = [side for side in dict.fromkeys(row.side for row in rows) if side != OURS and side not in told]
    if equal:
        return [f"Equal vision tokens in every prompt: {OURS}, {', '.join(equal)}.", *told.values()]
    return list(told.values())


def fronts(rows: Sequence[PeerRow]) -> list[str]:
    """The least ratios of the front end, a sentence for each other side."""
    return [
        f"{side}: its front end costs at least {of_side['front cold']:.1f} times ours cold, "
        f"{of_side['front warm']:.1f} times warm."
        for side, of_side in ratios(rows).items()
        if {"front cold", "front warm"} <= of_side.keys()
    ]


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


def table(rows: Sequence[PeerRow], left: Mapping[str, str], settings: PeerSettings, cores: int) -> str:
    """The passes, what was seen and who was left out, and ours against its parts, for a terminal."""
    size = f"{settings.frames} frames of at most {settings.pixels} pixels, {settings.tokens}-token answers"
    lines = []
    for row in rows:
        speed = f"{row.answers / row.seconds:.1f}" if row.answers else ""
        cells = [f"{row.seconds:.2f}", speed, f"{row.cpu:.1f}", _cell(row.front, ".2f"), row.peak_mb]
        cells += [_cell(row.vision, ",.0f"), _cell(row.ratio, ".1f"), _cell(row.front_ratio, ".1f")]
        lines.append([row.side, row.questions, row.ran, *cells])
    headers = ["side", "questions", "pass", "seconds", "answers/s", "CPU s", "front s", "peak MB", "vision", "ratio"]
    headers.append("front ratio")
    passes = tabulate(lines, headers, disable_numparse=True, colalign=("left", "right", "left", *["right"] * 8))
    first = f"{settings.clips} clips, {size}, engine start excluded; ratio: theirs / ours"
    out = [f"Left out: {side} ({why})." for side, why in left.items()]
    told = [*sight(rows), *fronts(rows), *out]
    words = "\n".join(fill(line, WIDTH) for line in told)
    floor = _floor_table(floors(rows, cores))
    return f"{first}\n{passes}\n\n{words}\n\nOurs, cold, against its parts alone, in seconds\n{floor}"


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _floor_table(parts: Sequence[Mapping[str, float]]) -> str:
    sides = [*dict.fromkeys(name for one in parts for name in one if name.endswith(" / floor"))]
    lines = [
        [
            f"{one['questions']:g}",
            *(f"{one[name]:.2f}" for name in ("cold", "decode", "engine", "larger", "busy", "floor")),
            f"{one['left']:.0%}",
            *(_cell(one.get(side), ".1f") for side in sides),
        ]
        for one in parts
    ]
    headers = ["questions", "cold", "decode", "engine", "cold / larger", "cores busy", "floor", "left", *sides]
    return tabulate(lines, headers, disable_numparse=True, colalign=["right"] * len(headers))
