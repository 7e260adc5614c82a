"""A page without a mouse: what Tab reaches, and what the keys do there.

Example:
    assert keyboard.unreached(page) == []
    tab_to(page, page.locator("#theme"))
    page.keyboard.press("Enter")
"""

from __future__ import annotations

from typing import Any

HAS_FOCUS = "(node) => node === document.activeElement"

MARK_STOPS = """() => {
  const all = document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]");
  const stops = [...all].filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility());
  stops.forEach((one, place) => { one.dataset.stop = place; });
  return stops.map((one) => one.outerHTML.slice(0, 120));
}"""
"""Of each control that can be seen and pressed how it is written."""

AT = """() => {
  const one = document.activeElement;
  return [one.dataset.stop ?? null, getComputedStyle(one).outlineStyle !== "none"];
}"""


def tab_to(page: Any, control: Any, most: int = 150) -> Any:
    """Press Tab until the control has the focus, which must then be seen."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if control.evaluate(HAS_FOCUS):
            assert control.evaluate("(node) => getComputedStyle(node).outlineStyle") != "none"
            return control
    raise AssertionError(f"Tab does not reach {control}")


def unreached(page: Any) -> list[str]:
    """The controls that Tab does not reach, or where the focus is not seen."""
    stops = page.evaluate(MARK_STOPS)
    left = dict(enumerate(stops))
    for _ in range(2 * len(stops) + 20):
        page.keyboard.press("Tab")
        stop, seen = page.evaluate(AT)
        if stop is not None and seen:
            left.pop(int(stop), None)
        if not left:
            break
    assert stops
    return list(left.values())
