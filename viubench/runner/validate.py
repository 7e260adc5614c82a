"""`viubench tasks validate`: a task that does not score as it should is refused.

Example:
    faults = check_all(["viubench_count_easy"], Catalogue())

For every task the true answer must score 1, a wrong one less, and junk must count as unparsed; the published rules it
names must exist, and so must the protocol and the group it averages over. Suites may only name tasks that exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import evaluators
from evaluators.published import get_rule
from viubench.datasets import row_files
from viubench.datasets.questions import table
from viubench.datasets.questions.names import is_questions
from viubench.datasets.questions.understanding import understand
from viubench.errors import ViubenchError
from viubench.runner.trials import questions
from viubench.schema import Sample, Suite, Task
from viubench.scoring.grade import grade
from viubench.tasks.registry import Catalogue, load_task

JUNK = ("", ")", "The scene shows a street.", "A man walks past.", "I think so", "\x00")
WRONG = 40
"""Other questions whose answers are tried as wrong ones."""


def check_all(names: Sequence[str], catalogue: Catalogue, data_root: Path | None = None) -> int:
    """Check the named tasks, suites and YAML files, or the whole catalogue; prints a line each, returns the faults."""
    faults = 0
    suites = (
        [catalogue.suites[name] for name in names if name in catalogue.suites] if names else catalogue.suites.values()
    )
    tasks = [name for name in names if name not in catalogue.suites] + [
        name for suite in suites for name in suite.tasks
    ]
    for name in dict.fromkeys(tasks) if names else catalogue.task_files:
        where: str | Path | None = catalogue.task_files.get(name)
        try:
            task, root = _named(name, catalogue)
            problem = fault(task, catalogue, data_root or root)
        except ViubenchError as error:
            problem, where = error.message + (f" ({error.hint})" if error.hint else ""), error.where
        faults += _say(name, problem, where)
    for suite in suites:
        problem = suite_fault(suite, catalogue)
        faults += _say(suite.suite, problem) if problem else 0
    return faults


def _named(name: str, catalogue: Catalogue) -> tuple[Task, Path | None]:
    """A task by name, of a YAML file or of a file of questions, and where its rows lie if that is known."""
    path = Path(name)
    if is_questions(path):
        own = understand(table.read(path, table.embedded()), [path.parent])
        for line in own.lines:
            print(f"      {line}")
        return own.task, path
    if not name.endswith((".yaml", ".yml")):
        return catalogue.task(name), None
    task = load_task(path)
    return task, path.parent if task.rows and row_files.has_rows(task, path.parent) else None


def _say(name: str, problem: str | None, where: str | Path | None = None) -> int:
    print(f"{'BAD' if problem else 'ok':>4}  {name}" + (f": {problem}" if problem else ""))
    if problem and where:
        print(f"      at: {where}")
    return problem is not None


def suite_fault(suite: Suite, catalogue: Catalogue) -> str | None:
    """What is wrong with a suite, in one sentence; None when nothing is."""
    unknown = [name for name in suite.tasks if name not in catalogue.task_files]
    if unknown:
        return f"the suite names {unknown[0]!r}, which is no task"
    members = [task for tasks in suite.groups.values() for task in tasks]
    stray = sorted(set(members) - set(suite.tasks))
    if stray:
        return f"its groups name {stray[0]!r}, which is not among its tasks"
    if suite.average == "groups" and sorted(members) != sorted(suite.tasks):
        return "with average: groups every task must be in just one group"
    return None


def fault(task: Task, catalogue: Catalogue, data_root: Path | None = None) -> str | None:
    """What is wrong with a task's scoring, in one sentence; None when nothing is. Raises ViubenchError where the task
    cannot be tried: no rows, a field they lack, an unknown protocol."""
    evaluator = evaluators.get(task.evaluator.name, **task.evaluator.params)
    if task.metric not in (evaluator.task_metric, evaluator.metric, evaluator.unit_metric):
        return f"metric {task.metric!r} is not what {task.evaluator.name} gives ({evaluator.task_metric})"
    catalogue.protocol(task.protocol)
    for rule in task.alternatives:
        try:
            get_rule(rule)
        except LookupError as error:
            return str(error.args[0])
    samples = questions(task, catalogue, data_root)
    if task.average and not all(isinstance(sample.groups.get(task.average), str) for sample in samples):
        return f"it averages over {task.average!r}, which is no group (group_by) of one value"
    for number, sample in enumerate(samples):
        if problem := _misgraded(sample, samples[number + 1 : number + 1 + WRONG], evaluator):
            return problem
    return None


def _misgraded(sample: Sample, others: Sequence[Sample], evaluator: evaluators.Evaluator) -> str | None:
    truth = grade(sample.answer_text, "stop", sample, evaluator)
    if evaluator.needs_judge:
        return None if truth.status == "unjudged" else f"the true answer {sample.answer_text!r} leaves a judge nothing"
    if truth.scores.get(evaluator.metric) != 1:
        return f"the true answer {sample.answer_text!r} scores {truth.scores or truth.status}, not 1"
    # Another item's "no" may be this one's option B in words: of a choice, only its own letters are surely wrong.
    wrong = [str(letter) for letter in sample.params.get("letters", ()) if letter != sample.target]
    wrong = wrong or [other.answer_text for other in others if not evaluator.equal(sample.target, other.target)]
    for text in wrong:
        if grade(text, "stop", sample, evaluator).scores.get(evaluator.metric, 0) >= 1:
            return f"the wrong answer {text!r} scores 1 where {sample.answer_text!r} is true"
    for junk in JUNK:
        if grade(junk, "stop", sample, evaluator).status != "unparsed":
            return f"the junk answer {junk!r} is taken for an answer"
    return None
