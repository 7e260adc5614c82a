"""viubench: an evaluation harness and self-supervised benchmark for video-understanding multimodal LLMs.

Example: an evaluation in three lines; docs/python.md has the rest.
    import viubench
    run = viubench.evaluate("Qwen/Qwen3-VL-8B-Instruct", "viubench-mini", videos="my_clips")
    run.summary()

Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from viubench.version import __version__

if TYPE_CHECKING:
    from evaluators import Answer, Evaluator
    from evaluators import get as evaluator
    from viubench.api.compare import compare, compare_across, compare_probes, gate
    from viubench.api.equate import equate
    from viubench.api.evaluate import dry_run, evaluate, evaluate_async, score
    from viubench.api.floors import gate_floors, gate_plan
    from viubench.api.frontier import find_frontier, load_frontiers
    from viubench.api.imports import explain_difference, import_answers
    from viubench.api.judge import judge
    from viubench.api.merge import merge
    from viubench.api.probe_data import group_rewards, probe_data
    from viubench.api.run import Run, load_run, load_runs
    from viubench.api.sweep import Sweep, dry_sweep, sweep
    from viubench.api.tasks import build_items, get_suite, get_task, list_suites, list_tasks, new_task
    from viubench.audit.auditing import audit_questions
    from viubench.comparison.pair import compare_runs
    from viubench.engines.base import Engine, EngineOptions, Request, Response
    from viubench.errors import EngineError, MediaError, ViubenchError
    from viubench.pretext.kinds import PretextKind
    from viubench.runner.config import Progress
    from viubench.schema import GateConfig, Protocol, Record, Results, Sample, Task
    from viubench.storage.run_dir import read_manifest, read_records, read_results
    from viubench.tasks.registry import Catalogue
    from viubench.video.frame_cache import FrameCache
    from viubench.video.frames import VideoInput

_HOMES = {
    "evaluators": ("Answer", "Evaluator"),
    "viubench.api.compare": ("compare", "compare_across", "compare_probes", "gate"),
    "viubench.api.equate": ("equate",),
    "viubench.api.evaluate": ("dry_run", "evaluate", "evaluate_async", "score"),
    "viubench.api.floors": ("gate_floors", "gate_plan"),
    "viubench.api.frontier": ("find_frontier", "load_frontiers"),
    "viubench.api.imports": ("explain_difference", "import_answers"),
    "viubench.api.judge": ("judge",),
    "viubench.api.merge": ("merge",),
    "viubench.api.probe_data": ("group_rewards", "probe_data"),
    "viubench.api.run": ("Run", "load_run", "load_runs"),
    "viubench.api.sweep": ("Sweep", "dry_sweep", "sweep"),
    "viubench.api.tasks": ("build_items", "get_suite", "get_task", "list_suites", "list_tasks", "new_task"),
    "viubench.audit.auditing": ("audit_questions",),
    "viubench.comparison.pair": ("compare_runs",),
    "viubench.engines.base": ("Engine", "EngineOptions", "Request", "Response"),
    "viubench.errors": ("EngineError", "MediaError", "ViubenchError"),
    "viubench.pretext.kinds": ("PretextKind",),
    "viubench.runner.config": ("Progress",),
    "viubench.schema": ("GateConfig", "Protocol", "Record", "Results", "Sample", "Task"),
    "viubench.storage.run_dir": ("read_manifest", "read_records", "read_results"),
    "viubench.tasks.registry": ("Catalogue",),
    "viubench.video.frame_cache": ("FrameCache",),
    "viubench.video.frames": ("VideoInput",),
}

__all__ = [
    "Answer",
    "Catalogue",
    "Engine",
    "EngineError",
    "EngineOptions",
    "Evaluator",
    "FrameCache",
    "GateConfig",
    "MediaError",
    "PretextKind",
    "Progress",
    "Protocol",
    "Record",
    "Request",
    "Response",
    "Results",
    "Run",
    "Sample",
    "Sweep",
    "Task",
    "VideoInput",
    "ViubenchError",
    "__version__",
    "audit_questions",
    "build_items",
    "compare",
    "compare_across",
    "compare_probes",
    "compare_runs",
    "dry_run",
    "dry_sweep",
    "equate",
    "evaluate",
    "evaluate_async",
    "evaluator",
    "explain_difference",
    "find_frontier",
    "gate",
    "gate_floors",
    "gate_plan",
    "get_suite",
    "get_task",
    "group_rewards",
    "import_answers",
    "judge",
    "list_suites",
    "list_tasks",
    "load_frontiers",
    "load_run",
    "load_runs",
    "merge",
    "new_task",
    "probe_data",
    "read_manifest",
    "read_records",
    "read_results",
    "score",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name == "evaluator":
        return import_module("evaluators").get
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'viubench' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
