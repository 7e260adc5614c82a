"""Our own prompts for the questions of data sets: videos first, then the question, then the form of the answer.

Example:
    >>> print(default("choice", "Which way?", "A. left\\nB. right", videos=1))
    <video>
    Which way?
    A. left
    B. right
    Reply with the letter of the right option and nothing else.
"""

from __future__ import annotations

FORMS = {
    "choice": "{question}\n{options}\nReply with the {mark} of the right option and nothing else.",
    "yes_no": "{question}\nReply with yes or no and nothing else.",
    "temporal_iou": (
        "Between which two moments of this video does the following happen: {question}\n"
        "Reply with its start and end in seconds, one decimal each, in the form start-end, for example 4.0-9.5, and "
        "nothing else."
    ),
    "number": "{question}\nReply with one number in the unit that is asked for, in digits and nothing else.",
    "permutation": (
        "{question}\nReply with the clip numbers in the right order, separated by commas, and nothing else."
    ),
}
"""By the kind of answer; any other kind asks the question as it stands."""


def default(kind: str, question: str, options: str, videos: int) -> str:
    """The prompt text of one question, with a `<video>` mark for each of its videos."""
    kind = "choice" if kind.endswith("_choice") else kind
    if kind == "choice" and not options:
        kind = "yes_no"
    mark = "number" if options[:1].isdigit() else "letter"
    return marks(videos) + FORMS.get(kind, "{question}").format(question=question, options=options, mark=mark)


def marks(videos: int) -> str:
    """The places of the videos: one mark, or one under each video's number."""
    if videos < 2:
        return "<video>\n" * videos
    return "".join(f"Video {number}:\n<video>\n" for number in range(1, videos + 1))
