"""viubench: an evaluation harness and self-supervised benchmark for video-understanding multimodal LLMs.

What other programs need is here, loaded when it is first used:

    >>> from viubench import Catalogue, evaluator
    >>> Catalogue().task("viubench_count_easy").metric
    'exact'
    >>> evaluator("permutation").canonical([3, 1, 2])
    '312'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from viubench.version import __version__

if TYPE_CHECKING:
    from evaluators import Answer, Evaluator
    from evaluators import get as evaluator
    from viubench.comparison.pair import compare_runs
    from viubench.errors import EngineError, MediaError, ViubenchError
    from viubench.schema import Protocol, Record, Results, Sample, Task
    from viubench.storage.run_dir import read_manifest, read_records, read_results
    from viubench.tasks.registry import Catalogue
    from viubench.video.frame_cache import FrameCache
    from viubench.video.frames import VideoInput


__all__ = [
    "Answer",
    "Catalogue",
    "EngineError",
    "Evaluator",
    "FrameCache",
    "MediaError",
    "Protocol",
    "Record",
    "Results",
    "Sample",
    "Task",
    "VideoInput",
    "ViubenchError",
    "__version__",
    "compare_runs",
    "evaluator",
    "read_manifest",
    "read_records",
    "read_results",
]

_HOMES = {
    "evaluators": ("Answer", "Evaluator", "get"),
    "viubench.comparison.pair": ("compare_runs",),
    "viubench.errors": ("EngineError", "MediaError", "ViubenchError"),
    "viubench.storage.run_dir": ("read_manifest", "read_records", "read_results"),
    "viubench.schema": ("Protocol", "Record", "Results", "Sample", "Task"),
    "viubench.tasks.registry": ("Catalogue",),
    "viubench.video.frames": ("VideoInput",),
    "viubench.video.frame_cache": ("FrameCache",),
}


def __getattr__(name: str) -> Any:
    wanted = "get" if name == "evaluator" else name
    home = next((module for module, names in _HOMES.items() if wanted in names and name != "get"), None)
    if home is None:
        raise AttributeError(f"module 'viubench' has no attribute {name!r}")
    return getattr(import_module(home), wanted)
