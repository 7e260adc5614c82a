"""Every type that crosses a module border or reaches the disk: task, protocol, item, sample, record, results.

Example:
    >>> Protocol(protocol="viubench").sampling.frames
    48

All models forbid unknown keys and are frozen. Fractions are in [0, 1], times in seconds.
"""

from viubench.schema.base import Strict, canonical_json, content_hash, utf8
from viubench.schema.gate import (
    Evidence,
    FloorEvidence,
    GateConfig,
    GatedMean,
    GatedRun,
    GateReport,
    MainRuns,
    TaskVerdict,
    Verdict,
)
from viubench.schema.imported import FileVerdict, Imported, ImportedFile, Matching
from viubench.schema.judge import Agreement, Judged, JudgedAnswer, JudgedScore, JudgedTask, Panel
from viubench.schema.pretext import (
    KINDS,
    PLUGINS,
    Borrowed,
    CountItem,
    CountParams,
    CountSpec,
    Difficulty,
    Floats,
    GroundItem,
    GroundParams,
    GroundSpec,
    ItemParams,
    JigsawItem,
    JigsawParams,
    JigsawSpec,
    Kind,
    Perturbation,
    PluginItem,
    PluginSpec,
    PretextSpec,
    Shape,
    Strengths,
    Whole,
    within,
)
from viubench.schema.records import (
    ANSWERED,
    FAILED,
    SCHEMA_VERSION,
    STATUSES,
    AnswerSpread,
    AskedOrder,
    Failure,
    FrameInfo,
    Manifest,
    MergedShard,
    OptionLogprob,
    ProtocolEntry,
    Record,
    RecordState,
    Results,
    RuleResult,
    ScoredRecord,
    Shard,
    ShownMedia,
    Status,
    SuiteResult,
    TaskEntry,
    TaskResult,
)
from viubench.schema.samples import Clip, Groups, Item, Sample
from viubench.schema.tasks import (
    PROBES,
    Answers,
    Chat,
    Decoding,
    EvaluatorSpec,
    GenerationKwargs,
    JudgeSpec,
    Metadata,
    Probe,
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
from viubench.schema.watch import GateOutcome, WatchEntry, WatchScore
