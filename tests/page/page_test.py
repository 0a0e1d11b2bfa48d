"""Translating in the page, against `pagoda serve` (or the stand-in where no program is given)."""

import re

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from conftest import ROOT

MORNING = "Good morning. The weather is lovely today, and the children play in the garden."


def test_translates_while_typing(page, shoot):
    page.open().ready()
    page.choose("to", "French")
    page.type(MORNING)
    text = page.result()
    assert text and text != MORNING
    assert page.target.get_attribute("lang") == "fr"
    assert re.search(r"[\d.,]+ tokens/s · [\d.,]+ m?s", page.one("#measure").text)
    assert "characters" in page.one("#source-count").text
    shoot(page.driver, "desktop_light")


def test_shows_pieces_as_they_come(page):
    page.open(settings={"live": False}).ready()
    page.choose("to", "French")
    # Long: a busy machine may show several pieces at once.
    page.paste(" ".join([MORNING] * 40))
    page.one("#run").click()
    text = page.result()
    shown = [piece for piece in page.js("return window.shown") if piece]
    assert len(set(shown)) > 2, shown
    assert shown[0] != text and len(shown[0]) < len(text)


def test_the_newest_text_wins(page):
    page.open(settings={"live": False}).ready()
    page.choose("to", "French")
    # Both in one turn of the browser: however fast the server is, the first cannot end before the second is asked.
    page.js(
        """for (const text of arguments) {
                 const box = document.getElementById('source');
                 box.value = text;
                 box.dispatchEvent(new InputEvent('input', {bubbles: true}));
                 document.getElementById('run').click();
               }""",
        "The first sentence is here, and it is a long one. " * 8,
        "A cat.",
    )
    page.result()
    first, second = page.sent()
    assert [message["id"] for message in page.sent("cancel")] == [first["id"]]
    assert second["text"] == "A cat." and len(page.target.text) < 60


def test_detects_the_language(page):
    page.open().ready()
    page.choose("to", "French")
    page.paste("今天天气很好，我们去公园散步。")
    page.result()
    caption = page.one("#pick-from").text
    assert "Chinese" in caption and "detected" in caption
    assert page.one("#source").get_attribute("lang") == "zh"


def test_swaps(page):
    page.open().ready()
    page.choose("to", "French")
    page.type("Good morning")
    first = page.result()
    page.one("#swap").click()
    assert page.one("#source").get_attribute("value") == first
    assert page.one("#pick-from").get_attribute("data-code") == "fr"
    assert page.one("#pick-to").get_attribute("data-code") == "en"
    page.result()
    assert page.sent()[-1]["from"] == "fr" and page.sent()[-1]["to"] == "en"


def test_choosing_the_other_sides_language_swaps(page):
    page.open().ready()
    page.choose("from", "English")
    page.choose("to", "German")
    page.choose("from", "German")
    assert page.one("#pick-to").get_attribute("data-code") == "en"


def test_copies_and_clears(page):
    page.driver.execute_cdp_cmd(
        "Browser.grantPermissions",
        {"origin": page.url, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]},
    )
    page.open().ready()
    page.choose("to", "French")
    page.type("Good morning")
    text = page.result()
    page.one("#copy").click()
    page.until(
        lambda: page.js("return document.querySelector('#copy use').getAttribute('href')") == "#i-check",
        "the check mark",
    )
    assert (
        page.driver.execute_async_script(
            "navigator.clipboard.readText().then(arguments[0], (e) => arguments[0](String(e)))"
        )
        == text
    )
    page.one("#clear").click()
    assert page.one("#source").get_attribute("value") == "" and page.target.text == ""
    assert not page.one("#copy").is_enabled()


def test_glossary(page):
    page.open().ready()
    page.choose("to", "French")
    drawer = page.drawer("glossary")
    page.one("#add-term").click()
    page.press("gloss")
    drawer.find_element(By.CSS_SELECTOR, ".term input[data-side=target]").send_keys("glosse")
    assert page.one("#glossary-badge").text == "1"
    page.type("This gloss is good.")
    text = page.result()
    assert page.sent()[-1]["glossary"] == [{"source": "gloss", "target": "glosse"}]
    assert "glosse" in text or "glossary" in page.one("#target-note").text
    page.driver.refresh()
    page.ready()
    assert page.one("#glossary-badge").text == "1"  # kept
    page.choose("to", "German")
    assert not page.one("#glossary-badge").is_displayed()  # but only for French


def test_glossary_takes_a_pasted_table_and_can_be_switched_off(page):
    page.open().ready()
    page.choose("to", "French")
    page.drawer("glossary")
    page.one("#add-term").click()
    page.js(
        """const data = new DataTransfer(); data.setData('text', arguments[0]);
               document.activeElement.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true}));""",
        "cat\tchat\ndog\tchien\r\n\nhalf\n",
    )
    assert [field.get_attribute("value") for field in page.all(".term input")] == [
        "cat",
        "chat",
        "dog",
        "chien",
    ]
    page.js("document.getElementById('use-glossary').click()")
    page.type("A cat.")
    page.result()
    assert "glossary" not in page.sent()[-1]


def test_context_goes_along(page):
    page.open().ready()
    page.choose("to", "French")
    page.drawer("context").find_element(By.ID, "context").send_keys("A letter to a friend.")
    page.type("Good morning")
    page.result()
    assert page.sent()[-1]["context"] == "A letter to a friend."
    assert page.one("#context-badge").is_displayed()


def test_other_wordings(page):
    page.open().ready()
    page.choose("to", "French")
    page.type("Please vary: good morning, my dear old friend.")
    first = page.result()
    page.one("#more").click()
    page.until(
        lambda: not page.all(".alternatives .working") and page.one("#alternatives").is_displayed(),
        "other wordings",
    )
    seeds = [message["seed"] for message in page.sent() if "seed" in message]
    assert len(set(seeds)) == 3 and all(message["temperature"] >= 0.8 for message in page.sent()[-3:])
    others = page.all(".alternatives .other")
    if not others:  # a model that is this sure of itself says so
        assert "same wording" in page.one("#alternatives").text
        return
    chosen = others[0].text
    others[0].click()
    assert page.target.text == chosen
    assert first in [row.text for row in page.all(".alternatives .other")]


def test_history(page):
    page.open().ready()
    page.choose("to", "French")
    page.paste("Good morning")
    first = page.result()
    page.paste("")
    page.paste("The house is small.")
    page.result()
    page.drawer("history")
    assert page.one("#history-badge").text == "2"
    page.one(".drawer input[type=search]").send_keys("morning")
    rows = page.all(".entry")
    assert len(rows) == 1
    rows[0].click()
    assert page.one("#source").get_attribute("value") == "Good morning" and page.target.text == first
    page.one("#clear").click()  # the draft would be translated again
    page.one("#clear-history").click()
    page.driver.refresh()
    page.ready()
    assert not page.one("#history-badge").is_displayed()


def test_typing_on_makes_one_entry(page):
    page.open().ready()
    page.choose("to", "French")
    for piece in ("Good", " morning", " my friend"):
        page.type(piece)
        page.until(lambda: page.sent() and page.sent()[-1]["text"].endswith(piece), "asked")
        page.result()
    assert page.one("#history-badge").text == "1"


def test_memory_picture(page, server, shoot):
    page.open().ready()
    page.drawer("memory")
    page.until(lambda: page.all(".tiles"), "the picture")
    said = page.one(".tiles").get_attribute("aria-label")
    used, cached, free = map(int, re.findall(r"\d+", said))
    assert used + cached + free == server.get("/stats")["kv"]["blocks_total"]
    assert len(page.all(".tiles i")) > 100
    assert "Weights" in page.one(".bytes").get_attribute("aria-label")
    asked = "return performance.getEntriesByType('resource').filter((entry) => entry.name.endsWith('/stats')).length"
    page.until(lambda: page.js(asked) >= 2, "a second look", seconds=6)
    page.drawer("memory")  # closed: nobody looks, nobody asks
    before = page.js(asked)
    with pytest.raises(AssertionError):
        page.until(lambda: page.js(asked) > before + 1, "", seconds=4)


def test_languages_are_those_of_the_server(page, server):
    page.open().ready()
    table = (ROOT / "src" / "translate" / "languages.cc").read_text()
    rows = re.findall(
        r'\{?(?:latin|han|own|arabic)?\(?"([a-zA-Z-]+)", "\w{3}", "[^"]+",\s*"[^"]+",\s*"([^"]+)"', table
    )
    assert len(rows) == 38
    for code, native in rows:
        assert page.imported("languages.js", f"m.nativeName('{code}')") == native
    rtl = set(re.findall(r'arabic\("(\w+)"', table)) | {"he"}
    assert {
        code for code, _ in rows if page.imported("languages.js", f"m.directionOf('{code}')") == "rtl"
    } == rtl
    page.one("#pick-from").click()
    shown = {row.get_attribute("data-code") for row in page.all("[role=option]")}
    assert shown == {"auto"} | {language["code"] for language in server.get("/languages")}


def test_picker_by_keyboard(page):
    page.open().ready()
    button = page.one("#pick-to")
    button.send_keys(Keys.ARROW_DOWN)
    search = page.driver.switch_to.active_element
    assert search.get_attribute("role") == "combobox"
    search.send_keys("espa")  # by its own name
    assert page.one("[role=option].active").get_attribute("data-code") == "es"
    assert search.get_attribute("aria-activedescendant") == "to-es"
    search.send_keys(Keys.ENTER)
    assert page.one("#pick-to").get_attribute("data-code") == "es"
    assert page.driver.switch_to.active_element.get_attribute("id") == "pick-to"
    page.one("#pick-to").send_keys(Keys.ENTER)
    page.driver.switch_to.active_element.send_keys("no such tongue", Keys.ESCAPE)
    assert not page.all(".choose") and page.one("#pick-to").get_attribute("data-code") == "es"


def test_keys(page):
    page.open(settings={"live": False}).ready()
    page.choose("to", "French")
    page.press("/")
    assert page.driver.switch_to.active_element.get_attribute("id") == "source"
    page.type("Good morning")
    assert page.sent() == []  # not while typing
    page.press(Keys.CONTROL, Keys.ENTER)
    first = page.result()
    page.press(Keys.ALT, "s")
    assert page.one("#source").get_attribute("value") == first
    for key, name in (("g", "glossary"), ("x", "context"), ("h", "history"), ("m", "memory")):
        page.press(Keys.ALT, key)
        assert page.one(f"#drawer-{name}").is_displayed()
        assert page.one(f"[data-drawer={name}]").get_attribute("aria-expanded") == "true"
    page.press(Keys.ALT, ",")
    assert page.one("#settings-dialog").is_displayed()
    page.press(Keys.ESCAPE)
    page.one("#open-keys").click()
    assert "Swap languages" in page.one("#keys-dialog").text
    page.press(Keys.ESCAPE)
    assert not page.one("#keys-dialog").is_displayed()


def test_draft_and_settings_outlive_a_reload(page):
    page.open().ready()
    page.choose("to", "French")
    page.type("Good morning")
    page.result()
    page.one("#open-settings").click()
    page.js("document.getElementById('creativity-steady').click()")
    page.driver.refresh()
    page.ready()
    assert page.one("#source").get_attribute("value") == "Good morning"
    assert page.one("#pick-to").get_attribute("data-code") == "fr"
    page.result()
    assert page.sent()[-1]["temperature"] == 0
