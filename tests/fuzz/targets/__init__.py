"""One file for each place where text or bytes of others come in. Each has `seeds()`, inputs to start from, and
`once(data)`, which raises where the code under test does what it never may.

Example:
    answers.once(b"\\x00Answer: B")
"""
