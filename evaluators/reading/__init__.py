"""Reading answers by one principle: collect every mention, see what the text says of each, and decide.

Example:
    >>> from evaluators.reading.choices import Choices
    >>> from evaluators.reading.read import read
    >>> read("B is wrong, so A.", Choices(("A", "B"), ()).find, "choice").value
    'A'

`text` makes a response ready, `cues` finds what it says about answers (the phrases of a language are data, in
`languages/`), `choices`, `intervals`, `counts` and `orders` find the mentions, and `discourse` decides among them.
"""
