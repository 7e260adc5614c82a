"""Where a model breaks on each axis of difficulty: the plan, in `manifest.json`, and what was found, `frontier.json`.

Example:
    report = FrontierReport.model_validate_json(Path("frontiers/a/frontier.json").read_bytes())
    report.axes["jigsaw.clips"].statement
    # '4.3 clips (3.8 to 5.1)'
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from viubench.schema.base import Strict

FRONTIER_SCHEMA = 1
"""Version of frontier.json; raised when a reader of an older version could misread a newer file."""


class FrontierLevel(Strict):
    """A level of an axis: its value, the task of its items, how many there are, and the score that guessing has there:
    that of the best constant answer, on average over all items that could be drawn so."""

    value: float
    task: str
    items: int
    guess: float


class FrontierAxis(Strict):
    """An axis: its levels from the easiest to the hardest. `base` is the task they are made from; `left_out` says of
    each other value why no level could be made of it; `scale` is how values between two levels are told."""

    unit: str
    base: str
    scale: Literal["linear", "log"]
    levels: list[FrontierLevel]
    left_out: dict[str, str] = {}


class FrontierPlan(Strict):
    """How thresholds are looked for.

    Attributes:
        questions: of an axis, at most.
        width: an axis is done once its interval is no wider, in levels.
        certain: or once the threshold is outside the axis with this probability.
        batch: questions of an axis in a round.
        model, likelihood: what is fitted, and how scores between 0 and 1 enter.
        prior: the grid of the posterior.
    """

    recipe: str
    axes: dict[str, FrontierAxis]
    questions: Annotated[int, Field(ge=1)]
    width: float
    certain: float
    batch: Annotated[int, Field(ge=1)]
    model: str
    likelihood: str
    prior: dict[str, Any]


class LevelResult(Strict):
    """What was asked at a level: questions that count, their mean score, answers among them that scored 0 because they
    could not be used (unparsed, truncated, refused), and questions that the harness failed to ask."""

    value: float
    guess: float
    asked: int
    score: float | None
    unusable: Annotated[int, Field(exclude_if=lambda count: count == 0)] = 0
    failed: Annotated[int, Field(exclude_if=lambda count: count == 0)] = 0


class AxisResult(Strict):
    """The threshold of an axis: where the score is half way between guessing and all right.

    `value` is None where it lies outside the levels, `beyond` says on which side, an end of `ci` is None where the
    interval reaches over that side; never is a value told that no level encloses. `places` are the same in levels from
    the easiest, 0, for computing. `curve` has rows of (place, share of what guessing leaves, its interval's ends).
    `answers` are those that count; `unusable` says how many of them scored 0 because they could not be used, by status.
    """

    unit: str
    value: float | None
    ci: tuple[float | None, float | None]
    beyond: Literal["", "below", "above"]
    outside: tuple[float, float]
    statement: str
    places: tuple[float, float, float]
    questions: int
    answers: int = 0
    unusable: dict[str, int] = {}
    stopped: str
    levels: list[LevelResult]
    curve: list[tuple[float, float, float, float]]


class FrontierReport(Strict):
    """`frontier.json`: equal answers give equal bytes. `invalid` says why the run is none, where it is."""

    schema_: Annotated[int, Field(alias="schema")] = FRONTIER_SCHEMA
    model: str
    engine: str
    recipe: str
    seed: int
    axes: dict[str, AxisResult]
    questions: int
    failed: int
    invalid: str = ""
