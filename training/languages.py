"""The eleven languages of nano and how HY-MT's prompts call them."""

from typing import Final

CHINESE_NAMES: Final[dict[str, str]] = {
    "zh": "中文",
    "en": "英语",
    "fr": "法语",
    "pt": "葡萄牙语",
    "es": "西班牙语",
    "ja": "日语",
    "ru": "俄语",
    "ar": "阿拉伯语",
    "ko": "韩语",
    "it": "意大利语",
    "de": "德语",
}
ENGLISH_NAMES: Final[dict[str, str]] = {
    "zh": "Chinese",
    "en": "English",
    "fr": "French",
    "pt": "Portuguese",
    "es": "Spanish",
    "ja": "Japanese",
    "ru": "Russian",
    "ar": "Arabic",
    "ko": "Korean",
    "it": "Italian",
    "de": "German",
}
LANGUAGES: Final[tuple[str, ...]] = tuple(CHINESE_NAMES)

# Scripts that put no space between words, nor between sentences.
WITHOUT_SPACES: Final[frozenset[str]] = frozenset({"zh", "ja"})


def joins_chinese(source: str, target: str) -> bool:
    """HY-MT prompts in Chinese where Chinese is one of the two languages, otherwise in English."""
    return "zh" in (source, target)
