"""Metric plugins: pure functions of (response text, item); one object is the metric, the reward and the baseline.

Example:
    >>> from evaluators import Question, get
    >>> evaluator, item = get("temporal_iou"), Question(target=[3.0, 8.0], params={"times": [0.0, 10.0]})
    >>> evaluator.score(evaluator.parse("from 3.0s to 8.0s", item), item)["iou"]
    1.0
"""

from evaluators.base import Answer, Blind, Constraint, Evaluator, Gradable, Question, Scored, get, names

__all__ = ["Answer", "Blind", "Constraint", "Evaluator", "Gradable", "Question", "Scored", "get", "names"]
