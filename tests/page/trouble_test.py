"""What the page does when things go wrong, against the stand-in, which goes wrong when asked."""

import contextlib
import time

import pytest
from selenium.common.exceptions import ElementNotInteractableException
from selenium.webdriver.common.keys import Keys

from on_page import PHONE, Page


@pytest.fixture
def page(fresh, troubled):
    return Page(fresh, troubled().url)


def test_an_error_is_shown_and_the_next_text_works(page):
    page.open().ready()
    page.paste("please fail")
    page.until(lambda: page.one("#target-note").is_displayed(), "the error")
    assert page.one("#target-note").text == "the stand-in was told to fail"
    page.paste("and now not")
    assert page.result().endswith("AND NOW NOT")
    assert not page.one("#target-note").is_displayed()
    assert page.errors() == []


def test_a_replaced_answer_leaves_nothing_of_the_first(fresh, troubled):
    page = Page(fresh, troubled("--delay", "0.1").url).open().ready()
    page.paste("a retry")
    assert "nonsense" not in page.result()
    assert any("nonsense" in text for text in page.js("return window.shown"))


def test_problems_are_named(page):
    page.open().ready()
    page.drawer("glossary")
    page.one("#add-term").click()
    page.press("word")
    page.press(Keys.TAB)
    page.press("Wort")
    page.paste("a text without")
    page.result()
    assert "glossary term was not used" in page.one("#target-note").text


def test_a_translation_can_be_stopped(page):
    page.open().ready()
    page.paste("this will hang")
    page.until(lambda: page.one("#stop").is_displayed(), "the stop button")
    page.one("#stop").click()
    assert not page.is_busy and len(page.sent("cancel")) == 1
    page.paste("hang on again")
    page.until(lambda: page.is_busy, "it to run")
    page.press(Keys.ESCAPE)
    assert not page.is_busy


def test_typing_on_cancels_what_runs(page):
    page.open().ready()
    page.paste("this will hang")
    page.until(lambda: page.is_busy, "it to run")
    page.type(" no, it ")
    page.js("document.getElementById('source').value = 'a cat'")
    page.result()
    assert page.target.text.endswith("A CAT")
    assert [message["id"] for message in page.sent("cancel")] == [page.sent()[0]["id"]]


def test_server_down_is_said_and_the_page_comes_back(fresh, troubled):
    server = troubled()
    page = Page(fresh, server.url).open().ready()
    page.paste("this will hang")
    page.until(lambda: page.is_busy, "it to run")
    server.stop()
    page.until(lambda: page.one("#banner").is_displayed(), "the banner")
    assert "connection to the server is lost" in page.one("#banner-text").text
    assert page.one("#banner").get_attribute("role") == "alert"
    page.paste("asked while it was away")
    page.until(
        lambda: "Waiting for the server"
        in page.js("return document.getElementById('target').dataset.placeholder"),
        "waiting",
    )
    # Pauses grow: not more than a handful of attempts in three seconds.
    count = "return performance.getEntriesByType('resource').filter((entry) => entry.name.endsWith('/stats')).length"
    before = page.js(count)
    time.sleep(3)
    assert page.js(count) - before <= 8
    server.start()
    page.until(
        lambda: page.one("#server").get_attribute("data-state") == "open", "the page to come back", seconds=30
    )
    assert not page.one("#banner").is_displayed()
    assert page.result().endswith("ASKED WHILE IT WAS AWAY")


def test_what_belongs_to_an_older_text_is_pale_while_the_server_is_down(fresh, troubled):
    server = troubled()
    page = Page(fresh, server.url).open().ready()
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    page.paste("good morning")
    shown = page.result()
    assert page.style("#target", "opacity") == "1"
    server.stop()
    page.until(lambda: page.one("#banner").is_displayed(), "the banner")
    page.paste("good evening")
    page.until(lambda: float(page.style("#target", "opacity")) < 0.5, "the older text to be pale")
    assert page.target.text == shown and not page.one("#copy").is_enabled()
    assert page.one("#server").size["height"] < 30  # one line on a phone too
    server.start()
    page.until(lambda: page.target.text.endswith("GOOD EVENING"), "the translation", seconds=30)
    page.until(lambda: page.style("#target", "opacity") == "1", "it to be there")


def test_try_now_does_not_wait(fresh, troubled):
    server = troubled()
    page = Page(fresh, server.url).open().ready()
    server.stop()
    page.until(lambda: page.one("#banner").is_displayed(), "the banner")
    time.sleep(6)  # now the pauses are long
    server.start()
    with contextlib.suppress(ElementNotInteractableException):  # it has come back by itself just now
        page.one("#banner-action").click()
    page.until(
        lambda: page.one("#server").get_attribute("data-state") == "open", "the page to come back", seconds=3
    )


def test_a_server_with_a_key(fresh, troubled):
    server = troubled("--key", "open & sesame")
    page = Page(fresh, server.url).open()
    page.until(lambda: page.one("#banner").is_displayed(), "the banner")
    assert "API key" in page.one("#banner-text").text
    page.one("#banner-action").click()
    assert page.driver.switch_to.active_element.get_attribute("id") == "apiKey"
    page.press("wrong")
    page.press(Keys.ENTER)
    page.until(lambda: page.one("#server").get_attribute("data-state") == "unauthorized", "the refusal")
    field = page.one("#apiKey")
    field.clear()
    field.send_keys("open & sesame", Keys.ENTER)
    page.ready()
    page.press(Keys.ESCAPE)
    page.drawer("memory")
    page.until(lambda: page.all(".tiles"), "figures, which need the key too")
    page.paste("good morning")
    assert page.result().endswith("GOOD MORNING")


def test_a_file_waits_for_a_busy_server(page, tmp_path):
    page.open("#files").ready()
    source = tmp_path / "a.txt"
    source.write_text("\n".join(["one", "busy", "please fail", "four"]))
    page.one("#file-input").send_keys(str(source))
    page.until(lambda: page.all(".job[data-state=done]"), "the file")
    text = page.one(".job .state").text
    assert "4 of 4 lines" in text and "1 lines stayed as they were: the stand-in was told to fail" in text
    assert len([message for message in page.sent() if message["text"] == "busy"]) == 3


def test_eight_lines_at_a_time_and_cancel(page, tmp_path):
    page.open("#files").ready()
    source = tmp_path / "a.txt"
    source.write_text("\n".join(f"hang {at}" for at in range(30)))
    page.one("#file-input").send_keys(str(source))
    page.until(lambda: len(page.sent()) == 8, "eight lines")
    time.sleep(0.5)
    assert len(page.sent()) == 8
    page.one("[data-does=cancel]").click()
    page.until(lambda: page.all(".job[data-state=cancelled]"), "the end")
    assert len(page.sent("cancel")) == 8


@pytest.mark.parametrize(
    "content, message",
    [
        (b"\xff\xfe\x00\xd8", "not a UTF-8 or UTF-16 text file"),
        (b"a\0b", "not a UTF-8"),
        (b"\x89PNG\xff", "not a UTF-8"),
        (b" \n ", "no text"),
    ],
)
def test_files_that_are_no_text(page, tmp_path, content, message):
    page.open("#files").ready()
    source = tmp_path / "a.txt"
    source.write_bytes(content)
    page.one("#file-input").send_keys(str(source))
    page.until(lambda: page.all(".job[data-state=failed]"), "the refusal")
    assert message in page.one(".job .state").text


def test_a_file_goes_on_after_a_restart(fresh, troubled, tmp_path):
    server = troubled("--delay", "0.05")
    page = Page(fresh, server.url).open("#files").ready()
    source = tmp_path / "a.txt"
    source.write_text("\n".join(f"line {at}" for at in range(60)))
    page.one("#file-input").send_keys(str(source))
    page.until(lambda: page.js("return document.querySelector('progress')?.value") >= 8, "a beginning")
    server.stop()
    page.until(lambda: page.one("#banner").is_displayed(), "the banner")
    server.start()
    page.until(lambda: page.all(".job[data-state=done]"), "the file", seconds=60)
    assert "60 of 60 lines" in page.one(".job .state").text and "stayed" not in page.one(".job .state").text


def test_nothing_becomes_markup(page):
    page.open().ready()
    page.paste("<img src=x onerror=alert(1)> & <b>bold</b>")
    page.result()
    page.drawer("history")
    assert page.js("return document.querySelectorAll('#target *, .entry img, .entry b').length") == 0


def test_storage_that_holds_nonsense(page):
    page.open()
    page.js(
        """for (const key of ['settings', 'history', 'glossary', 'languages', 'recent.to', 'drawers', 'from', 'to'])
                 localStorage.setItem('pagoda.' + key, arguments[0])""",
        "{not json",
    )
    page.driver.refresh()
    page.ready()
    page.paste("good morning")
    assert page.result().endswith("GOOD MORNING")
    assert page.errors() == []
