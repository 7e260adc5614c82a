"""Every type that crosses a module border or reaches the disk: task, protocol, item, sample, record, results.

Example:
    >>> Protocol(protocol="viubench").sampling.frames
    48

All models forbid unknown keys and are frozen. Fractions are in [0, 1], times in seconds.
"""

from viubench.schema.gate import Evidence, GateConfig, GatedMean, GatedRun, GateReport, TaskVerdict, Verdict
from viubench.schema.records import (
    SCHEMA_VERSION,
    STATUSES,
    Clip,
    Failure,
    FrameInfo,
    Groups,
    Item,
    Manifest,
    Record,
    Results,
    RuleResult,
    Sample,
    Status,
    SuiteResult,
    TaskResult,
)
from viubench.schema.strict import Strict, canonical_json, content_hash, utf8
from viubench.schema.tasks import (
    Decoding,
    EvaluatorSpec,
    GenerationKwargs,
    Metadata,
    PretextSpec,
    Prompt,
    Protocol,
    Published,
    Recipe,
    RecipeEntry,
    ReferenceRow,
    References,
    Resize,
    Rows,
    Sampling,
    Suite,
    Task,
    VideoSpec,
)
from viubench.schema.watch import Entry, Gated, Score

__all__ = [
    "SCHEMA_VERSION",
    "STATUSES",
    "Clip",
    "Decoding",
    "Entry",
    "EvaluatorSpec",
    "Evidence",
    "Failure",
    "FrameInfo",
    "GateConfig",
    "GateReport",
    "Gated",
    "GatedMean",
    "GatedRun",
    "GenerationKwargs",
    "Groups",
    "Item",
    "Manifest",
    "Metadata",
    "PretextSpec",
    "Prompt",
    "Protocol",
    "Published",
    "Recipe",
    "RecipeEntry",
    "Record",
    "ReferenceRow",
    "References",
    "Resize",
    "Results",
    "Rows",
    "RuleResult",
    "Sample",
    "Sampling",
    "Score",
    "Status",
    "Strict",
    "Suite",
    "SuiteResult",
    "Task",
    "TaskResult",
    "TaskVerdict",
    "Verdict",
    "VideoSpec",
    "canonical_json",
    "content_hash",
    "utf8",
]
