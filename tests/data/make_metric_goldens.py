#!/usr/bin/env python3
"""Writes tests/data/metrics/golden.json: BLEU, chrF and words as sacrebleu has them.

    pip install sacrebleu==2.6.0
    python3 tests/data/make_metric_goldens.py

The sentences are written for this file. Hypotheses are what a middling translator might say, and what breaks tokenizers:
nothing at all, white space of all kinds, numbers, entities, full-width signs, emoji, marks over letters, ties.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import sacrebleu
from sacrebleu.metrics import BLEU

HERE = Path(__file__).resolve().parent
TOKENIZERS = ("13a", "zh", "char")

# Name -> (tokenizer of BLEU, [(hypothesis, reference)]).
CASES: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "english": ("13a", [
        ("The old ferry leaves at half past six, so don't be late.", "The old ferry departs at half past six; don't be late."),
        ("My neighbour paid 1,234.5 euros for it.", "My neighbour paid 1,234.50 euros for that."),
        ("\"Who took the ladder?\" she asked.", "&quot;Who took the ladder?&quot; she asked."),
        ("Salt & pepper <are> on the table", "Salt &amp; pepper &lt;are&gt; on the table."),
        ("", "Nobody answered the door."),
        ("It is 3-4 degrees colder, -5.", "It's 3-4 degrees colder: -5."),
        ("Mail me at anna@example.org (or not)...", "Write to anna@example.org (or don't)..."),
    ]),
    "french": ("13a", [
        ("L'été dernier, nous avons dormi sous les étoiles.", "L’été dernier, nous avons dormi à la belle étoile."),
        ("« Entrez ! » dit-il à voix basse.", "« Entrez donc ! », dit-il à voix basse."),
        ("Le billet coûte 12,50 € ; c'est trop.", "Le billet coûte 12,50 € : c'est trop cher."),
        ("Où est passé mon parapluie ?", "Où est donc passé mon parapluie ?"),
    ]),
    "german": ("13a", [
        ("Die Straßenbahn fährt heute nicht, weil es schneit.", "Heute fährt die Straßenbahn nicht, weil es schneit."),
        ("Er kaufte 2.000 Äpfel und 3,5 kg Mehl.", "Er hat 2.000 Äpfel und 3,5 kg Mehl gekauft."),
        ("„Komm her“, rief sie.", "„Komm her!“, rief sie."),
        ("Ja.", "Ja."),
    ]),
    "spanish": ("13a", [
        ("¿Dónde dejaste las llaves del coche?", "¿Dónde has dejado las llaves del coche?"),
        ("¡Qué frío hace esta mañana!", "¡Qué frío hace esta mañana!"),
        ("Mi abuela tiene noventa y un años.", "Mi abuela tiene 91 años."),
    ]),
    "russian": ("13a", [
        ("Мы ждали автобус почти сорок минут.", "Мы прождали автобус почти сорок минут."),
        ("Он сказал: «Завтра будет дождь».", "Он сказал: «Завтра пойдёт дождь»."),
        ("Цена - 1 234,50 руб.", "Цена — 1 234,50 руб."),
    ]),
    "arabic": ("13a", [
        ("اشتريت كتابين من السوق القديم.", "اشتريتُ كتابَيْن من السوق القديم."),
        ("هل تريد الشاي أم القهوة؟", "هل تريد شايًا أم قهوة؟"),
        ("وصل القطار الساعة ٧:٣٠، متأخرا.", "وصل القطار في الساعة 7:30 متأخرًا."),
    ]),
    "chinese": ("zh", [
        ("昨晚的雨下得很大,街上都是水。", "昨晚雨下得很大，街上到处都是水。"),
        ("这台iPhone15卖6,999.00元，太贵了！", "这部 iPhone 15 售价 6999.00 元，太贵了！"),
        ("“你好吗？”他问……", "「你好吗？」他问道……"),
        ("我们３点见面", "我们3点见面。"),
        ("Version 2.", "版本2."),
        ("𠀀是一个少见的字。", "𠀀字很少见。"),
        ("", "没有人说话。"),
    ]),
    "japanese": ("char", [
        ("駅前のパン屋は朝七時に開きます。", "駅前のパン屋さんは朝７時に開店します。"),
        ("ｶﾀｶﾅと　ひらがな。", "カタカナとひらがな。"),
        ("すみません、もう一度言ってください。", "すみませんが、もう一度言っていただけますか。"),
    ]),
    "korean": ("char", [
        ("어제 산 우산을 벌써 잃어버렸어요.", "어제 산 우산을 벌써 잃어버렸다."),
        ("버스가 10분 늦게 왔다.", "버스가 10분이나 늦게 왔습니다."),
    ]),
    "emoji": ("13a", [
        ("See you soon 👋🏽!", "See you soon! 👋🏽"),
        ("I ❤️ rainy days 🌧", "I love rainy days 🌧️."),
        ("👨‍👩‍👧 at home", "👨‍👩‍👧 are at home"),
    ]),
    "emoji in Chinese": ("zh", [("我❤️雨天🌧☔", "我爱雨天🌧️☔。"), ("再见👋🏽", "再见！👋🏽")]),
    "white space": ("13a", [
        ("  two   blanks\u00a0and\u2003wide ones\u3000", "two blanks and wide ones"),
        ("a line\nanother", "a line another"),
        ("a hyphen-\nated word", "a hyphenated word"),
        ("zero\u200bwidth \ufeffmark", "zero width mark"),
        ("<skipped> nothing", "nothing"),
        ("\t", " "),
    ]),
    "points": ("13a", [
        ("...,,,.1.2,3.a,b.,4", "... ,,, .1.2,3 .a ,b .,4"),
        (".", "."),
        ("1.", "1 ."),
        ("9-9-9-a-9", "9 - 9-9 -a-9"),
        ("&amp;quot; &amp;lt;b&amp;gt; &nbsp;", "&quot; <b> &nbsp;"),
    ]),
    "points in Chinese": ("zh", [("3.", "3 ."), ("约1.5,2-3。", "约 1.5，2-3."), ("&quot;好&quot;", "\"好\"")]),
    "ties": ("13a", [
        ("the the the the the the the", "the cat is on the mat, the cat"),
        ("b a b a b a", "a b a b"),
        ("one two three four five", "one two three four five six"),
    ]),
    "no match of four": ("13a", [("a b c x d e f", "a b c y d e f"), ("g h", "g i h")]),
    "no match of two": ("13a", [("a x b y c z", "c b a d e f"), ("k", "k l")]),
    "nothing in common": ("13a", [("uno dos tres cuatro cinco", "yi er san si wu liu")]),
    "shorter than four words": ("13a", [("Yes, sir", "Yes, sir"), ("No", "No")]),
    "all empty": ("13a", [("", "There was something."), (" ", "And here.")]),
    "empty reference": ("char", [("言葉", ""), ("同じ文", "同じ文")]),
    "much too long": ("13a", [("so it goes on and on and on and on and on and on", "so it goes on")]),
    "much too short": ("13a", [("they left", "they left before anybody could ask them where to go")]),
}


def score(tokenizer: str, pairs: list[tuple[str, str]]) -> dict[str, float]:
    hypotheses = [pair[0] for pair in pairs]
    references = [[pair[1] for pair in pairs]]
    return {
        "bleu": sacrebleu.corpus_bleu(hypotheses, references, tokenize=tokenizer, force=True).score,
        "chrf": sacrebleu.corpus_chrf(hypotheses, references).score,
    }


def main() -> None:
    cases: list[dict[str, Any]] = []
    for name, (tokenizer, pairs) in CASES.items():
        cases.append({"name": name, "tokenizer": tokenizer, **score(tokenizer, pairs),
                      "lines": [{"hypothesis": h, "reference": r, **score(tokenizer, [(h, r)])} for h, r in pairs]})
    words: list[dict[str, Any]] = []
    sentences = sorted({text for _, pairs in CASES.values() for pair in pairs for text in pair})
    for tokenizer in TOKENIZERS:
        bleu = BLEU(tokenize=tokenizer)
        for sentence in sentences:
            words.append({"tokenizer": tokenizer, "sentence": sentence,
                          "words": bleu._preprocess_segment(sentence).split()})
    path = HERE / "metrics" / "golden.json"
    path.parent.mkdir(exist_ok=True)
    # An entry a line, so that a change can be read.
    lists = [f'"{name}": [\n' + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n]"
             for name, entries in (("cases", cases), ("words", words))]
    path.write_text(f'{{"sacrebleu": "{sacrebleu.__version__}",\n' + ",\n".join(lists) + "}\n", encoding="utf-8")
    print(f"{path}: {len(cases)} cases, {len(words)} sentences cut into words")


if __name__ == "__main__":
    main()
