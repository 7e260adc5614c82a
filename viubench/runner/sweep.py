"""The plan of a sweep: the same items under every combination of some settings, a run folder each.

Example:
    plan = plan_sweep(EvalConfig("my_model", "mvbench", out="sweeps/a"), {"frames": [8, 16, 32]})
    [point.label for point in plan.points], plan.points[0].config.run_folder
    # (['frames=8', 'frames=16', 'frames=32'], PosixPath('sweeps/a/frames=8'))

Pretext items are built once, from the most frames that are asked, and each run shows as many of them as it says.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from viubench.datasets.questions.names import expanded
from viubench.errors import ViubenchError
from viubench.runner import planning, protocol_fields
from viubench.runner.collect import Collector
from viubench.runner.config import EvalConfig
from viubench.runner.evaluate import stage
from viubench.runner.plan import Plan
from viubench.runner.protocols import FLAGS
from viubench.schema import Protocol, Task, content_hash
from viubench.tasks.registry import Catalogue, load_task

log = logging.getLogger("viubench")

OVER = "--over"


@dataclass(frozen=True)
class Point:
    """One combination of settings: its label ("frames=8+max_pixels=65536") and the options of its run."""

    label: str
    config: EvalConfig


@dataclass(frozen=True)
class SweepPlan:
    """The runs of a sweep in the order of their settings, and the tasks that are left out, each with the reason."""

    points: tuple[Point, ...]
    left_out: Mapping[str, str]


def settings(over: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What is varied, by option ("frames") or field ("decoding.min_p"), each with its values; a text holds them with
    commas between, or as a YAML list where one of them has a comma.

    >>> settings({"frames": "8,16", "system": '["Be brief.", "Look well, then answer."]'})
    {'frames': [8, 16], 'system': ['Be brief.', 'Look well, then answer.']}

    Raises:
        ViubenchError: an unknown setting, a value that does not fit it, fewer than two values, or one of them twice.
    """
    if not over:
        raise ViubenchError("nothing is varied", where=OVER, hint="for example: --over frames=8,16,32")
    found: dict[str, list[Any]] = {}
    for name, given in over.items():
        key = name.replace("-", "_")
        path = FLAGS.get(key, name)
        texts = _several(given) if isinstance(given, str) else list(given)
        values = [_value(path, one) for one in texts]
        if len(values) < 2:
            raise ViubenchError(f"{name} has one value", where=OVER, hint=f"name several: {name}=A,B")
        if len({content_hash(value) for value in values}) < len(values):
            raise ViubenchError(f"{name} has one value twice", where=OVER)
        found[key if key in FLAGS else name] = values
    return found


def _value(path: str, given: Any) -> Any:
    """One value of a field of the protocol, as it is there."""
    value = protocol_fields.value(path, given, OVER)
    data = protocol_fields.placed(Protocol(protocol=OVER).model_dump(), path, value)
    return protocol_fields.found(protocol_fields.validated(data, {path: OVER}), path)


def _several(text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        try:
            listed = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ViubenchError(f"{text!r:.80} is no list", where=OVER, hint='as in system=["one", "two"]') from None
        return list(listed) if isinstance(listed, list) else [text]
    return [part.strip() for part in text.split(",") if part.strip()]


def plan_sweep(config: EvalConfig, over: Mapping[str, Any]) -> SweepPlan:
    """The runs of a sweep below `config.out`, every one of them planned once, so that none fails for its settings
    after the others were answered.

    Tasks that cannot be asked under one of the settings are left out of all runs, with the reason.

    Raises:
        ViubenchError: settings that do not fit, no task that can be asked under all of them, or as planning a run does.
    """
    values = settings(over)
    _refuse_twice(config, values)
    base = _items_once(config, values)
    left_out: dict[str, str] = {}
    combinations = [dict(zip(values, one, strict=True)) for one in product(*values.values())]
    with _silent():  # each run says it all again
        for chosen in combinations:
            left_out |= _unfit(_with(base, chosen, left_out), base)
    return SweepPlan(tuple(Point(_label(one), _with(base, one, left_out)) for one in combinations), left_out)


@contextmanager
def _silent() -> Iterator[None]:
    """Without what planning tells a user, warnings aside."""
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


def _refuse_twice(config: EvalConfig, values: Mapping[str, Any]) -> None:
    """A setting is either varied or given."""
    for name in values:
        given = name in FLAGS and getattr(config, name) is not None
        if given or FLAGS.get(name, name) in (config.set or {}):
            raise ViubenchError(f"{name} is varied, and given as well", where=OVER, hint="leave one of them out")


def _with(config: EvalConfig, chosen: Mapping[str, Any], left_out: Mapping[str, str]) -> EvalConfig:
    """The options of one combination."""
    flags = {name: value for name, value in chosen.items() if name in FLAGS}
    fields = {name: value for name, value in chosen.items() if name not in FLAGS}
    exclude = tuple(sorted(config.excluded | left_out.keys()))
    out = config.run_folder / _label(chosen)
    return replace(config, **flags, set={**(config.set or {}), **fields} or None, exclude=exclude, out=out, argv=())


def _label(chosen: Mapping[str, Any]) -> str:
    """Names and values, fit for a folder's name: what is long or holds other signs stands as its hash."""
    parts = []
    for name, value in chosen.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        plain = re.fullmatch(r"[\w.-]{1,24}", text, re.ASCII)
        parts.append(f"{name}={text if plain else content_hash(value)[:8]}")
    return "+".join(parts)


def _items_once(config: EvalConfig, values: Mapping[str, Sequence[Any]]) -> EvalConfig:
    """The options with the folder of the built items in the place of the pretext tasks, where these are to be built."""
    if config.videos_folder is None:
        return config
    built, others = _parted(config)
    made = frozenset(task.task for _, tasks in built for task in tasks)
    if not made - config.excluded or (config.data_root is not None and not others):
        return config
    asked = replace(
        config,
        tasks=[name for name, _ in built],
        frames=max(values["frames"]) if "frames" in values else config.frames,
        data_root=None,
        exclude=tuple(made & config.excluded),
    )
    Collector(asked, config.run_folder, partial(stage, config)).collect()
    return replace(config, tasks=[str(config.run_folder / "items"), *others], exclude=tuple(config.excluded - made))


def _parted(config: EvalConfig) -> tuple[list[tuple[Any, list[Task]]], list[Any]]:
    """The names of pretext tasks with the tasks they stand for, and all other names."""
    catalogue = Catalogue(config.include_paths)
    built: list[tuple[Any, list[Task]]] = []
    others: list[Any] = []
    for name in [one for given in config.names for one in expanded(given, catalogue)]:
        tasks = _tasks_of(name, catalogue)
        pretext = [task for task in tasks if task.pretext]
        if len(pretext) == len(tasks) > 0:
            built.append((name, tasks))
        elif pretext:
            built += [(task.task, [task]) for task in pretext]
            others += [task.task for task in tasks if not task.pretext]
        else:
            others.append(name)
    return built, others


def _tasks_of(name: Any, catalogue: Catalogue) -> list[Task]:
    """The tasks of a name; none of a folder of items, a table of questions, or a task of lmms-eval."""
    if isinstance(name, Task):
        return [name]
    if not isinstance(name, str):
        return []
    if catalogue.knows(name):
        return list(catalogue.resolve(name).tasks)
    if name.endswith((".yaml", ".yml")):
        return [load_task(Path(name))]
    if not Path(name).is_dir() or (Path(name) / "items.jsonl").exists():
        return []
    here = Catalogue((*catalogue.include_paths, Path(name)))
    return [here.task(task) for task in here.tasks_in(Path(name))]


def _unfit(config: EvalConfig, base: EvalConfig) -> dict[str, str]:
    """The tasks of `base` that cannot be asked with these options, and why; raises what planning raises where it is no
    task's, and ViubenchError where none is left."""
    try:
        plan = planning.make_plan(config, config.run_folder)
    except ViubenchError as error:
        found, whole = _refused(config, base), error
    else:
        found = _fixed(plan, config, base)
        if len(found) < len(plan.tasks):
            return found
        task, why = next(iter(found.items()))
        whole = ViubenchError(f"{task} {why}", where=OVER)
    if not found or not planning.make_plan(base, config.run_folder).tasks.keys() - found.keys() - config.excluded:
        raise whole
    return found


def _refused(config: EvalConfig, base: EvalConfig) -> dict[str, str]:
    """The tasks of `base` that cannot be planned with these options, and what is said of each."""
    tasks = planning.make_plan(base, config.run_folder).tasks.keys()
    found: dict[str, str] = {}
    for task in sorted(tasks - config.excluded):
        try:
            planning.make_plan(replace(config, exclude=tuple(tasks - {task})), config.run_folder)
        except ViubenchError as error:
            found[task] = error.message.removeprefix(f"{task} ").removeprefix(f"{task}: ")
    return found


def _fixed(plan: Plan, config: EvalConfig, base: EvalConfig) -> dict[str, str]:
    """The tasks whose frames a server chooses, where they are to be varied."""
    if _sampling(config) == _sampling(base):
        return {}
    files = [task for task, protocol in plan.protocols.items() if protocol.media == "file"]
    return dict.fromkeys(files, "is shown as a file, which its server samples itself")


def _sampling(config: EvalConfig) -> tuple[Any, ...]:
    """What the options say of the frames that are shown."""
    named = {path: value for path, value in (config.set or {}).items() if path.startswith("sampling.")}
    return config.frames, config.fps, named
