"""libretranslatepy_test.py URL: all that LibreTranslate's Python client can do. Ends with an exception where something is
wrong."""

import sys
import urllib.error
from importlib.metadata import version

from libretranslatepy import LibreTranslateAPI

URL = sys.argv[1]


def expect(condition, *what):
    if not condition:
        raise AssertionError(what)


client = LibreTranslateAPI(URL, api_key="test-key")

languages = client.languages()
codes = {language["code"] for language in languages}
expect(len(languages) == 38 and {"en", "fr", "zh", "zh-Hant"} <= codes, languages)
expect(all(set(language["targets"]) == codes and language["name"] for language in languages), languages)

text = client.translate("The weather is nice today.", "en", "fr")
expect("temps" in text or "beau" in text, text)
expect(client.translate("The weather is nice today.", "auto", "fr") == text)
expect(client.translate("The weather is nice today.\n\nI like dogs.", "en", "fr").split("\n")[:2] == [text, ""])
expect(any("\u4e00" <= c <= "\u9fff" for c in client.translate("Good morning", "en", "zh")))
expect(client.translate("Grüße & Küsse + 100% = ?", "de", "en"))

guesses = client.detect("Bonjour tout le monde, comment allez-vous ?")
expect(guesses[0]["language"] == "fr" and 50 <= guesses[0]["confidence"] <= 100, guesses)


def refused(status, call):
    try:
        call()
    except urllib.error.HTTPError as error:
        body = error.read().decode()
        expect(error.code == status, error.code, body)
        return body
    raise AssertionError("it was not refused")


expect('"error":"target: ' in refused(400, lambda: client.translate("x", "en", "sv")))
expect("not known" in refused(403, lambda: LibreTranslateAPI(URL, api_key="wrong").translate("x", "en", "fr")))
expect("needed" in refused(403, lambda: LibreTranslateAPI(URL).detect("x")))
print(f"libretranslatepy {version('libretranslatepy')}: all as expected")
