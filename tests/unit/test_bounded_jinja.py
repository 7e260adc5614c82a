"""Templates of task files come from anywhere: each ends soon, stays small, and fails in one line."""

from __future__ import annotations

from typing import Any

import pytest

from viubench.errors import ViubenchError
from viubench.tasks import templating

ROW: dict[str, Any] = {"a": "x" * 1000, "n": 3, "l": ["p", "q"], "big": "ab " * 100_000}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ l | join(', ') }} {{ 'x' ~ n ~ l[0] }}", "p, q x3p"),
        ("{% for x in l %}{{ loop.index }}{{ x }}{{ loop.cycle('!', '?') }}{% endfor %}", "1p!2q?"),
        ("{% set s = n + 1 %}{{ s if s > 3 else 'no' }}", "4"),
        ("{% with z = n %}{{ z }}{% endwith %}{{ a[:3] }}", "3xxx"),
        ("{{ '%05.2f' % n }}{{ '{:>4}'.format(n) }}{{ '%s' | format(n) }}", "03.00   33"),
        ("{{ l | map('upper') | list }}", ["P", "Q"]),
        ("{{ l | select('in', ['p']) | list }}", ["p"]),
        ("{{ big.split(' ') | length }}", 100_001),
        ("{{ big | truncate(20) }}", "ab ab ab ab ab..."),
        ("{{ big | replace('ab', 'c') | length }}", 200_000),
        ("{{ n is divisibleby 3 and n in [1, 2, 3] }}", True),
        ("{{ {'a': n}.get('a') + ([1, 2] | sum) }}", 6),
        (
            "{% set ns = namespace(t=0) %}{% for x in range(1000) %}{% set ns.t = ns.t + x %}{% endfor %}{{ ns.t }}",
            "499500",
        ),
    ],
)
def test_what_tasks_need_stays(template: str, value: object) -> None:
    assert templating.value(template, ROW) == value


LOOP = "{% for x in range(99999) %}"
GROWING = "{% set ns = namespace(x='xxxxxxxx', l=['x'], n=7) %}{% for a in range(99) %}"


@pytest.mark.parametrize(
    "template",
    [
        LOOP + LOOP + "{% endfor %}{% endfor %}",
        LOOP + "{{ big }}{% endfor %}",
        LOOP + "y" * 20_000 + "{% endfor %}",
        LOOP + "{% if big in big %}{% endif %}{% endfor %}",
        LOOP + "{{ big | sort | first }}{% endfor %}",
        LOOP + "{% set y = big[1:] %}{% endfor %}",
        GROWING + "{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
        GROWING + "{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
        GROWING + "{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
        GROWING + "{% set ns.n = ns.n * ns.n %}{% endfor %}{{ ns.n }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ " + "9" * 400_000 + " }}",
        "{{ " + "9" * 4400 + " }}",
        "{{ 'x'.center(1000000000) }}",
        "{{ 'x'.ljust(1000000000) }}",
        "{{ '1'.zfill(1000000000) }}",
        "{{ 'x'.expandtabs(1000000000) }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ '%*d' % (9999999999, 1) }}",
        "{{ '%.9999999999f' % 1 }}",
        "{{ '%(a)9999999999s' % {'a': 1} }}",
        "{{ '{:9999999999}'.format(1) }}",
        "{{ '{:{}}'.format(1, 9999999999) }}",
        "{{ '%9999999999d' | format(1) }}",
        "{{ a | replace('x', a) | replace('x', a) | replace('x', a) }}",
        "{{ a.replace('x', a).replace('x', a) }}",
        "{{ big | map('replace', 'x', big) | join }}",
        "{{ l | batch(9999999999, 'x') | list }}",
        "{{ l | slice(1000000000) | list }}",
        "{{ big | indent(99999) }}",
        "{{ 1 | round(-999999999) }}",
        "{{ ([['a']] * 9999) | sum(start=[]) }}",
        "{{ (5).to_bytes(99999999999, 'big') }}",
        "{{ big.translate({97: big}) }}",
        "{{ lipsum(99999) }}",
        "{{ l | random }}",
        "{{" + "(" * 5000 + "1" + ")" * 5000 + "}}",
        "{{" + "[" * 300 + "1" + "]" * 300 + "}}",
        "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}",
        "{% for x in l recursive %}{{ loop(l) }}{% endfor %}",
        "{% set x %}{% for i in range(9) %}{{ big }}{% endfor %}{% endset %}",
        "{% include 'x' %}",
        "{{ ''.__class__ }}",
    ],
)
def test_no_template_is_endless_or_fills_the_memory(template: str) -> None:
    with pytest.raises(ViubenchError, match=r"^question: ") as caught:
        templating.value(template, ROW, what="question")
    assert len(f"{caught.value.message} {caught.value.where}") < 700


def test_each_rendering_has_its_own_budget() -> None:
    for _ in range(50):
        assert templating.value("{{ big | replace('ab', 'c') | length }}", ROW) == 200_000
