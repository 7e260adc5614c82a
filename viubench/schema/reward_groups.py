"""What groups of answers to the same question can still teach: `reward-groups.json`.

Example:
    found = RewardGroups.model_validate_json(Path("runs/probe/reward-groups.json").read_bytes())
    found.tasks["viubench_jigsaw_easy"].smooth.zero_std.value
    # 0.41: of that share of the questions GRPO learns nothing
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from viubench.schema.base import Interval, Strict

if TYPE_CHECKING:
    import pandas as pd

REWARD_GROUPS_SCHEMA = 1
"""Version of reward-groups.json; raised when a reader of an older version could misread a newer file."""


class Measure(Strict):
    """A mean over groups, in [0, 1], with its 95 % interval, clustered by source video."""

    value: float
    ci: tuple[float, float]
    interval: Interval = "t"


class Spread(Strict):
    """Groups by one kind of reward: the mean `reward` of an answer; the mean within-group standard deviation `std`
    (sample standard deviation, as TRL's); the shares of groups whose answers all have reward 1 (`all_right`), all have
    reward 0 (`all_wrong`), have two different rewards (`mixed`), or all one (`zero_std`, the rest of `mixed`)."""

    reward: Measure
    std: Measure
    all_right: Measure
    all_wrong: Measure
    mixed: Measure
    zero_std: Measure


class GroupSet(Strict):
    """So many `groups` of answers, about videos of so many `clusters`, by the `smooth` and the `strict` reward."""

    groups: int
    clusters: int
    smooth: Spread
    strict: Spread


class LevelGroups(Strict):
    """The groups of a task whose questions have one level of a parameter of difficulty, such as `length` `8-10`."""

    task: str
    parameter: str
    level: str
    found: GroupSet


class CellGroups(Strict):
    """The groups of a cell of difficulty: a level of each parameter, a word or the ends of a range. `variance` is the
    mean within-group variance of the smooth reward, `mixed` the share of groups with two different ones."""

    task: str
    levels: list[tuple[str, str | tuple[float, float]]]
    groups: int
    variance: float
    mixed: float


class RewardGroups(Strict):
    """All groups of a run of `samples` answers to each question, sampled at `temperature`. `started` is when the run
    was, `left_out` how many questions of each task lack an answer, which failed."""

    schema_: Annotated[int, Field(alias="schema")] = REWARD_GROUPS_SCHEMA
    viubench: str
    model: str
    engine: str
    started: str
    samples: int
    temperature: float
    total: GroupSet
    tasks: dict[str, GroupSet]
    levels: list[LevelGroups]
    cells: list[CellGroups]
    left_out: dict[str, int] = {}

    def to_frame(self) -> pd.DataFrame:
        """One row for each level of each task, those over a whole task under the parameter `all`; a column for every
        measure, such as `found.smooth.std.value`."""
        import pandas as pd

        whole = [LevelGroups(task=name, parameter="all", level="all", found=one) for name, one in self.tasks.items()]
        return pd.json_normalize([one.model_dump() for one in (*whole, *self.levels)])
