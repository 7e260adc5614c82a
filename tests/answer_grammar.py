"""Answers made by a grammar of statements, hedges, corrections and distractors, so that their meaning is known.

Example:
    >>> case = next(generated(seed=0))
    >>> sorted(case)
    ['kind', 'language', 'options', 'text', 'value']

Each text is a row of sentences about values of one kind. A sentence declares, rejects, supposes or only mentions one;
the meaning follows from what it does: the last declaration counts, a correction takes the one before it back.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

NAMES = ("lantern", "kettle", "ladder", "violin", "anchor", "basket", "helmet", "pillow", "candle", "saddle")
COLOURS = ("crimson", "teal", "amber", "violet", "ivory", "copper")

DECLARE = {
    "en": ("The answer is {x}.", "I would choose {x}.", "Final answer: {x}", "So the answer is {x}.", "It must be {x}.",
           "My answer is {x}.", "Answer: {x}", "The correct answer is {x}.", "Therefore, the answer is {x}."),
    "es": ("La respuesta es {x}.", "Respuesta: {x}", "La respuesta correcta es {x}."),
    "de": ("Die Antwort ist {x}.", "Antwort: {x}", "Die richtige Antwort ist {x}."),
    "fr": ("La réponse est {x}.", "Réponse : {x}", "La bonne réponse est {x}."),
    "zh": ("答案是{x}。", "答案：{x}", "应该是{x}。"),
    "ja": ("答えは{x}です。", "正解は{x}です。"),
    "ko": ("정답은 {x}입니다.", "답: {x}"),
}  # fmt: skip
REJECT = {
    "en": ("It is not {x}.", "It cannot be {x}.", "{x} is wrong.", "{x} can be ruled out.", "I would rule out {x}.",
           "The answer is not {x}.", "{x} is incorrect.", "I don't think it is {x}."),
    "es": ("No es {x}.", "La respuesta no es {x}."),
    "de": ("Es ist nicht {x}.", "{x} ist falsch."),
    "fr": ("Ce n'est pas {x}.", "La réponse n'est pas {x}."),
    "zh": ("不是{x}。", "{x}是错误的。"),
    "ja": ("{x}ではありません。", "{x}は間違いです。"),
    "ko": ("{x}는 틀렸습니다.", "{x}가 아닙니다."),
}  # fmt: skip
CORRECT = {
    "en": ("Wait, no. ", "Actually, ", "Sorry, ", "On second thought, ", "Scratch that. ", "No, ",
           "Let me correct that. "),
    "es": ("No, perdón. ", "Perdón, "),
    "de": ("Nein, ", "Moment. "),
    "fr": ("Non, pardon. ", "Attendez. "),
    "zh": ("不对，", "等等，"),
    "ja": ("いや、", "すみません、"),
    "ko": ("아니, ", "잠깐, "),
}  # fmt: skip
SUPPOSE = {
    "en": ("If the light were off, it would be {x}.", "Suppose it were later, then it is {x}."),
    "es": ("Si fuera de noche, sería {x}.",),
    "de": ("Wenn es Nacht wäre, wäre es {x}.",),
    "fr": ("Si c'était la nuit, ce serait {x}.",),
    "zh": ("如果是晚上，答案就是{x}。",),
    "ja": ("もし夜なら{x}です。",),
    "ko": ("만약 밤이라면 답은 {x}입니다.",),
}
CONSIDER = {
    "en": ("At first I thought {x}.", "{x} is tempting.", "Is it {x}?", "My first guess was {x}.", "{x}?"),
    "es": ("Al principio pensé {x}.", "¿Es {x}?"),
    "de": ("Zuerst dachte ich {x}.", "Ist es {x}?"),
    "fr": ("Au début je pensais {x}.", "Est-ce {x} ?"),
    "zh": ("一开始以为是{x}。", "是{x}吗？"),
    "ja": ("最初は{x}だと思いました。", "{x}ですか？"),
    "ko": ("처음에는 {x}라고 생각했습니다.", "{x}인가요?"),
}
FILL = {
    "en": ("A man walks in and sits down.", "The light is dim.", "I looked at every frame.", "There are many people.",
           "As shown, someone waves.", "The camera moves slowly.", "The video lasts about 40 seconds."),
    "es": ("Un hombre entra.", "La luz es tenue."),
    "de": ("Ein Mann kommt herein.", "Das Licht ist schwach."),
    "fr": ("Un homme entre.", "La lumière est faible."),
    "zh": ("一个人走进来。", "光线很暗。"),
    "ja": ("人が入ってきます。", "光が弱いです。"),
    "ko": ("한 사람이 들어옵니다.", "빛이 어둡습니다."),
}  # fmt: skip


def generated(seed: int) -> Iterator[dict[str, Any]]:
    """Cases without end, in the form of `answer_cases`."""
    rng = random.Random(seed)
    makers = {"choice": _choice, "interval": _interval, "order": _order, "counts": _counts}
    while True:
        kind = rng.choice(list(makers))
        language = rng.choice(("en", "en", "en", "zh", "ja", "ko", "es", "de", "fr"))
        yield {"kind": kind, "language": language, **makers[kind](rng, language)}


def _choice(rng: random.Random, language: str) -> dict[str, Any]:
    options = [f"{rng.choice(COLOURS)} {name}" for name in rng.sample(NAMES, rng.randint(3, 6))]
    letters = rng.sample("ABCDEF"[: len(options)], 3)
    written = [rng.choice(("{}", "{}", "({})", "**{}**")).format(letter) for letter in letters]
    text, said = discourse(rng, language, written)
    return {"options": options, "text": text, "value": None if said is None else letters[said]}


def _interval(rng: random.Random, language: str) -> dict[str, Any]:
    values = [sorted(rng.sample(range(1, 55), 2)) for _ in range(3)]
    while len({tuple(value) for value in values}) < 3:
        values = [sorted(rng.sample(range(1, 55), 2)) for _ in range(3)]
    to = {"en": "to", "es": "a", "de": "bis", "fr": "à", "zh": "到", "ja": "から", "ko": "에서"}[language]
    unit = {"zh": "秒", "ja": "秒", "ko": "초"}.get(language, " s")
    forms = ("{a}{u} {to} {b}{u}", "{a}.0-{b}.0{u}", "00:{a:02}-00:{b:02}")
    written = [rng.choice(forms).format(a=a, b=b, to=to, u=unit) for a, b in values]
    text, said = discourse(rng, language, written)
    return {"text": text, "value": None if said is None else values[said]}


def _order(rng: random.Random, language: str) -> dict[str, Any]:
    n = rng.randint(4, 7)
    values: list[list[int]] = []
    while len(values) < 3:
        order = rng.sample(range(1, n + 1), n)
        if order not in values and order != sorted(order):
            values.append(order)
    gap = rng.choice((", ", " -> ", "-", ""))
    text, said = discourse(rng, language, [gap.join(map(str, order)) for order in values])
    return {"n": n, "text": text, "value": None if said is None else values[said]}


SHAPES = {
    "en": ("circles", "squares", "triangles"), "es": ("círculos", "cuadrados", "triángulos"),
    "de": ("Kreise", "Quadrate", "Dreiecke"), "fr": ("cercles", "carrés", "triangles"),
    "zh": ("个圆形", "个正方形", "个三角形"), "ko": ("원", "사각형", "삼각형"), "ja": ("円", "四角形", "三角形"),
}  # fmt: skip


def _counts(rng: random.Random, language: str) -> dict[str, Any]:
    values: list[list[int]] = []
    while len(values) < 3:
        counts = [rng.randint(2, 19) for _ in range(3)]
        if all(a != b for other in values for a, b in zip(counts, other, strict=True)):
            values.append(counts)
    written = []
    for value in values:
        names = SHAPES[language]
        space = "" if language == "zh" else " "
        form = "{s}: {n}" if language in ("ja", "ko") or rng.random() < 0.3 else "{n}" + space + "{s}"
        names = tuple(name.removeprefix("个") for name in names) if form.startswith("{s}") else names
        written.append(", ".join(form.format(n=n, s=s) for n, s in zip(value, names, strict=True)))
    text, said = discourse(rng, language, written)
    return {"text": text, "value": None if said is None else values[said]}


def discourse(rng: random.Random, language: str, values: Sequence[str]) -> tuple[str, int | None]:
    """A text about three values as they are written, and the place of the one it stands by, None for none."""
    answer, first, other = rng.sample(range(3), 3)
    plan = rng.choice(("declared", "corrected", "corrected", "considered", "rejected", "supposed", "none", "rival"))
    sentences: list[str] = []
    said: int | None = answer

    def say(which: Mapping[str, Sequence[str]], value: int, before: str = "") -> None:
        sentences.append(before + rng.choice(which[language]).format(x=values[value]))

    if rng.random() < 0.4:
        sentences.append(rng.choice(FILL[language]))
    if plan == "corrected":
        say(DECLARE, first)
        say(DECLARE, answer, rng.choice(CORRECT[language]))
    elif plan == "rival":
        say(DECLARE, answer)
        say(REJECT, other)
    elif plan == "none":
        said = None
        for value in rng.sample(range(3), rng.randint(1, 3)):
            say(rng.choice((REJECT, SUPPOSE, CONSIDER)), value)
    else:
        before = {"declared": None, "considered": CONSIDER, "rejected": REJECT, "supposed": SUPPOSE}[plan]
        if before:
            say(before, first)
        say(DECLARE, answer)
    if rng.random() < 0.3:
        sentences.append(rng.choice(FILL[language]))
    gap = rng.choice((" ", "\n")) if language not in ("zh", "ja") else rng.choice(("", "\n"))
    ended = [sentence if sentence[-1] in ".?。？" else sentence + "\n" for sentence in sentences]
    return gap.join(ended), said
