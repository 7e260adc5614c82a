"""Templates over rows: native values, errors that name the field, and nothing a hostile template can do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viubench.errors import ViubenchError
from viubench.tasks import templating

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20), lambda inner: st.lists(inner, max_size=3)
)


@given(VALUES)
def test_a_lone_expression_gives_the_value_itself(value: object) -> None:
    assert templating.value("{{ field }}", {"field": value}) == value
    assert templating.value("  {{ field }}\n", {"field": value}) == value


@given(st.text(max_size=40))
def test_other_templates_give_text_and_data_is_never_a_template(text: str) -> None:
    assert templating.value("<{{ field }}>", {"field": text}) == f"<{text}>"
    assert templating.value("{{ field }}", {"field": "{{ 7 * 7 }}"}) == "{{ 7 * 7 }}"


@given(st.sampled_from(["x", "true", "None", "not", "in", "range", "class", "X9", "loop"]), VALUES)
def test_a_lone_name_is_what_jinja_makes_of_it(name: str, value: object) -> None:
    def made(template: str) -> object:
        try:
            return templating.value(template, {name: value, "": 1})
        except ViubenchError as error:
            return type(error)

    assert made(f"{{{{ {name} }}}}") == made(f"{{{{ ({name}) }}}}")


def test_no_field_is_no_name() -> None:
    assert templating.value("", {"": 1, None: 2}) == ""  # type: ignore[dict-item]


def test_the_filters_work_on_every_number_of_a_list() -> None:
    assert templating.value("{{ order | plus(1) }}", {"order": [2, 0, 1]}) == [3, 1, 2]
    assert templating.value("{{ spans | divided(fps) }}", {"spans": [[10, 20], [5, 40]], "fps": 10}) == [
        [1, 2],
        [0.5, 4],
    ]
    assert templating.value("{{ path | stem }}", {"path": "a/b.c/clip.01.mp4"}) == "clip.01"


@pytest.mark.parametrize(
    ("template", "sentence", "hint"),
    [
        ("{{ qestion }}", "'qestion' is undefined", "did you mean 'question'?"),
        ("a {{ nothing_like_it }}", "is undefined", "the row has: options, question"),
        ("{{ question.text }}", "has no attribute 'text'", "the row has: options, question"),
        ("{{ question", "template", None),
        ("{% for x in y %}", "template", None),
        ("{{ question / 2 }}", "template", None),
    ],
)
def test_what_is_wrong_with_a_template_is_said(template: str, sentence: str, hint: str | None) -> None:
    with pytest.raises(ViubenchError, match="template") as caught:
        templating.value(template, {"question": "why?", "options": ["x"]})
    assert sentence in caught.value.message
    assert caught.value.hint == hint
    assert caught.value.where == repr(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ field.append(1) }}",
        "{{ self.__init__.__globals__ }}",
        "{{ 'a' * 100000000 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ range(100000000) | list }}",
        "{% include '/etc/passwd' %}",
        "{{ cycler.__init__.__globals__.os }}",
    ],
)
def test_a_hostile_template_is_refused(template: str) -> None:
    row = {"field": [0]}
    with pytest.raises(ViubenchError):
        templating.value(template, row)
    assert row == {"field": [0]}


def test_nothing_is_the_empty_text() -> None:
    assert templating.text("{{ field }}", {"field": None}) == ""
    assert templating.text("{{ field }}", {"field": 3}) == "3"
