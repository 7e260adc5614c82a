"""What a run would need, before it is started: samples, tokens, prompts too long, missing media, memory; no engine.

Example:
    forecast(EvalConfig("tiny-qwen3-vl", "viubench-mini", videos="clips", out="runs/a")).missing.samples  # 0
"""

from __future__ import annotations

from dataclasses import dataclass

from viubench.engines.checkpoints import describe_checkpoint
from viubench.engines.families import frame_format
from viubench.engines.memory import footprint
from viubench.engines.token_counts import Counter
from viubench.runner import planning, preflight
from viubench.runner.config import EvalConfig
from viubench.runner.costs import Costs, costs
from viubench.runner.evaluate import plan_run
from viubench.runner.memory import MemoryCheck
from viubench.runner.needs import needs_of
from viubench.runner.parallel.layout import Layout
from viubench.runner.plan import Plan
from viubench.runner.whole_files import require_whole_files
from viubench.storage.run_dir import RunFolder


@dataclass(frozen=True)
class DryRun:
    """The forecast of a run: what would be done, unusable media, and with a local checkpoint also the prompts (`basis`
    says what their text is counted by), whether they fit into memory, and what will not fit; of a server the costs."""

    plan: Plan
    missing: planning.Missing
    basis: str = ""
    memory: MemoryCheck | None = None
    warnings: tuple[str, ...] = ()
    costs: Costs | None = None


def forecast(config: EvalConfig) -> DryRun:
    """The forecast of a run with these options; builds pretext items where they are not there yet, and raises
    ViubenchError as planning the run does."""
    layout = Layout("", {})
    if config.engine_object is None:
        layout = Layout.read(config.engine_name, config.replicas, config.engine_settings)
    local = config.model_name is not None and layout.kind in ("vllm", "hf")
    checkpoint = describe_checkpoint(str(config.model_name)) if local else None
    with RunFolder.claim(config.run_folder):
        plan = plan_run(config, frame_format(checkpoint) if checkpoint else None)
    if local or layout.kind == "server":
        require_whole_files(plan, layout.kind)
    missing = planning.missing(plan)
    if checkpoint is None:
        return DryRun(plan, missing, costs=costs(plan, config) if layout.kind == "server" else None)
    counter = Counter(checkpoint, kind=layout.kind)
    lengths = preflight.measure(plan, config.cache, counter)
    taken = footprint(layout.kind, checkpoint, layout.engine_args, needs_of(plan, lengths))
    memory = MemoryCheck(taken, lengths, layout.replicas or 1)
    unfinished = preflight.unfinished(plan, counter.template)
    warnings = (*unfinished, *preflight.overlong(lengths, taken, len(plan.samples), 1.0), *memory.warnings())
    return DryRun(plan, missing, counter.basis, memory, warnings)
