"""Invented rows in the schema each lmms-eval task expects, beside the item our rules see.

Example:
    >>> row = mvbench()[0]
    >>> row.doc["candidates"][ord(row.item.target) - ord("A")] == row.doc["answer"]
    True
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any

from evaluators import Question

WORDS = (
    "a lamp", "a red cup", "a globe", "two boats", "an old map", "a tent", "the blue coat", "a lantern", "a rope",
    "Both hands", "A quiet dog", "Circles left", "nothing at all", "a cart", "an ice cube", "green light", "12 steps",
)  # fmt: skip
DIMS = ("action", "direction", "speed", "order", "attribute_change")


@dataclass(frozen=True)
class Row:
    """One row for lmms-eval (`doc`) and the same for a rule; `apart` names a fault that concerns the whole row."""

    doc: dict[str, Any]
    item: Question
    cluster: str = ""
    groups: dict[str, str] = field(default_factory=dict)
    apart: str = ""


def drawn(seed: int, n: int, fewest: int, most: int) -> list[tuple[list[str], int]]:
    """n times between `fewest` and `most` distinct options and the index of the true one."""
    rng = random.Random(seed)
    sizes = [rng.randint(fewest, most) for _ in range(n)]
    return [(rng.sample(WORDS, size), k % size) for k, size in enumerate(sizes)]


def choice(options: Sequence[str], true: int, **params: Any) -> Question:
    letters = list(ascii_uppercase[: len(options)])
    return Question(letters[true], tuple(options), {"letters": letters, **params})


def lettered(options: Sequence[str], form: str = "{}. {}") -> list[str]:
    return [form.format(letter, text) for letter, text in zip(ascii_uppercase, options, strict=False)]


def mvbench() -> list[Row]:
    rows = []
    for k, (options, true) in enumerate([*drawn(1, 13, 2, 5), (["up", "down", "up"], 1)]):
        doc = {"video": f"inv_{k}.mp4", "question": f"What comes after cut {k}?", "candidates": options}
        rows.append(Row(doc | {"answer": options[true]}, choice(options, true), f"inv_{k}.mp4"))
    return rows


def tempcompass_multi_choice() -> list[Row]:
    rows = []
    for k, (options, true) in enumerate(drawn(2, 14, 3, 4)):
        lines = lettered(options)
        question = "\n".join([f"What changes in take {k}?", *lines])
        doc = {"video_id": f"90{k}", "question": question, "answer": lines[true], "dim": DIMS[k % 5]}
        rows.append(Row(doc, choice(options, true, gold=lines[true])))
    return rows


def tempcompass_yes_no() -> list[Row]:
    rows = []
    for k in range(12):
        answer = ("yes", "no")[k % 2]
        doc = {"video_id": f"91{k}", "question": f"Does kite {k} drift left?", "answer": answer, "dim": DIMS[k % 5]}
        rows.append(Row(doc, Question(answer, ("yes", "no"), {"letters": ["yes", "no"]})))
    return rows


def tempcompass_caption_matching() -> list[Row]:
    captions = [*WORDS[:10], "the sign reads: open", "the sign shows: none", "2.", "1."]
    rows = []
    for k in range(14):
        kind, names = (("Option", "12"), ("Sentence", "AB"), ("Caption", "AB"))[k % 3]
        pair = [captions[k], captions[k + 1 - 2 * (k % 2)]]
        lines = [f"{kind} {name}: {text}" for name, text in zip(names, pair, strict=True)]
        gold = lines[k // 2 % 2]
        question = "\n".join(["Which of these matches the video?", *lines])
        doc = {"video_id": f"92{k}", "question": question, "answer": gold, "dim": DIMS[k % 5]}
        item = Question(names[k // 2 % 2], tuple(pair), {"letters": list(names), "gold": gold})
        rows.append(Row(doc, item))
    return rows


def vinoground() -> list[Row]:
    """All 500 pairs, since lmms-eval's aggregation needs them; a pair's category is its own."""
    rows = []
    for k in range(500):
        for sign in ("pos", "neg"):
            for kind in ("text", "video"):
                letter = "AB"[(sign == "neg") ^ (k % 3 == 0)]
                minor = None if k % 2 else "spatial;cyclical"
                doc = {"index": f"{k}_{sign}_{kind}", "major": f"pair {k}", "minor": minor, "answer": letter}
                rows.append(Row(doc, choice(["first", "second"], "AB".index(letter)), str(k), {"question": kind}))
    return rows


def videomme() -> list[Row]:
    domains = ("Knowledge", "Multilingual", "Life Record")
    subs = ("Geography", "Multilingual", "Food")
    rows = []
    for k, (options, true) in enumerate(drawn(3, 12, 4, 4)):
        doc = {
            "video_id": f"9{k:02}", "videoID": f"AbC_{k}-xyz", "duration": ("short", "medium", "long")[k % 3],
            "domain": domains[k % 3], "sub_category": subs[k % 3], "task_type": "Counting Problem",
            "question_id": f"9{k:02}-1", "question": f"What is on shelf {k}?", "options": lettered(options, "{}. {}."),
            "answer": ascii_uppercase[true],
        }  # fmt: skip
        rows.append(Row(doc, choice(options, true)))
    return rows


def lvbench() -> list[Row]:
    rows = []
    for k, (options, true) in enumerate(drawn(4, 12, 4, 4)):
        question = "\n".join([f"Who serves in set {k}?", *lettered(options, "({}) {}")])
        doc = {"uid": f"90{k}", "video_path": f"inv_{k}.mp4", "question": question, "answer": ascii_uppercase[true]}
        rows.append(Row(doc | {"question_type": ["reasoning", "summarization"][: 1 + k % 2]}, choice(options, true)))
    return rows


def longvideobench() -> list[Row]:
    rows = []
    for k, (options, true) in enumerate(drawn(5, 14, 4, 5)):
        columns = {f"option{n}": text for n, text in enumerate([*options, "N/A"][:5])}
        doc = {"id": f"QQ_inv{k}_0", "video_id": f"QQ_inv{k}", "question": f"What is on desk {k}?", **columns}
        doc |= {"correct_choice": true, "duration_group": (15, 60, 600, 3600)[k % 4]}
        doc |= {"question_category": ("T2O", "S2E")[k % 2]}
        rows.append(Row(doc, choice(options, true)))
    return rows


def cgbench() -> list[Row]:
    rows = []
    for k, (options, true) in enumerate([*drawn(6, 12, 5, 8), (list(WORDS[:8]), 7)]):
        doc = {
            "qid": 90000 + k, "video_uid": f"inv_{k}", "question": f"What is bought at stall {k}?", "choices": options,
            "answer": options[true], "right_answer": ascii_uppercase[true], "domain": "Travel & Events",
            "sub_category": "Event Perception", "duration": 1644, "clue_intervals": [[812, 836]],
        }  # fmt: skip
        rows.append(Row(doc, choice(options, true)))
    return rows


def charades() -> list[Row]:
    rng = random.Random(7)
    rows = []
    for k in range(14):
        start = round(rng.uniform(0, 20), 1)
        window = [start, round(start + rng.uniform(1, 15), 1)]
        doc = {"video": f"INV{k:02}.mp4", "caption": f"person opens box {k}.", "timestamp": window}
        rows.append(Row(doc, Question(window, (), {"times": [0.0, 40.0]}), doc["video"]))
    return rows


def video_mmmu(track: str) -> list[Row]:
    """Adaptation has one more row, without a type, as the published data has."""
    subjects = ("Physics", "Art_Theory", "Accounting", "Public_Health")
    rows = []
    for k, (options, true) in enumerate(drawn(8 + len(track), 13, 4, 10)):
        untyped = track == "adaptation" and k == 12
        doc = {"id": f"validation_{subjects[k % 4]}_{k}", "question": f"Given <image 1>, which law is number {k}?"}
        doc |= {"options": options, "answer": ascii_uppercase[true]}
        doc |= {"question_type": None if untyped else "multiple-choice"}
        rows.append(Row(doc, choice(options, true), apart="open-ended" if untyped else ""))
    return rows


def videott() -> list[Row]:
    kinds = ("Objective Causality", "Objective Causality (Videography Phenomenon & Illusion)", "Element Counting")
    rows = []
    for k, (options, true) in enumerate(drawn(9, 12, 4, 5)):
        prompt = "\n".join(["", *lettered(options), "Please select one letter."])
        doc = {"video_id": f"InvSh0rt_{k}", "duration": "31", "question": f"Why does dog {k} stop?"}
        doc |= {"question_prompt": prompt, "capability": kinds[k % 3], "answer": ascii_uppercase[true]}
        rows.append(Row(doc, choice(options, true)))
    return rows


def mlvu() -> list[Row]:
    kinds = ("anomaly_reco", "count", "ego", "needle", "order", "plotQA", "topic_reasoning")
    rows = []
    for k, (options, true) in enumerate(drawn(10, 17, 4, 4)):
        question = "\n".join([f"What is the job of narrator {k}?", *lettered(options, "({}) {}")])
        doc = {"video_name": f"inv_{k}.mp4", "question": question, "answer": ascii_uppercase[true]}
        rows.append(Row(doc | {"task_type": kinds[k % 7]}, choice(options, true), groups={"task_type": kinds[k % 7]}))
    return rows
