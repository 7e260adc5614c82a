"""Published scoring rules, each under its name, so that a number printed elsewhere can be explained.

Example:
    >>> from evaluators import Question
    >>> rule = get_rule("lmms-eval/mvbench")
    >>> item = Question(target="A", options=("a lamp", "a cup"))
    >>> [rule.verdict(text, item) for text in ("(A)", "He holds a cup.", "")]
    [1.0, 1.0, None]

The rules do what their sources do, faults included: here the article "a" counts as option A, and an empty answer
leaves the denominator. They stand beside an evaluator's own score and are never the headline.
"""

from evaluators.published.base import Rule, RuleVerdict, get_rule

__all__ = ["Rule", "RuleVerdict", "get_rule"]
