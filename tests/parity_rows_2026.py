"""Invented rows of the benchmarks that reports of 2026 add, in the schema each lmms-eval task expects.

Example:
    >>> row = tvbench()[0]
    >>> row.doc["candidates"][ord(row.item.target) - ord("A")] == row.doc["answer"]
    True
"""

from __future__ import annotations

import random
from string import ascii_uppercase
from typing import Any

from parity_rows import Row, choice, drawn, lettered

from evaluators import Question

STRUCTURES = ("[1, 2, 3, 4]", "[1, [2, 3], 4]", "[[1, 2], 3, 4]")
NUMBERED = ("object_abs_distance", "object_counting", "object_size_estimation", "room_size_estimation")


def videomme_v2() -> list[Row]:
    """Six groups of four: every structure of a chain, and as many of the other kind."""
    rows = []
    for k, (options, true) in enumerate(drawn(21, 24, 8, 8)):
        group, place = divmod(k, 4)
        kind = ("logic", "relevance")[group % 2]
        about = {"group_type": kind, "group_structure": STRUCTURES[group // 2] if kind == "logic" else "None"}
        doc = {
            "video_id": f"{group:03}",
            "question_id": f"{group:03}-{place + 1}",
            "question": f"What is {k}?",
            **about,
        }
        doc |= {"options": "\n".join(lettered(options)), "answer": ascii_uppercase[true], "level": 1 + group % 3}
        doc |= {"second_head": "A", "third_head": "B"}
        rows.append(Row(doc, choice(options, true), f"{group:03}", {**about, "place": str(place + 1)}))
    return rows


def mmvu() -> list[Row]:
    rows = []
    for k, (options, true) in enumerate(drawn(22, 14, 5, 5)):
        doc = {"id": f"validation_{k}", "question_type": "multiple-choice", "question": f"Which law is {k}?"}
        doc |= {"choices": dict(zip("ABCDE", options, strict=True)), "answer": "ABCDE"[true]}
        rows.append(Row(doc | {"video_path": f"videos/{('Art', 'Chemistry')[k % 2]}/{k}.mp4"}, choice(options, true)))
    return rows


def motionbench() -> list[Row]:
    rows = []
    for k, (options, true) in enumerate(drawn(23, 13, 2, 6)):
        labelled = [{"label": letter, "text": text} for letter, text in zip("ABCDEF", options, strict=False)]
        doc = {"id": str(k), "question": "How does it move?", "options": labelled, "answer": "ABCDEF"[true]}
        rows.append(Row(doc | {"question_type": "Action Order"}, choice(options, true)))
    return rows


def egoschema() -> list[Row]:
    rows = []
    for k, (options, true) in enumerate(drawn(24, 13, 5, 5)):
        doc = {
            "video_idx": f"inv{k}",
            "question": f"What is {k} for?",
            "option": lettered(options),
            "answer": str(true),
        }
        rows.append(Row(doc, choice(options, true)))
    return rows


def perceptiontest() -> list[Row]:
    rows = []
    for k, (options, true) in enumerate(drawn(25, 13, 3, 3)):
        doc = {"video_name": f"video_{k}", "question": f"What moves in {k}?", "options": options, "answer_id": true}
        rows.append(Row(doc, choice(options, true)))
    return rows


def nextqa() -> list[Row]:
    rows = []
    for k, (options, true) in enumerate(drawn(26, 13, 5, 5)):
        doc = {"question": f"why does it stop {k}", "answer": true, **{f"a{n}": text for n, text in enumerate(options)}}
        rows.append(Row(doc, choice(options, true)))
    return rows


def timelens() -> list[Row]:
    rng = random.Random(27)
    rows = []
    for k in range(14):
        start = round(rng.uniform(0, 20), 1)
        window = [[start, round(start + rng.uniform(1, 15), 1)]]
        doc = {"video_path": f"charades/INV{k}.mp4", "query": f"A person opens box {k}", "span": window}
        rows.append(Row(doc, Question(window, (), {"times": [0.0, 40.0]}), doc["video_path"]))
    return rows


def tomato() -> list[Row]:
    rows = []
    for k, (options, true) in enumerate(drawn(28, 13, 3, 7)):
        doc = {"id": str(k), "question": f"How fast is {k}?", "options": options, "answer": true}
        rows.append(Row(doc | {"reason_type": "count", "demonstration_type": "human"}, choice(options, true)))
    return rows


def tvbench() -> list[Row]:
    rows = []
    for k, (options, true) in enumerate(drawn(29, 13, 2, 4)):
        doc = {"video": f"inv_{k}.mp4", "question": f"Which comes first in {k}?", "candidates": options}
        rows.append(Row(doc | {"answer": options[true]}, choice(options, true)))
    return rows


def videoevalpro() -> list[Row]:
    rows = []
    for k, (options, true) in enumerate(drawn(30, 13, 4, 6)):
        doc = {"question": f"What is sold at {k}?", "options": lettered(options), "answer": ascii_uppercase[true]}
        rows.append(Row(doc | {"qa_type": "Local Perception"}, choice(options, true)))
    return rows


def video_holmes() -> list[Row]:
    rows = []
    for k, (options, true) in enumerate(drawn(31, 13, 6, 6)):
        doc = {"Question": f"Who did {k}?", "Options": dict(zip("ABCDEF", options, strict=True))}
        rows.append(Row(doc | {"Answer": "ABCDEF"[true], "Question Type": "SR"}, choice(options, true)))
    return rows


def vsibench(kind: str) -> list[Row]:
    """Of the questions with options (`route`, or `direction` in three difficulties), or with a number (`number`)."""
    if kind == "number":
        return [_number(k) for k in range(13)]
    rows = []
    for k, (options, true) in enumerate(drawn(32, 13, 2, 4)):
        difficulty = ("easy", "medium", "hard", "hard")[k % 4]
        asked = "route_planning" if kind == "route" else f"object_rel_direction_{difficulty}"
        doc = {"question_type": asked, "question": f"Where to from {k}?", "options": lettered(options)}
        item = choice(options, true)
        rows.append(Row(doc | {"ground_truth": ascii_uppercase[true]}, item, groups={"difficulty": difficulty}))
    return rows


def _number(k: int) -> Row:
    true: Any = (3, 1.7, 12, 250, 4.5)[k % 5]
    return Row({"question_type": NUMBERED[k % 4], "ground_truth": str(true)}, Question(float(true)))


def mlvu_test() -> list[Row]:
    kinds = ("anomaly_reco", "count", "ego", "needleQA", "order", "plotQA", "sportsQA", "topic_reasoning", "tutorialQA")
    rows = []
    for k, (options, true) in enumerate(drawn(33, 27, 4, 4)):
        question = "\n".join([f"What is cooked in {k}?", *lettered(options, "({}) {}")])
        doc = {"video_name": f"inv_{k}.mp4", "question": question, "answer": ascii_uppercase[true]}
        rows.append(Row(doc | {"task_type": kinds[k % 9]}, choice(options, true), groups={"task_type": kinds[k % 9]}))
    return rows
