"""lmms-eval's list of its own tasks, read once a process: 1,800 YAML files, which every TaskManager would read anew.

Example:
    with pytest.MonkeyPatch.context() as patch:
        lmms_listing.keep(patch.setattr)
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any


def keep(replace: Callable[[type, str, Any], None] = setattr) -> None:
    """From now on the listing of lmms-eval's own folder is read once; folders of a user's are read each time."""
    from lmms_eval import tasks

    own, read = Path(tasks.__file__).parent, _original()

    def listed(self: Any, folder: str) -> Any:
        return copy.deepcopy(_own(folder)) if Path(folder) == own else read(self, folder)

    replace(tasks.TaskManager, "_get_task_and_group", listed)


@cache
def _original() -> Callable[[Any, str], Any]:
    from lmms_eval.tasks import TaskManager

    return TaskManager._get_task_and_group


@cache
def _own(folder: str) -> Any:
    from lmms_eval.tasks import TaskManager

    return _original()(TaskManager(include_defaults=False), folder)
