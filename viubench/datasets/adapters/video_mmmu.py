"""Video-MMMU: the hub's three configurations, or the repository's JSON of track -> number -> question, as flat rows.

Example: `{"Adaptation": {"0": {"id": "test_Physics_9", "question": "...", "options": ["1 N", "2 N"], "answer": "B"}}}`
gives

    {"track": "adaptation", "discipline": "Science", "subject": "Physics", "id": "test_Physics_9", "answer": "B", ...}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from string import ascii_uppercase
from typing import Any

from viubench.datasets import choices
from viubench.datasets.adapters import RowFile
from viubench.datasets.adapters.grounding import one_layout
from viubench.errors import ViubenchError

TRACKS = ("perception", "comprehension", "adaptation")
DISCIPLINES = {
    "Art": "Art Art_Theory Design Music",
    "Business": "Accounting Economics Finance Manage Marketing",
    "Engineering": "Agriculture Architecture_and_Engineering Computer_Science Electronics Energy_and_Power Materials "
    "Mechanical_Engineering",
    "Humanities": "History Literature Psychology Sociology",
    "Medicine": "Basic_Medical_Science Clinical_Medicine Diagnostics_and_Laboratory_Medicine Pharmacy Public_Health",
    "Science": "Biology Chemistry Geography Math Physics",
}
"""Folder of the videos -> the subjects in it (as in lmms-eval's task)."""

_FOLDERS = {subject: folder for folder, subjects in DISCIPLINES.items() for subject in subjects.split()}


def video_mmmu(files: Sequence[RowFile]) -> Iterator[dict[str, Any]]:
    """One row per question of the three tracks, open ones among them (their `options` are empty).

    `options` are as published, `lettered` each with a letter, since the true answer always is one, also of yes and no.
    An `id` (`{split}_{subject}_{number}`) names a video and is the same in all tracks. `question_type` is null for one
    multiple-choice question (validation_Accounting_13), and "multiple-choice" where the layout has no such field.

    Raises ViubenchError for both layouts at once, a table outside the folder of a track, an unknown track or subject.
    """
    for file in one_layout(files):
        for index, (track, row) in enumerate(_questions(file)):
            subject = "_".join(row["id"].split("_")[1:-1])
            if subject not in _FOLDERS:
                raise ViubenchError(f"{row['id']!r} is of no known subject", where=file.path)
            options = list(row["options"] or ())
            yield {
                "track": track,
                "discipline": _FOLDERS[subject],
                "subject": subject,
                "id": row["id"],
                "question": row["question"],
                "options": options,
                "lettered": lettered(options),
                "answer": row["answer"],
                "question_type": row.get("question_type", "multiple-choice"),
                **file.place(index),
            }


def lettered(options: Sequence[str]) -> list[str]:
    """The options as "A. ..."; as they are when all of them have their letters already."""
    if all(option.startswith(f"{letter}.") for letter, option in zip(ascii_uppercase, options, strict=False)):
        return list(options)
    return choices.lettered(options)


def _questions(file: RowFile) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(file.content, list):
        tables = [(PurePosixPath(file.path).parts[:-1], file.content)]
    else:
        tables = [((name,), rows.values()) for name, rows in file.content.items()]
    for names, rows in tables:
        track = _track(names, file.path)
        yield from ((track, row) for row in rows)


def _track(names: Sequence[str], where: str) -> str:
    tracks = [name.casefold() for name in names if name.casefold() in TRACKS]
    if len(tracks) != 1:
        hint = "keep the publisher's folders Perception, Comprehension and Adaptation"
        raise ViubenchError(f"no track of Video-MMMU in {'/'.join(names)!r}", where=where, hint=hint)
    return tracks[0]
