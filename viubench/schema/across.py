"""Runs of the same items under several settings, compared item by item: `across.json`.

Example:
    report = AcrossReport.model_validate_json(Path("across.json").read_bytes())
    report.settings[report.enough].label
    # 'frames 16'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from viubench.schema.base import Strict
from viubench.schema.compare import Change
from viubench.schema.gate import GatedRun

if TYPE_CHECKING:
    import pandas as pd

ACROSS_SCHEMA = 1
"""Version of across.json; raised when a reader of an older version could misread a newer file."""


class Spent(Strict):
    """What an answer took, on average over those where it is known; None where it is known of none.

    `frames` shown, their `pixels` together, `prompt_tokens`, of them `vision_tokens`, `answer_tokens`, and `seconds`
    from the request to the answer (requests run side by side: their sum is no time by the clock).
    """

    frames: float | None = None
    pixels: float | None = None
    prompt_tokens: float | None = None
    vision_tokens: float | None = None
    answer_tokens: float | None = None
    seconds: float | None = None


class SettingChange(Change):
    """A paired difference between two settings (b minus a). `differs` names all that differs between the two runs;
    `holm` is p adjusted for the number of settings."""

    differs: str
    holm: float


class TaskAtSetting(Strict):
    """One task at one setting: its score, and its difference to the task's best setting (None at that setting)."""

    value: float
    best: SettingChange | None


class Setting(Strict):
    """One run among those of several settings.

    `label` is what it has and the others have not ("frames 16"), `values` the same by name. `first`, `best` and `step`
    are its differences to the run that was named first, to the one with the highest score, and to the next smaller
    setting; None where that is itself, or there is none. `same_frames` is the share of the answers before which the
    model was shown the very frames of the next smaller setting (short videos have no more), None where no frames are
    known. `bound` is the lowest bound of its differences to all others
    (see `viubench.stats.plateau`).
    """

    run: GatedRun
    label: str
    values: dict[str, Any]
    value: float
    spent: Spent
    first: SettingChange | None
    best: SettingChange | None
    step: SettingChange | None
    same_frames: float | None
    bound: float
    tasks: dict[str, TaskAtSetting]


class AcrossReport(Strict):
    """`across.json`; equal runs give equal bytes. Scores and differences are fractions.

    `settings` are from the smallest to the largest by `budget`, which says what is counted; `varied` names what
    differs among them. `enough` is the place of the smallest setting that is not worse than any other by more than
    `margin`, by the rule of `viubench.stats.plateau` at `alpha`; where there is none, `units` would show one. The same
    by task in `tasks_enough`, not corrected for the number of tasks. `left_out` says which tasks were not compared.
    """

    schema_: Annotated[int, Field(alias="schema")] = ACROSS_SCHEMA
    viubench: str
    alpha: float
    level: float
    margin: float
    budget: str
    varied: list[str]
    n: int
    clusters: int
    settings: list[Setting]
    enough: int | None
    units: int | None
    conclusion: str
    tasks_enough: dict[str, int | None]
    left_out: dict[str, str]

    def to_frame(self) -> pd.DataFrame:
        """One row a setting: its values, score, difference to the best with its interval, and what it took."""
        import pandas as pd

        rows = []
        for setting in self.settings:
            best = setting.best
            low, high = best.ci if best else (0.0, 0.0)
            rows.append(
                {"setting": setting.label, **setting.values, "value": setting.value}
                | {"to_best": best.difference if best else 0.0, "ci_low": low, "ci_high": high}
                | {"as_good_as_any": setting.bound > -self.margin}
                | {f"spent.{name}": value for name, value in setting.spent.model_dump().items()}
            )
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        from html import escape

        table = self.to_frame().dropna(axis=1, how="all").to_html(index=False, float_format="{:.3f}".format)
        return f"<p>{escape(self.conclusion)}</p>{table}"
