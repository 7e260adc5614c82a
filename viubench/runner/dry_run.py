"""What a run would ask, before it is started: samples, tokens, prompts too long, missing media, memory; no engine.

Example:
    forecast(configure("tiny-qwen3-vl", "viubench-mini", videos="clips", out="runs/a")).missing.samples  # 0
"""

from __future__ import annotations

from dataclasses import dataclass

from viubench.engines.base import Engine
from viubench.engines.checkpoints import describe_checkpoint
from viubench.engines.memory import footprint
from viubench.engines.token_counts import Counter
from viubench.errors import ViubenchError
from viubench.runner import planning, preflight
from viubench.runner.config import EvalConfig
from viubench.runner.evaluate import frame_cache, plan_run
from viubench.runner.memory import MemoryCheck
from viubench.runner.parallel.layout import Layout
from viubench.runner.plan import Plan
from viubench.runner.preflight import Lengths
from viubench.storage.run_dir import RunFolder


@dataclass(frozen=True)
class DryRun:
    """The forecast of a run.

    Attributes:
        plan: what would be done.
        missing: media files that cannot be used.
        lengths: the prompts, and `basis` what their text is counted by; None without a local checkpoint.
        memory: whether it fits; None without a local checkpoint.
        warnings: what will not fit, and what to change.
    """

    plan: Plan
    missing: planning.Missing
    lengths: Lengths | None = None
    basis: str = ""
    memory: MemoryCheck | None = None
    warnings: tuple[str, ...] = ()


def forecast(config: EvalConfig) -> DryRun:
    """The forecast of a run with these options; builds pretext items where they are not there yet.

    Raises:
        ViubenchError: as planning the run does.
    """
    if config.out is None:
        raise ViubenchError("a dry run needs a run folder", where="out")
    kind, args, replicas = "", config.engine_args, 1
    if not isinstance(config.engine, Engine):
        layout = Layout.read(config.engine, config.replicas, config.engine_args)
        kind, args, replicas = layout.kind, layout.engine_args, layout.replicas or 1
    local = config.model is not None and kind in ("vllm", "hf")
    checkpoint = describe_checkpoint(str(config.model)) if local else None
    with RunFolder.claim(config.out):
        plan = plan_run(config, config.out, checkpoint["size_multiple"] if checkpoint else None)
    missing = planning.missing(plan)
    if checkpoint is None:
        return DryRun(plan, missing)
    taken, counter = footprint(kind, checkpoint, args), Counter(checkpoint)
    lengths = preflight.measure(plan, frame_cache(config), counter)
    memory = MemoryCheck(taken, lengths, replicas)
    warnings = (*preflight.overlong(lengths, taken, len(plan.samples), 1.0), *memory.warnings())
    return DryRun(plan, missing, lengths, counter.basis, memory, warnings)
