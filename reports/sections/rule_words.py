"""The rule that an answer was read by, in words.

Example:
    >>> in_words("phrase/letter")
    'a phrase that says it is the answer; a letter'
    >>> in_words("first_char")
    'the first character'
    >>> in_words("own/rule")
    'own/rule'
"""

from __future__ import annotations

PLACES = {
    "tag": "between answer tags",
    "phrase": "a phrase that says it is the answer",
    "line": "a line of its own",
    "conclusion": "the conclusion drawn at the end",
    "whole": "the only answer in the text",
}
"""Where it stood in the response."""

WAYS = {
    "letter": "a letter",
    "word": "a word for it",
    "text": "an option's own text",
    "clock": "times as on a clock",
    "minutes": "times in minutes",
    "seconds": "times in seconds",
    "millis": "times in milliseconds",
    "number": "plain numbers",
    "header": "numbers under their shapes",
    "triple": "three numbers in the order asked for",
    "labelled": "numbers beside their shapes",
    "sum": "a sum",
    "total": "a total",
    "numbers": "numbers in order",
    "clips": "clips named in order",
    "list": "a list",
    "digits": "digits",
    "range": "a range",
}
"""How it was written."""

ALONE = {
    "first_char": "the first character",
    "first_pair": "the first two numbers",
    "whole_string": "the whole response",
    "whole": "the whole response",
    "judge": "read by a judge",
    "declared": "declared in the text",
    "likelihood": "the likeliest option",
}
"""Rules of one word."""


def in_words(rule: str) -> str:
    """The rule as a reader would say it; as it is where it is not one of ours."""
    place, _, way = rule.partition("/")
    if not way:
        return ALONE.get(rule, rule)
    return f"{PLACES[place]}; {WAYS[way]}" if place in PLACES and way in WAYS else rule
