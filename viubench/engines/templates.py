"""Chat templates: applied so that their own errors read well, and asked what they take.

Example:
    text = apply(processor, messages, arguments(source(processor), Chat(thinking="off")))
    # the template was given enable_thinking=False
"""

from __future__ import annotations

import re
from typing import Any

from viubench.engines.time_limit import OutOfTime, ending_within
from viubench.errors import ViubenchError
from viubench.schema import Chat

SWITCHES = ("enable_thinking", "thinking")
"""Under which names templates know whether the model shall think."""

SECONDS = 20.0
"""Seconds that a template may take for one question; they come with checkpoints from anywhere."""

COPY = "copy chat_template.jinja of the model it was made from"


def source(processor: Any) -> str:
    """The template of a transformers processor or tokenizer; raises ViubenchError where it has none."""
    template = getattr(processor, "chat_template", None)
    if isinstance(template, dict):
        template = template.get("default")
    if not template:
        raise ViubenchError("the checkpoint has no chat template", hint=COPY)
    return str(template)


def variables(template: str) -> set[str]:
    """The names that a template reads and does not set; empty where it does not compile."""
    from jinja2 import TemplateError, meta
    from jinja2.ext import LoopControlExtension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    try:
        environment = ImmutableSandboxedEnvironment(extensions=[LoopControlExtension])
        return meta.find_undeclared_variables(environment.parse(_without_generation(template)))
    except TemplateError:
        return set()


def arguments(template: str, chat: Chat) -> dict[str, Any]:
    """What `chat` gives a template beside the messages.

    Raises:
        ViubenchError: the template reads no such argument, so that it would change nothing.
    """
    if chat.thinking == "default" and not chat.template_kwargs:
        return {}
    read = variables(template)
    if unknown := sorted(set(chat.template_kwargs) - read):
        known = sorted(read - {"messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token"})
        raise ViubenchError(
            f"the chat template does not read {unknown[0]}",
            where="chat.template_kwargs",
            hint=f"it reads {', '.join(known) or 'nothing but the messages'}",
        )
    if chat.thinking == "default":
        return dict(chat.template_kwargs)
    switches = [name for name in SWITCHES if name in read]
    if not switches and not (chat.thinking == "on" and "<think>" in template):
        raise ViubenchError(
            f"the chat template has no switch to turn thinking {chat.thinking}",
            where="chat.thinking",
            hint="--thinking default leaves it to the model",
        )
    return {**dict.fromkeys(switches, chat.thinking == "on"), **chat.template_kwargs}


def apply(processor: Any, messages: list[dict[str, Any]], given: dict[str, Any]) -> str:
    """The prompt text; templates that join strings are given strings, with the processor's own media tokens.

    Raises:
        ViubenchError: the template refuses the messages, has no way to hold their media, or does not end.
    """
    from jinja2 import TemplateError

    source(processor)
    try:
        with ending_within(SECONDS):
            return _applied(processor, messages, given)
    except OutOfTime:
        raise ViubenchError(f"the chat template does not end within {SECONDS:g} s", hint=COPY) from None
    except (TemplateError, TypeError, ValueError, KeyError, AttributeError, RecursionError, MemoryError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ViubenchError(f"the chat template does not take the question: {reason}", hint=COPY) from error


def _applied(processor: Any, messages: list[dict[str, Any]], given: dict[str, Any]) -> str:
    try:
        text = _render(processor, messages, given)
    except TypeError:  # "can only concatenate str": its contents are strings
        return _render(processor, _as_strings(processor, messages), given)
    return _render(processor, _as_strings(processor, messages), given) if "[{'type'" in text else text


def keeps_order(processor: Any) -> bool:
    """Whether a template leaves images where they stand between texts; some put them all in front."""
    content = [{"type": "text", "text": "one"}, {"type": "image"}, {"type": "text", "text": "two"}]
    before, _, _ = apply(processor, [{"role": "user", "content": content}], {}).rpartition("two")
    return bool(before.rpartition("one")[2].strip())


def has_slot(processor: Any, medium: str) -> bool:
    """Whether a template writes anything for a video (or an image)."""
    text = {"type": "text", "text": "one"}
    kind = "video" if medium == "video" else "image"
    bare, held = (
        apply(processor, [{"role": "user", "content": content}], {}) for content in ([text], [{"type": kind}, text])
    )
    return "".join(bare.split()) != "".join(held.split())


def adds_special_tokens(processor: Any, prompt: str) -> bool:
    """Whether the tokenizer must still add the special tokens of a beginning that the template has not written."""
    tokenizer = getattr(processor, "tokenizer", processor)
    begins = list(tokenizer("").get("input_ids", []))
    if not begins:
        return False
    return list(tokenizer(prompt[:200], add_special_tokens=False)["input_ids"])[: len(begins)] != begins


def _render(processor: Any, messages: list[dict[str, Any]], given: dict[str, Any]) -> str:
    return str(processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **given))


def _as_strings(processor: Any, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def text(part: dict[str, str]) -> str:
        if part["type"] == "text":
            return part["text"]
        token = getattr(processor, f"{part['type']}_token", None)
        if not token:
            raise ViubenchError(f"the chat template has no place for a{'n' * (part['type'] == 'image')} {part['type']}")
        return str(token)

    return [message | {"content": "".join(map(text, message["content"]))} for message in messages]


def _without_generation(template: str) -> str:
    """transformers' own `{% generation %}` tags taken out: jinja does not know them."""
    return re.sub(r"{%-?\s*(end)?generation\s*-?%}", "", template)
