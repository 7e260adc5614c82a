"""Whether two item sets are alike: what was compared, how far they are apart, and what common models score on both.

Example:
    report = EquatingReport.model_validate_json(Path("equate.json").read_bytes())
    report.alike, report.reasons
    # (True, [])
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from viubench.schema.base import Strict


class Check(Strict):
    """One thing that both sets of a task have: its mean in each, how far the distributions are apart, and p adjusted
    for all checks (Holm). `distance` is Kolmogorov and Smirnov's, or the largest difference of a share."""

    task: str
    what: str
    a: float
    b: float
    distance: float
    p: float
    holm: float


class Baseline(Strict):
    """What an answerer that sees no video scores in each set, and the 95 % interval of the difference, b - a."""

    task: str
    row: Literal["blind", "chance"]
    a: float
    b: float
    ci: tuple[float, float]


class CommonModel(Strict):
    """A model with a run on each set: its score of a task, and the 95 % interval of the difference, b - a."""

    task: str
    model: str
    a: float
    b: float
    ci: tuple[float, float]


class Link(Strict):
    """What has to be taken from a score on b to compare it with one on a: the mean difference of the common models.
    Models answer the same items, so their errors are taken as one and the same."""

    task: str
    shift: float
    ci: tuple[float, float]
    models: int


class EquatingReport(Strict):
    """Two item sets, a and b. `shared` are ids in both, `oracle` the score of the true answers in each; `reasons` say
    why they are not alike."""

    a: str
    b: str
    items: tuple[int, int]
    seeds: tuple[int | None, int | None]
    shared: int
    oracle: tuple[float, float]
    alpha: float
    checks: list[Check]
    baselines: list[Baseline]
    models: Annotated[list[CommonModel], Field(exclude_if=lambda rows: not rows)] = []
    links: Annotated[list[Link], Field(exclude_if=lambda rows: not rows)] = []
    reasons: list[str]

    @property
    def alike(self) -> bool:
        """Whether nothing was found that sets them apart."""
        return not self.reasons
