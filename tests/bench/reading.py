"""`python -m tests.bench reading`, `generated` and `sizes`: how answers are read, how surely, and how fast.

Example:
    python -m tests.bench reading tests/answers.jsonl
    python -m tests.bench generated --n 1000000
    python -m tests.bench sizes --n 10000
"""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from viubench.errors import Exit

VERDICTS = ("right", "unread", "wrong")
CHUNK = 20_000
MOST_UNREAD = 0.03
MEDIAN, WORST = 0.05, 1.0  # seconds


def reading(files: Annotated[list[Path], typer.Argument(help="JSONL of labelled answers.")]) -> None:
    """Read labelled answers: right, unread and wrong by kind and language, and each rule's share; exit 1 for a wrong
    one."""
    from tests.answer_cases import answer_of, cases, verdict

    found: Counter[tuple[str, str, str]] = Counter()
    rules: Counter[str] = Counter()
    for case in cases(files):
        kind = verdict(case)
        found[case["kind"], case.get("language", "-"), kind] += 1
        answer = answer_of(case)
        rules[answer.rule if answer else "unread"] += 1
        if kind != "right":
            print(f"{kind}: {case['text']!r}, meant {case['value']}, read {answer.value if answer else None}")
    print(_table(found))
    total = rules.total()
    print("\n" + "\n".join(f"{rule}  {count}  {100 * count / total:.1f} %" for rule, count in rules.most_common()))
    raise typer.Exit(_exit(found))


def generated(
    n: Annotated[int, typer.Option(min=1, help="How many answers.")] = 1_000_000,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal answers.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Read answers of known meaning from a grammar: exit 1 with a wrong reading, or more than 3 % unread."""
    found: Counter[tuple[str, str, str]] = Counter()
    chunks = [(seed * 1_000_003 + k, min(CHUNK, n - k * CHUNK)) for k in range(-(-n // CHUNK))]
    with ProcessPoolExecutor(workers) as pool:
        for counted, wrong in pool.map(_read_chunk, chunks):
            found += counted
            for text in wrong:
                print(f"wrong: {text!r}")
    print(_table(found))
    raise typer.Exit(_exit(found, MOST_UNREAD))


def sizes(
    n: Annotated[int, typer.Option(min=1, help="How many texts.")] = 10_000,
    largest: Annotated[int, typer.Option(min=1, help="Characters of the largest.")] = 1_000_000,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal texts.")] = 0,
) -> None:
    """Time texts of up to 1 MB, prose and hostile: exit 1 above 50 ms at the median or 1 s at worst (CPU time)."""
    seconds = sorted(_timed(n, largest, seed))
    median, worst = seconds[len(seconds) // 2], seconds[-1]
    print(f"{n} texts of up to {largest} characters: median {1e3 * median:.1f} ms, worst {1e3 * worst:.0f} ms")
    raise typer.Exit(Exit.NEGATIVE if median > MEDIAN or worst > WORST else Exit.OK)


def _read_chunk(chunk: tuple[int, int]) -> tuple[Counter[tuple[str, str, str]], list[str]]:
    from tests.answer_cases import verdict
    from tests.answer_grammar import generated as made

    seed, n = chunk
    found: Counter[tuple[str, str, str]] = Counter()
    wrong = []
    for case in islice(made(seed), n):
        kind = verdict(case)
        found[case["kind"], case["language"], kind] += 1
        if kind == "wrong":
            wrong.append(case["text"])
    return found, wrong


def _timed(n: int, largest: int, seed: int) -> list[float]:
    from tests.answer_cases import answer_of
    from tests.answer_grammar import generated as made
    from tests.unit.test_evaluators_all import HOSTILE, PIECES

    rng, seconds = random.Random(seed), []
    for case in islice(made(seed + 1), 200):  # the languages are loaded once, by the first answers of a process
        answer_of(case)
    answers = made(seed)
    for _ in range(n):
        case, size = next(answers), int(10 ** rng.uniform(2, 6) * largest / 1e6)
        fill = rng.choice(
            (
                [rng.choice(HOSTILE)],
                rng.choices(PIECES, k=40),
                [f"{next(answers)['text']} " for _ in range(20)],
                ["The man walks to the left, then he takes the cup and it is seen from above. "],
            )
        )
        text = "".join(fill)
        case["text"] = (text * (size // max(1, len(text)) + 1))[:size] + case["text"]
        start = time.process_time()
        answer_of(case)
        seconds.append(time.process_time() - start)
    return seconds


def _table(found: Counter[tuple[str, str, str]]) -> str:
    from tabulate import tabulate

    rows = sorted({(kind, language) for kind, language, _ in found})
    lines = [[*row, *(found[(*row, verdict)] for verdict in VERDICTS)] for row in rows]
    lines.append(["all", "", *(sum(n for key, n in found.items() if key[2] == verdict) for verdict in VERDICTS)])
    return tabulate(lines, ["kind", "language", *VERDICTS])


def _exit(found: Counter[tuple[str, str, str]], most: float = 1.0) -> Exit:
    by_verdict = Counter(dict.fromkeys(VERDICTS, 0))
    for (_, _, verdict), n in found.items():
        by_verdict[verdict] += n
    bad = by_verdict["wrong"] > 0 or by_verdict["unread"] > most * found.total()
    return Exit.NEGATIVE if bad else Exit.OK
