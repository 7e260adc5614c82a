"""A judge on a finished run: its questions go through the run loop like any others, its verdicts into their own folder.

Example:
    judged = judge(Path("runs/a"), EvalConfig("http://localhost:8001"), JudgeOptions(checks=50))
    judged.tasks["mvbench"].judged.value

The run itself is only read. Its folder gets `judges/NAME/`: a run folder of the judge (manifest, `records.jsonl` of
verdicts) and `judged.json`; and, with several judges, `judges/panel.json`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from viubench.engines.base import Engine
from viubench.engines.server import ServerEngine
from viubench.errors import ViubenchError
from viubench.judging import published, rulings
from viubench.judging.panel import JUDGED, PANEL, panel
from viubench.judging.questions import Asked, Questions
from viubench.judging.scores import judged_tasks
from viubench.judging.verdict_log import FOLDER, VerdictCache, VerdictFolder, verdicts
from viubench.judging.verdicts import VerdictReader
from viubench.runner.config import EvalConfig, PathLike
from viubench.runner.evaluate import ActiveRun, open_engine, reach
from viubench.runner.event_loop import in_event_loop
from viubench.runner.parallel.layout import Layout
from viubench.runner.plan import Plan
from viubench.runner.protocols import resolve
from viubench.schema import (
    Decoding,
    EvaluatorSpec,
    Groups,
    Judged,
    JudgeSpec,
    Manifest,
    Protocol,
    Sample,
    TaskEntry,
    content_hash,
)
from viubench.storage.run_dir import read_manifest, read_records, read_results, write_json
from viubench.tasks.registry import Catalogue
from viubench.video.frame_cache import default_root

log = logging.getLogger("viubench")

PROTOCOL = Protocol(protocol="judge", description="A verdict in JSON, greedy.", decoding=Decoding(max_tokens=512))

_IDENTITY = ("model", "revision", "fingerprint", "architecture")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class JudgeOptions:
    """What a judge is asked beside the answers that rules cannot read.

    Attributes:
        checks: answers of each task that each check asks about (see `viubench.judging.questions`).
        prompt: a file with the template of the question, in place of ours; or "published": lmms-eval's question,
            sampling and reading of the reply, of tasks that have one.
        labels: score of an answer by its sample's id, from people or published, to compare the verdicts with.
        cache: folder of verdicts that any run may use. By default the user's own where the weights of the judge are
            known, none for a server, whose name says little.
    """

    checks: int = 0
    prompt: PathLike | None = None
    labels: Mapping[str, float] | None = None
    cache: PathLike | None = None


def judge(run: Path, config: EvalConfig, options: JudgeOptions) -> Judged:
    """Ask the judge of `config` about a finished run whatever it has not been asked yet, and score the run with its
    verdicts.

    Raises:
        ViubenchError: no finished run, an engine that cannot be used, or more engine errors than `config.max_errors`
            allows; the verdicts that came are kept.
    """
    read_results(run)  # it must be finished
    manifest = read_manifest(run)
    engine, layout = _open(config)
    config = replace(config, engine_args=layout.engine_args)
    if engine.kind == "server":
        in_event_loop(reach(engine))
    prompt = published.NAME if options.prompt == published.NAME else _template(options.prompt)
    protocol = protocol_of(config, engine, _published(manifest) if prompt == published.NAME else PROTOCOL)
    sampled = protocol.decoding.temperature > 0 or protocol.decoding.generation_config
    questions = Questions(manifest, checks=options.checks, prompt=prompt, sampled=sampled)
    asked = questions.of(read_records(run))
    plan = _plan(questions, asked, protocol, engine, config.seed)
    name = _name(engine, plan)
    folder = VerdictFolder.claim(run / FOLDER / name, fresh=not config.resume)
    folder.expect({sample.id: sample for sample in plan.samples}, _cache(engine, plan, options.cache))
    with ActiveRun(replace(config, out=folder.path), engine, layout, folder, plan) as active:
        in_event_loop(active.answer())
        if folder.cached:
            log.info("%d verdicts were in the cache", folder.cached)
        ruled = rulings.rulings(asked, verdicts(folder.path), questions.evaluators)
        tasks = judged_tasks(run, ruled, questions.evaluators, plan.protocols, options.labels or {})
        rulings.write(folder.path, ruled)
        model = str(engine.describe()["model"])
        result = Judged(judge=name, model=model, engine=engine.kind, tasks=tasks)
        write_json(folder.path / JUDGED, result)
    if found := panel(run, {task: evaluator.metric for task, evaluator in questions.evaluators.items()}):
        write_json(run / FOLDER / PANEL, found)
    return result


def _open(config: EvalConfig) -> tuple[Engine, Layout]:
    """The engine, not started; the engines of this process open models that can see."""
    try:
        return open_engine(config)
    except ViubenchError as error:
        if "lacks a processor" not in error.message:
            raise
        hint = "a judge that cannot see is served: vllm serve MODEL, then --base-url http://localhost:8000"
        raise ViubenchError(error.message, where=error.where, hint=hint) from None


def protocol_of(config: EvalConfig, engine: Engine, base: Protocol = PROTOCOL) -> Protocol:
    """The judge's own protocol: our replies held to the form of a verdict where the engine can, with the user's
    changes."""
    can = engine.constrains if isinstance(engine, ServerEngine) else "constrained" in engine.answers
    base = base.model_copy(update={"answers": "constrained" if can and base is PROTOCOL else "free"})
    return resolve(replace(config, protocol=base), Catalogue(), PROTOCOL.protocol).protocol


def _published(manifest: Manifest) -> Protocol:
    """The published judge's sampling and system prompt; ViubenchError where no task of the run has one, or several have
    different ones."""
    names = Questions(manifest, prompt=published.NAME).names.values()
    found = [published.settings(name, form) for name, form in sorted(set(names))]
    if not found or any(one != found[0] for one in found):
        which = "several judges that differ" if found else "no published judge"
        hint = "judge runs of one benchmark each" if found else "leave --prompt out: ours says what to do"
        raise ViubenchError(f"the tasks of this run have {which}", where="--prompt published", hint=hint)
    decoding, chat = found[0]
    return PROTOCOL.model_copy(update={"protocol": "judge-published", "decoding": decoding, "chat": chat})


def _plan(questions: Questions, asked: Sequence[Asked], protocol: Protocol, engine: Engine, seed: int) -> Plan:
    """Every question once, as a sample of text alone."""
    named: dict[str, list[str]] = {}
    for one in asked:
        number = f"#{one.answer[1]}" if one.answer[1] else ""
        named.setdefault(one.key, []).append(one.answer[0] + number)
    unique = {one.key: one for one in asked}
    model = {name: value for name, value in engine.describe().items() if name in _IDENTITY and value}
    prompts = questions.prompts
    return Plan(
        samples=[_sample(one, named[key]) for key, one in unique.items()],
        protocols={
            task: protocol.model_copy(update={"judge": JudgeSpec(model=model, prompts=own)})
            for task, own in prompts.items()
        },
        evaluators=dict.fromkeys(prompts, VerdictReader()),
        roots=dict.fromkeys(prompts, Path()),  # there are no videos
        entries=dict.fromkeys(prompts, TaskEntry(evaluator=EvaluatorSpec(name="verdict"), metric="verdict")),
        seed=seed,
    )


def _sample(asked: Asked, answers: Sequence[str]) -> Sample:
    """A question to the judge; its groups say what it is about."""
    about: Groups = {"form": asked.form.name, "check": asked.check or "none", "answers": tuple(answers)}
    return Sample(
        id=asked.key,
        task=asked.task,
        cluster=asked.cluster,
        clips=(),
        question=asked.prompt,
        target=None,
        answer_text="",
        params={"published": asked.exchange.form} if asked.exchange else {"fields": asked.fields},
        groups=about,
    )


def _name(engine: Engine, plan: Plan) -> str:
    """The folder of a judge: its model, and a hash of all that its verdicts depend on."""
    model = PurePosixPath(str(engine.describe()["model"])).name
    return f"{_UNSAFE.sub('-', model)[:60] or 'judge'}-{content_hash(_judge(engine, plan))[:8]}"


def _judge(engine: Engine, plan: Plan) -> list[Any]:
    return [engine.kind, plan.seed, {task: protocol.hash() for task, protocol in sorted(plan.protocols.items())}]


def _cache(engine: Engine, plan: Plan, given: PathLike | None) -> VerdictCache | None:
    """Verdicts of other runs: where the user says, or of weights that are known."""
    if given is None and not any(engine.describe().get(name) for name in ("revision", "fingerprint")):
        return None
    root = Path(given) if given is not None else default_root().with_name("verdicts")
    protocol = next(iter(plan.protocols.values()), None)
    own = None if protocol is None else protocol.model_dump(mode="json", include={"decoding", "chat", "answers"})
    model = None if protocol is None or protocol.judge is None else protocol.judge.model
    return VerdictCache(root, [engine.kind, model, own, plan.seed])


def _template(file: PathLike | None) -> str:
    """The text of a file with a prompt; ViubenchError where it cannot be read."""
    if file is None:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ViubenchError(f"the prompt cannot be read: {error}", where=str(file)) from None
