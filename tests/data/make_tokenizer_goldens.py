#!/usr/bin/env python3
"""Writes tests/data/tokenizer/: two small tokenizers trained on the sentences generated below, and what the Hugging
Face library (pip install tokenizers jinja2) makes of the cases. The committed files are the expectation of
tests/unit/text_tokenizer_test.cc and text_chat_template_test.cc; run this again only to change the cases.

    make_tokenizer_goldens.py [--hy-template F] [--tiktoken-template F] [--nano TOKENIZER_JSON]

The templates are the chat_template.jinja files of the released 1.8B and 7B models; without them the chat cases stay as
they are. --nano writes nano.json, the same cases encoded by the tokenizer of the bundled model.
"""
import argparse
import itertools
import json
import pathlib

import jinja2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

OUT = pathlib.Path(__file__).parent / "tokenizer"
VOCAB = 2000

HY_SPLITS = [
    r"\p{N}{1,3}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    r"""| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
]
TIKTOKEN_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                  r"|\s*[\r\n]+|\s+(?!\S)|\s+")

# Who, does, what: every combination is a sentence of the training text.
SENTENCES = {
    "en": ("{} {} {}.", ["The old captain", "My neighbour", "A young engineer", "She", "Nobody"],
           ["doesn't like", "is looking for", "has found", "will repair", "can't remember"],
           ["the red bicycle", "a small house by the river", "the meaning of this word", "yesterday's paper"]),
    "de": ("{} {} {}.", ["Der alte Kapitän", "Meine Nachbarin", "Ein junger Gärtner", "Niemand"],
           ["sucht", "findet", "vergisst", "übersetzt"],
           ["das rote Fahrrad", "ein kleines Häuschen am Fluss", "die Straßenkarte", "den großen Schlüssel"]),
    "fr": ("{} {} {} !", ["Le vieux capitaine", "Ma voisine", "L'élève", "Personne"],
           ["cherche", "n'aime pas", "a trouvé", "répare"],
           ["la bicyclette rouge", "une maison près de l'eau", "le garçon", "où se trouve la forêt"]),
    "es": ("¿{} {} {}?", ["El viejo capitán", "Mi vecina", "El niño", "Quién"],
           ["busca", "encontró", "olvidó", "está arreglando"],
           ["la bicicleta roja", "una casa pequeña", "el corazón de la montaña", "mañana"]),
    "ru": ("{} {} {}.", ["Старый капитан", "Моя соседка", "Молодой инженер", "Никто"],
           ["ищет", "нашёл", "забывает", "чинит"],
           ["красный велосипед", "маленький дом у реки", "смысл этого слова", "вчерашнюю газету"]),
    "ar": ("{} {} {}.", ["القبطان العجوز", "جارتي", "المهندس الشاب", "لا أحد"],
           ["يبحث عن", "وجد", "نسي", "يصلح"], ["الدراجة الحمراء", "بيت صغير", "معنى هذه الكلمة", "المدينة"]),
    "hi": ("{} {} {}।", ["बूढ़ा कप्तान", "मेरी पड़ोसन", "बच्चा"], ["लाल साइकिल", "छोटा घर", "नदी का पानी"],
           ["ढूँढता है", "भूल गया", "देख रही है"]),
    "th": ("{}{}{}", ["กัปตันเฒ่า", "เพื่อนบ้านของฉัน", "เด็กน้อย"], ["กำลังมองหา", "พบ", "ลืม"],
           ["จักรยานสีแดง", "บ้านหลังเล็ก", "ความหมายของคำนี้"]),
    "zh": ("{}{}{}。", ["老船长", "我的邻居", "年轻的工程师", "没有人"], ["正在寻找", "不喜欢", "忘记了", "修理"],
           ["红色的自行车", "河边的小房子", "这个词的意思", "昨天的报纸"]),
    "ja": ("{}は{}を{}。", ["年老いた船長", "となりの人", "エンジニア"], ["赤い自転車", "小さな家", "この言葉の意味", "ノート"],
           ["探しています", "見つけました", "忘れました"]),
    "ko": ("{} {} {}.", ["늙은 선장은", "내 이웃은", "아이는"], ["빨간 자전거를", "작은 집을", "이 단어의 뜻을"],
           ["찾고 있습니다", "잊었습니다", "고쳤어요"]),
    "it": ("{} {} {}.", ["Il vecchio capitano", "La mia vicina", "Il giardiniere"],
           ["cerca", "dimentica", "sta riparando"], ["la bicicletta rossa", "una casetta sul fiume", "perché piove"]),
    "pt": ("{} {} {}.", ["O velho capitão", "Minha vizinha", "Ninguém"], ["procura", "esqueceu", "não conserta"],
           ["a bicicleta vermelha", "uma casa pequena", "o coração da canção"]),
    "pl": ("{} {} {}.", ["Stary kapitan", "Moja sąsiadka", "Młody inżynier"], ["szuka", "znalazł", "pamięta"],
           ["czerwony rower", "mały dom nad rzeką", "wczorajszą gazetę"]),
    "vi": ("{} {} {}.", ["Thuyền trưởng già", "Hàng xóm của tôi", "Đứa trẻ"], ["đang tìm", "đã quên", "sửa chữa"],
           ["chiếc xe đạp đỏ", "ngôi nhà nhỏ bên sông", "nghĩa của từ này"]),
    "tr": ("{} {} {}.", ["Yaşlı kaptan", "Komşum", "Genç mühendis"], ["kırmızı bisikleti", "küçük evi", "dünkü gazeteyi"],
           ["arıyor", "unuttu", "onarıyor"]),
    "el": ("{} {} {}.", ["Ο γέρος καπετάνιος", "Η γειτόνισσά μου", "Κανείς"], ["ψάχνει", "ξέχασε", "επισκευάζει"],
           ["το κόκκινο ποδήλατο", "ένα μικρό σπίτι", "τη σημερινή εφημερίδα"]),
    "uk": ("{} {} {}.", ["Старий капітан", "Моя сусідка", "Дитина"], ["шукає", "забула", "лагодить"],
           ["червоний велосипед", "маленький будинок", "вчорашню газету"]),
    "fa": ("{} {} {}.", ["ناخدای پیر", "همسایه من", "کودک"], ["دوچرخه قرمز را", "خانه کوچک را", "روزنامه دیروز را"],
           ["پیدا کرد", "می‌جوید", "فراموش کرد"]),
    "code": ("{} {} {};\n", ["    if (count > 0)", "  return", "for (int i = 0; i < 128; ++i)"],
             ["total_bytes +=", "result.push_back", "std::move"], ["(value[i])", "* 3.14159", "0x7fff"]),
}

CASES = [
    "", " ", "  ", "   ", "\n", "\n\n\n", "\r\n", " \n ", "\t", "\t\t x", " \t \n\n  y  ", "a", "A", "ab", " a", "a ", "  a  ",
    "Hello, world!", "Hello,  world !", "hello world hello world", "The old captain doesn't like the red bicycle.",
    "THE OLD CAPTAIN DOESN'T LIKE IT", "I'LL we'Ve he'D it'ſ they're", "don''t", "'s's's", "rock'n'roll 'tis",
    "L'élève n'aime pas où l'œuvre naïve", "Straßenkarte GROẞ ǅ ŉ ﬆ ﬁ", "¿Quién busca mañana?", "ÅÄÖ åäö ÆØ æø",
    "1", "12", "123", "1234", "12345678901234567890", "3.14159 -2,5e+10 1/2 ½ Ⅳ ² ٣٤٥ १२३ ①②", "7th 2nd x1y22z333", "2024年12月31日",
    "1 2  3   4", "$1,000.00 €5 £6 ¥7 100% #8", "老船长正在寻找红色的自行车。", "我的邻居不喜欢昨天的报纸，没有人修理！", "中", "中文 English 中文English中文",
    "「年老いた船長」は、ノートを探しています。", "エンジニアがｶﾀｶﾅとひらがなﾞ゛を書く・ー〜", "ＦＵＬＬ ｗｉｄｔｈ １２３　全角", "繁體字與简体字 㐀㐁 𠀀𠀁 龥龦",
    "늙은 선장은 빨간 자전거를 찾고 있습니다.", "한글 자모 ㄱㄴㄷ 각", "Старый капитан ищет красный велосипед.", "ЁЖИК ёжик й",
    "Ελληνικά ΣΊΣΥΦΟΣ ς ά", "القبطان العجوز يبحث عن الدراجة الحمراء.", "مَدْرَسَة ـــ ٠١٢ ؟،", "שָׁלוֹם עולם", "बूढ़ा कप्तान लाल साइकिल ढूँढता है।",
    "ক্ষ বাংলা", "தமிழ் க்ஷ", "กัปตันเฒ่ากำลังมองหาบ้านหลังเล็ก", "ພາສາລາວ ភាសាខ្មែរ မြန်မာ", "བོད་སྐད་ ᠮᠣᠩᠭᠣᠯ ᠤ᠋ ئۇيغۇرچە",
    "Tiếng Việt: đường phố Hà Nội", "Türkçe İıŞş", "ქართული Հայերեն አማርኛ", "ᚠᚢᚦ 𐌰𐌱 𝔘𝔫𝔦 𝟙𝟚𝟛 𓀀",
    "😀", "😀😀", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈 🇩🇪🇫🇷", "a😀b 😀 c", "☕️ ✈︎ ❤️‍🔥 ⌚", "e\u0301 é E\u0301\u0323 q\u0307\u0323", "A\u030a \u212b Å",
    "\u1100\u1161\u11a8 각", "o\u0308\u0304 ȫ", "\u0301", " \u0301", "a\u0301\u0301\u0301\u0301", "n\u0303an\u0303o", "\u0928\u093c \u0929",
    "\u200b", "zero\u200bwidth\u200cjoin\u200der\u2060\ufeff", "soft\u00adhyphen", "nbsp\u00a0x\u00a0\u00a0y", "en\u2002em\u2003thin\u2009",
    "line\u2028para\u2029nel\u0085x", "ideo\u3000space\u3000", "ogham\u1680x mongol\u180ex", "vt\x0bff\x0c fs\x1c", "nul\x00x\x01\x7f",
    "\u202eRTL\u202c \u2066x\u2069", "private \ue000 \uf8ff \U000f0000", "\ufffd \ufffe \U0010ffff", "…—–-‐‑ «a» „b“ ‚c‘ ‹d›",
    "~`!@#$%^&*()_+-={}[]|\\:;\"'<>,.?/", "!!!???...", "a.b.c", ".a.b", "@user #tag /path/to/file C:\\dir\\x", "https://example.org/a?b=c&d=e#f",
    "user.name+tag@example.org", "<b>bold</b> &amp; <br/>", "{\"key\": [1, 2.5, null, true], \"x\": \"\\n\"}", "%s %1$d {0} {{name}} ${x} <s1>a</s1>",
    "    if (count > 0) {\n        return total_bytes;\n    }\n", "for (int i = 0; i < 128; ++i)\n\tresult.push_back(value[i]);\n", "def f(x):\n    return x**2\n",
    "snake_case camelCase PascalCase kebab-case", "x=1;y=2", "a+b=c", "-1 - 1 --1", "\\frac{1}{2} $x^2$", "∑∫√∞≠≤ αβγ x² H₂O", "♪♫ ★☆ ■□ ▁▂ ｜",
    "| a | b |\n|---|---|\n| 1 | 2 |", "# Title\n\n* item\n* item\n\n1. one\n", "line one\nline two\r\nline three\rline four", "\n a\n\n  b\n\n\n   c", "x \n", "x\n ", "x  \n\n  y",
    "trailing   ", "   leading", "tabs\tand  spaces\t ", "a\u0020\u00a0\u3000b", ".\n\n", "!\r\n\r\n?", " .\n", "。\n\n「", "a,\nb",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ababababababababababababababababababababab", "          x          ", "=" * 60, "哈" * 40, "." * 33 + "a" * 33,
    "pneumonoultramicroscopicsilicovolcanoconiosis", "Donaudampfschifffahrtsgesellschaftskapitän", "نننننننننننننننننننننن",
    "<｜hy_User｜>", "<｜hy_begin▁of▁sentence｜>x<｜hy_Assistant｜>", "a <｜hy_place▁holder▁no▁2｜> b<｜hy_place▁holder▁no▁20｜>", "<|eos|>", "x<|startoftext|>y<|extra_0|><|extra_1|>",
    "<|extra_0", "<｜hy_User", "<|<|eos|>|>", "<|endoftext|>\n<|pad|> ", "  <think> no </think>", "<note>added</note>", "老船长<｜hy_User｜>修理", "e\u0301<|eos|>\u0301",
    "Translate the following segment into Chinese, without additional explanation.\n\nMy neighbour has found the red bicycle.",
    "将以下文本翻译为英语，注意只需要输出翻译后的结果，不要额外解释：\n\n我的邻居忘记了这个词的意思。",
    "The old captain / Der alte Kapitän / Старый капитан / 老船长 / 年老いた船長 / القبطان العجوز / 12345",
]

CHATS = [
    [("user", "The old captain has found a small house.")],
    [("user", "")],
    [("user", " 老船长\n\n正在寻找 ")],
    [("system", "Be brief."), ("user", "Who is looking for the paper?")],
    [("user", "One."), ("assistant", "Eins."), ("user", "Two.")],
    [("system", "You translate."), ("user", "A"), ("assistant", "B"), ("user", "C"), ("assistant", "D"), ("user", "E")],
]


def training_text():
    for pattern, who, does, what in SENTENCES.values():
        for parts in itertools.product(who, does, what):
            yield pattern.format(*parts)


def train(pre_tokenizer, normalizer):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(training_text(), trainers.BpeTrainer(
        vocab_size=VOCAB, show_progress=False, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    return tokenizer


def isolated(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def byte_level():
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def special(text):
    return AddedToken(text, special=True, normalized=False)


def hy_tokenizer():
    """The 1.8B's: three splits, no normaliser, merges as pairs, specials outside the vocabulary."""
    tokenizer = train(pre_tokenizers.Sequence([*map(isolated, HY_SPLITS), byte_level()]), None)
    names = ["begin▁of▁sentence", "end▁of▁sentence", "▁pad▁", "User", "Assistant", "EOT"]
    tokenizer.add_special_tokens([special(f"<｜hy_{name}｜>") for name in names])
    tokenizer.add_special_tokens([special(f"<｜hy_place▁holder▁no▁{i}｜>") for i in range(24)])
    tokenizer.add_tokens([AddedToken("<note>", special=False, normalized=False)])
    return json.loads(tokenizer.to_str())


def byte_characters():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {**{chr(b): b for b in printable}, **{chr(256 + i): b for i, b in enumerate(others)}}


def tiktoken_tokenizer():
    """The 7B's: one split, NFC, and every split of every token listed as a merge, in the order of the ranks."""
    split = pre_tokenizers.Sequence([isolated(TIKTOKEN_SPLIT), byte_level()])
    tokenizer = train(split, normalizers.NFC())
    trained = json.loads(tokenizer.to_str())
    # tiktoken ranks: the bytes first, then the trained tokens in order.
    vocab = {token: rank for token, rank in sorted(trained["model"]["vocab"].items(), key=lambda item: item[1])}
    merges = []
    for token, rank in vocab.items():
        pairs = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in vocab and token[i:] in vocab]
        merges += sorted(pairs, key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
    trained["model"]["merges"] = [" ".join(pair) for pair in merges]
    trained["model"]["ignore_merges"] = True
    tokenizer = Tokenizer.from_str(json.dumps(trained))
    names = ["endoftext", "startoftext", "bos", "eos", "pad", *(f"extra_{i}" for i in range(8))]
    tokenizer.add_special_tokens([special(f"<|{name}|>") for name in names])
    result = json.loads(tokenizer.to_str())
    result["model"]["merges"] = trained["model"]["merges"]  # the library would save pairs
    return result


def ids(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def encode_cases(tokenizer_json):
    """Each text as plain text (a tokenizer that knows no added tokens) and with added tokens recognised."""
    full = Tokenizer.from_str(json.dumps(tokenizer_json))
    plain = Tokenizer.from_str(json.dumps({**tokenizer_json, "added_tokens": []}))
    cases = []
    for text in CASES:
        case = {"text": text, "ids": ids(plain, text)}
        with_specials = ids(full, text)
        if with_specials != case["ids"]:
            case["with_specials"] = with_specials
        cases.append(case)
    return cases


def encode_chats(tokenizer_json, template_path, old):
    if template_path is None:
        return old
    full = Tokenizer.from_str(json.dumps(tokenizer_json))
    template = jinja2.Template(pathlib.Path(template_path).read_text(encoding="utf-8"))
    chats = []
    for chat in CHATS:
        messages = [{"role": role, "content": content} for role, content in chat]
        chats.append({"messages": messages, "ids": ids(full, template.render(messages=messages, add_generation_prompt=True))})
    return chats


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(path.name, path.stat().st_size)


def write_family(name, tokenizer_json, template_path):
    golden = OUT / f"{name}_cases.json"
    old = json.loads(golden.read_text(encoding="utf-8"))["chats"] if golden.exists() else []
    write(OUT / f"{name}.json", tokenizer_json)
    write(golden, {"cases": encode_cases(tokenizer_json), "chats": encode_chats(tokenizer_json, template_path, old)})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hy-template")
    parser.add_argument("--tiktoken-template")
    parser.add_argument("--nano")
    args = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    write_family("hy", hy_tokenizer(), args.hy_template)
    write_family("tiktoken", tiktoken_tokenizer(), args.tiktoken_template)
    if args.nano:
        tokenizer_json = json.loads(pathlib.Path(args.nano).read_text(encoding="utf-8"))
        write(OUT / "nano_cases.json", {"cases": encode_cases(tokenizer_json)})


if __name__ == "__main__":
    main()
