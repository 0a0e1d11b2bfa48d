"""deepl_test.py URL: what programs do with DeepL's Python client. Ends with an exception where something is wrong."""

import sys

import deepl

URL = sys.argv[1]

# It repeats what failed by 429 or 5xx for a while; nothing here shall.
deepl.http_client.max_network_retries = 0
client = deepl.DeepLClient("test-key", server_url=URL)
other = deepl.Translator("other-key", server_url=URL)


def expect(condition, *what):
    if not condition:
        raise AssertionError(what)


def refused(kind, call):
    try:
        call()
    except kind as error:
        return str(error)
    raise AssertionError("it was not refused")


# Texts.
result = client.translate_text("The weather is nice today.", target_lang="FR")
expect("temps" in result.text or "beau" in result.text, result.text)
expect(result.detected_source_lang == "EN" and result.billed_characters == 26, result)
results = client.translate_text(
    ["The weather is nice today.", "I like dogs."],
    source_lang="EN",
    target_lang="FR",
    context="A letter to a friend",
    formality="prefer_more",
    split_sentences="nonewlines",
    preserve_formatting=True,
    model_type="prefer_quality_optimized",
)
expect(len(results) == 2 and all(r.text for r in results), results)
expect(results[0].model_type_used == "quality_optimized", results[0].model_type_used)
chinese = client.translate_text("Good morning", target_lang=deepl.Language.CHINESE_SIMPLIFIED).text
expect(any("\u4e00" <= c <= "\u9fff" for c in chinese), chinese)
for target in ["EN-US", "EN-GB"]:
    expect(client.translate_text("你好，世界", target_lang=target).detected_source_lang == "ZH")
plain = client.translate_text("Tom &amp; Jerry", target_lang="FR", tag_handling="html").text
expect("Jerry" in plain and "amp;amp" not in plain, plain)

# Languages.
sources = {language.code for language in client.get_source_languages()}
targets = {language.code for language in client.get_target_languages()}
expect({"EN", "FR", "ZH", "PT"} <= sources and "EN-US" not in sources, sources)
expect({"EN-GB", "EN-US", "PT-BR", "PT-PT", "ZH-HANS", "ZH-HANT", "FR"} <= targets and "EN" not in targets, targets)

# Usage.
usage = client.get_usage()
expect(usage.character.count > 80 and not usage.any_limit_reached, usage)
expect(other.get_usage().character.count == 0)

# Glossaries.
pairs = client.get_glossary_languages()
expect(any(p.source_lang == "EN" and p.target_lang == "DE" for p in pairs) or len(pairs) == 37 * 36, len(pairs))
entries = {"Velmor": "Kastrin", "dog": "clebs"}
glossary = client.create_glossary("Coined", "EN", "FR", entries)
expect(glossary.ready and glossary.entry_count == 2 and glossary.creation_time.year > 2000, glossary)
expect(glossary.source_lang == "EN" and glossary.target_lang == "FR", glossary)
expect(client.get_glossary(glossary.glossary_id).name == "Coined")
expect(client.get_glossary_entries(glossary) == entries, client.get_glossary_entries(glossary))
coined = client.translate_text_with_glossary("The Velmor is small.", glossary).text
expect("Kastrin" in coined, coined)
expect("Kastrin" not in client.translate_text("The Velmor is small.", source_lang="EN", target_lang="FR").text)
same = client.translate_text("The Velmor is small.", source_lang="EN", target_lang="FR", glossary=glossary.glossary_id)
expect(same.text == coined, same.text)
from_csv = client.create_glossary_from_csv("CSV", "EN", "ZH", 'cat,猫,en,zh\n"a, b",c\n')
expect(from_csv.entry_count == 2, from_csv)
script = client.translate_text("cat", source_lang="EN", target_lang="ZH-HANT", glossary=from_csv)
expect(script.text, script)
expect({g.glossary_id for g in client.list_glossaries()} == {glossary.glossary_id, from_csv.glossary_id})
expect(other.list_glossaries() == [])
refused(deepl.GlossaryNotFoundException, lambda: other.get_glossary(glossary.glossary_id))
refused(deepl.GlossaryNotFoundException, lambda: other.delete_glossary(glossary))
client.delete_glossary(glossary)
client.delete_glossary(from_csv.glossary_id)
refused(deepl.GlossaryNotFoundException, lambda: client.get_glossary(glossary.glossary_id))

# Refusals become the client's exceptions.
expect("Norwegian" in refused(deepl.DeepLException, lambda: client.translate_text("x", target_lang="NB")))
expect("tag_handling" in refused(deepl.DeepLException, lambda: client.translate_text("<b>x</b>", target_lang="FR", tag_handling="xml")))
refused(deepl.AuthorizationException, lambda: deepl.Translator("wrong", server_url=URL).get_usage())
print(f"deepl {deepl.__version__}: all as expected")
