"""What a run would need, before it is started: samples, tokens, prompts too long, missing media, memory; no engine.

Example:
    forecast(EvalConfig("tiny-qwen3-vl", "viubench-mini", videos="clips", out="runs/a")).missing.samples  # 0
"""

from __future__ import annotations

from collections import Counter as Counts
from dataclasses import dataclass, field, replace

from viubench.engines.memory import footprint
from viubench.engines.token_counts import Counter
from viubench.runner import planning, preflight
from viubench.runner.answer_forms import require_engine
from viubench.runner.config import EvalConfig
from viubench.runner.costs import Costs, costs
from viubench.runner.evaluate import open_engine, plan_run
from viubench.runner.memory import MemoryCheck
from viubench.runner.needs import needs_of
from viubench.runner.plan import Plan
from viubench.runner.preflight import Lengths
from viubench.runner.sharding import part_of
from viubench.runner.whole_files import require_whole_files
from viubench.storage.run_dir import RunFolder


@dataclass(frozen=True)
class DryRun:
    """The forecast of a run: what would be done, unusable media, and with a local checkpoint also the prompts (`basis`
    says what their text is counted by), whether they fit into memory, and what will not fit; of a server the costs.

    `counted` are all prompts of the run or, of tasks with more than `preflight.COUNTED`, that many evenly spread ones;
    `memory.lengths` has beside them every one that might not fit.
    """

    plan: Plan
    missing: planning.Missing
    basis: str = ""
    memory: MemoryCheck | None = None
    warnings: tuple[str, ...] = ()
    costs: Costs | None = None
    counted: Lengths = field(default_factory=dict)

    @property
    def tokens(self) -> tuple[int, int]:
        """Of all prompts together, and of their videos alone; by the mean of each task where not all are counted."""
        sizes = Counts(sample.task for sample in self.plan.samples)
        scaled = [(own, sizes[task] / len(own)) for task, own in preflight.by_task(self.counted).items()]
        prompts = sum(sum(one.prompt for one in own) * times for own, times in scaled)
        return round(prompts), round(sum(sum(one.video for one in own) * times for own, times in scaled))


def forecast(config: EvalConfig) -> DryRun:
    """The forecast of a run with these options; builds pretext items where they are not there yet, and raises
    ViubenchError as planning the run does."""
    engine, layout = open_engine(config)
    config = replace(config, engine_args=layout.engine_args)
    with RunFolder.claim(config.run_folder):
        plan = part_of(plan_run(config, engine.frame_format), config.shard)
    require_engine(plan, engine)
    require_whole_files(plan, engine.kind, engine.needs_media)
    engine.prepare(plan.evaluators, plan.blind_answers)
    missing = planning.missing(plan)
    beyond = preflight.frames_beyond(plan, config.cache.max_bytes, config.compresses) if engine.needs_media else []
    checkpoint = getattr(engine, "checkpoint", None) if engine.kind in ("vllm", "hf") else None
    if checkpoint is None:
        money = costs(plan, config) if engine.kind == "server" else None
        return DryRun(plan, missing, warnings=tuple(beyond), costs=money)
    counter = Counter(checkpoint, kind=layout.kind)
    evenly = preflight.spread(plan)
    most = footprint(layout.kind, checkpoint, layout.engine_args)
    doubtful = preflight.doubtful(plan, most, counter.format.group)
    lengths = preflight.measure(plan, config.cache, counter, lambda sample: sample.id in evenly or doubtful(sample))
    taken = footprint(layout.kind, checkpoint, layout.engine_args, needs_of(plan, lengths))
    memory = MemoryCheck(taken, lengths, layout.replicas or 1)
    unfinished = preflight.unfinished(plan, counter.template)
    warnings = (*beyond, *unfinished, *preflight.overlong(lengths, taken, len(plan.samples), 1.0), *memory.warnings())
    counted = {name: length for name, length in lengths.items() if name in evenly}
    return DryRun(plan, missing, counter.basis, memory, warnings, counted=counted)
