"""Whether a run can hold its answers to a form: its tasks must have one, and its engine must be able to.

Example:
    require_forms(plan)  # ViubenchError: no form of an answer is known for lmms:mvbench
    require_engine(plan, engine)  # ViubenchError: the mine engine cannot give constrained answers
"""

from __future__ import annotations

from viubench.engines.base import Engine
from viubench.errors import ViubenchError
from viubench.runner.plan import Plan

FREE = "--set answers=free, or leave these tasks out"


def require_forms(plan: Plan) -> None:
    """Raise ViubenchError, naming the tasks, where a protocol constrains answers that have no form, or asks for the
    likeliest option where there are none, or for settings that the likeliest option has no use for."""
    formless, open_ended = dict[str, None](), dict[str, None]()
    for sample in plan.samples:
        answers = plan.protocols[sample.task].answers
        constraint = None if answers == "free" else plan.constraint_of(sample)
        if answers != "free" and constraint is None:
            formless[sample.task] = None
        elif answers == "likelihood" and constraint is not None and not constraint.choices:
            open_ended[sample.task] = None
    if formless:
        raise ViubenchError(f"no form of an answer is known for {', '.join(formless)}", where="answers", hint=FREE)
    if open_ended:
        message = f"there are no options to take the likeliest of in {', '.join(open_ended)}"
        raise ViubenchError(message, where="answers", hint=f"--set answers=constrained; {FREE}")
    for protocol in plan.protocols.values():
        if protocol.answers == "likelihood" and (protocol.decoding.samples > 1 or protocol.chat.thinking == "on"):
            idle = "several samples" if protocol.decoding.samples > 1 else "thinking"
            message = f"{idle}: the likeliest option is found without generating anything"
            raise ViubenchError(message, where=protocol.protocol, hint="--set answers=constrained, or leave it out")


def require_engine(plan: Plan, engine: Engine) -> None:
    """Raise ViubenchError where the engine cannot answer as a protocol asks, or be asked so."""
    for protocol in plan.protocols.values():
        engine.require(protocol.chat)
        if protocol.probe == "no-times":
            engine.require_untimed()
        if protocol.answers not in engine.answers:
            can = sorted({"constrained", "likelihood"} & engine.answers)
            other = f"--set answers={can[0]}" if can else "--engine vllm, hf or server"
            raise ViubenchError(
                f"the {engine.kind} engine cannot give {protocol.answers} answers",
                where=f"--protocol {protocol.protocol}",
                hint=f"{other}; or --set answers=free",
            )
