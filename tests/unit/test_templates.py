"""Chat templates: what they are given, and that their faults read well."""

from __future__ import annotations

from typing import Any

import pytest

from viubench.engines import templates
from viubench.engines.prompts import render
from viubench.errors import ViubenchError
from viubench.schema import Chat

LISTS = (
    "{% for m in messages %}[{{ m.role }}]{% for p in m.content %}"
    "{{ '<V>' if p.type == 'video' else '<I>' if p.type == 'image' else p.text }}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}A:{% endif %}"
)
STRINGS = "{% for m in messages %}{{ '[' + m.role + ']' + m.content }}{% endfor %}A:"
PRINTED = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}A:"
MEDIA_FIRST = (
    "{% for m in messages %}{% for p in m.content if p.type != 'text' %}<I>{% endfor %}{% for p in m.content if p.type "
    "== 'text' %}{{ p.text }}{% endfor %}{% endfor %}"
)
NO_VIDEO = LISTS.replace("'<V>' if p.type == 'video' else ", "'' if p.type == 'video' else ")
SWITCHED = LISTS + "{{ '<think>' if enable_thinking is not defined or enable_thinking else '<think></think>' }}"


class Processor:
    """As much of a processor as a template needs."""

    video_token, image_token = "<V>", "<I>"
    all_special_tokens = ("<V>", "<I>")

    def __init__(self, chat_template: str) -> None:
        self.added_tokens_decoder: dict[int, Any] = {}
        self.chat_template = chat_template

    def apply_chat_template(self, messages: list[dict[str, Any]], *, tokenize: bool, **given: Any) -> str:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def refuse(reason: str) -> None:
            raise TemplateError(reason)

        environment = ImmutableSandboxedEnvironment()
        environment.globals["raise_exception"] = refuse
        return environment.from_string(self.chat_template).render(messages=messages, **given)


@pytest.mark.parametrize("template", [LISTS, STRINGS, PRINTED])
def test_contents_are_given_as_the_template_takes_them(template: str) -> None:
    text = render(Processor(template), "<video>Why?", 1, chat=Chat(system="Be brief."))
    assert text == "[system]Be brief.[user]<V>Why?A:"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('roles must alternate') }}", "does not take the question: roles must alternate"),
        ("{{ messages[0].content.nothing.at_all }}", "does not take the question"),
        ("{% for %}", "does not take the question"),
        ("", "no chat template"),
    ],
)
def test_a_template_that_fails_says_why(template: str, said: str) -> None:
    with pytest.raises(ViubenchError, match=said):
        render(Processor(template), "Why?", 0)


def test_a_template_without_a_place_for_media_is_known() -> None:
    assert templates.has_slot(Processor(LISTS), "video")
    assert not templates.has_slot(Processor(NO_VIDEO), "video")
    assert templates.has_slot(Processor(NO_VIDEO), "images")
    assert templates.keeps_order(Processor(LISTS))
    assert not templates.keeps_order(Processor(MEDIA_FIRST))


def test_thinking_is_switched_by_the_name_that_the_template_reads() -> None:
    assert render(Processor(SWITCHED), "Why?", 0).endswith("<think>")
    assert render(Processor(SWITCHED), "Why?", 0, chat=Chat(thinking="off")).endswith("<think></think>")
    other = SWITCHED.replace("enable_thinking", "thinking")
    assert render(Processor(other), "Why?", 0, chat=Chat(thinking="off")).endswith("<think></think>")
    always = LISTS + "<think>"
    assert render(Processor(always), "Why?", 0, chat=Chat(thinking="on")).endswith("<think>")
    with pytest.raises(ViubenchError, match="no switch to turn thinking off"):
        render(Processor(always), "Why?", 0, chat=Chat(thinking="off"))


def test_arguments_that_a_template_does_not_read_are_refused() -> None:
    given = Chat(template_kwargs={"enable_thinking": False})
    assert templates.arguments(SWITCHED, given) == {"enable_thinking": False}
    with pytest.raises(ViubenchError, match="does not read enable_thinking"):
        templates.arguments(LISTS, given)


@pytest.mark.parametrize(
    "loop",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
    ],
)
def test_a_template_that_does_not_end_is_ended(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "SECONDS", 0.5)
    with pytest.raises(ViubenchError, match="the chat template does not"):
        render(Processor(LISTS + loop), "Why?", 0)
    assert render(Processor(LISTS), "Why?", 0), "the next one has its own time"
