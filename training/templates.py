"""The prompt templates of HY-MT1.5 and Hy-MT2, as published in their model cards.

A template says the target language only; the source language decides in which language the prompt is written.
"""

import random
from typing import NamedTuple

from training.languages import CHINESE_NAMES, ENGLISH_NAMES, joins_chinese

Term = tuple[str, str]


class Example(NamedTuple):
    """One training text: `[begin][user] prompt [assistant] answer [end]`; only the answer is learnt."""

    prompt: str
    answer: str


def official(source: str, target: str, text: str) -> str:
    """The wording that `pagoda translate` uses: HY-MT1.5's."""
    if joins_chinese(source, target):
        return f"将以下文本翻译为{CHINESE_NAMES[target]}，注意只需要输出翻译后的结果，不要额外解释：\n\n{text}"
    return f"Translate the following segment into {ENGLISH_NAMES[target]}, without additional explanation.\n\n{text}"


def plain(source: str, target: str, text: str, draw: random.Random) -> str:
    """Mostly the official wording; sometimes Hy-MT2's, sometimes the prompt of the other language."""
    chance = draw.random()
    if chance < 0.85:
        return official(source, target, text)
    chinese, english = CHINESE_NAMES[target], ENGLISH_NAMES[target]
    if joins_chinese(source, target):
        if chance < 0.92:
            return f"将以下文本翻译为 {chinese}，注意**只需要输出翻译后的结果，不要额外解释**：\n\n{text}"
        return f"Translate the following segment into {english}, without additional explanation.\n\n{text}"
    if chance < 0.95:
        return (
            f"Translate the following text into {english}. Note that you should **only output the translated "
            f"result without any additional explanation**:\n\n{text}"
        )
    return f"将以下文本翻译为{chinese}，注意只需要输出翻译后的结果，不要额外解释：\n\n{text}"


def terminology(source: str, target: str, text: str, terms: list[Term], draw: random.Random) -> str:
    """A glossary before the text."""
    if joins_chinese(source, target) or draw.random() < 0.5:
        lines = "\n".join(f"{term} 翻译成 {translation}" for term, translation in terms)
        return (
            f"参考下面的翻译：\n{lines}\n\n将以下文本翻译为{CHINESE_NAMES[target]}，"
            f"注意只需要输出翻译后的结果，不要额外解释：\n{text}"
        )
    lines = "\n".join(f"{term} translates to {translation}" for term, translation in terms)
    return (
        f"Reference the following translations:\n{lines}\n\nTranslate the following text into {ENGLISH_NAMES[target]}. "
        f"Note that you must **ONLY output the translated result without any additional explanation**:\n\n{text}"
    )


def context(target: str, text: str, before: str) -> str:
    """What stands before the text helps to understand it and must not be translated."""
    return (
        f"{before}\n参考上面的信息，把下面的文本翻译成{CHINESE_NAMES[target]}，"
        f"注意不需要翻译上文，也不要额外解释：\n{text}"
    )


def tagged(target: str, text: str) -> str:
    """Format tags <s1></s1> inside the text are to be kept; the answer stands in <target></target>."""
    return (
        f"将以下<source></source>之间的文本翻译为{CHINESE_NAMES[target]}，注意只需要输出翻译后的结果，不要额外解释，"
        "原文中的<sn></sn>标签表示标签内文本包含格式信息，需要在译文中相应的位置尽量保留该标签。"
        f"输出格式为：<target>str</target>\n\n<source>{text}</source>"
    )
