"""The page as the tests see it: what a person does and reads, by name."""

import json
import time

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}


class Page:
    def __init__(self, driver, url):
        self.driver, self.url = driver, url

    def open(self, fragment="", settings=None):
        """Loads the page with these settings stored beforehand; forgets everything else that was stored."""
        stored = json.dumps(json.dumps(settings or {}))
        # Runs before the scripts of the page, at this load alone: a reload finds what the page has stored.
        script = self.driver.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument",
            {"source": f"""
            if (location.origin === '{self.url}') {{
              localStorage.clear(); sessionStorage.clear();
              localStorage.setItem('pagoda.settings', {stored});
            }}"""},
        )
        self.driver.get(self.url + "/" + fragment)
        self.driver.execute_cdp_cmd(
            "Page.removeScriptToEvaluateOnNewDocument", {"identifier": script["identifier"]}
        )
        return self

    def ready(self):
        self.until(lambda: self.one("#server").get_attribute("data-state") == "open", "connected")
        self.until(
            lambda: self.js("return JSON.parse(localStorage.getItem('pagoda.languages') || '[]').length"),
            "languages",
        )
        return self

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def imported(self, module, expression):
        """The value of a JavaScript expression in which `m` is a module of the page."""
        done = "const done = arguments[arguments.length - 1];"
        return self.driver.execute_async_script(
            f"{done} import('/{module}').then((m) => done({expression}), (e) => done('failed: ' + e));"
        )

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until(self, condition, what, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            time.sleep(0.03)
        raise AssertionError(f"not within {seconds} s: {what}; page: {self.one('body').text[:600]!r}")

    def type(self, text):
        self.one("#source").send_keys(text)

    def paste(self, text):
        """Into the source at once, as pasting does; also what keys cannot type."""
        self.js(
            """const box = document.getElementById('source'); box.focus(); box.value = arguments[0];
                   box.dispatchEvent(new InputEvent('input', {bubbles: true}));""",
            text,
        )

    @property
    def target(self):
        return self.one("#target")

    @property
    def is_busy(self):
        return self.target.get_attribute("aria-busy") == "true"

    def result(self):
        """Waits for the end of the translation."""
        self.until(lambda: self.one("#copy").is_enabled(), "a translation")
        return self.target.text

    def choose(self, side, name):
        self.one(f"#pick-{side}").click()
        search = self.one(".choose input")
        search.send_keys(name, Keys.ENTER)

    def drawer(self, name):
        self.one(f"[data-drawer={name}]").click()
        return self.one(f"#drawer-{name}")

    def press(self, *keys):
        """Holds all but the last."""
        chain = ActionChains(self.driver)
        for key in keys[:-1]:
            chain.key_down(key)
        chain.send_keys(keys[-1])
        for key in reversed(keys[:-1]):
            chain.key_up(key)
        chain.perform()

    def sent(self, kind="translate"):
        return [message for message in self.js("return window.sent") if message["type"] == kind]

    def errors(self):
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] in ("SEVERE", "WARNING")
        ]

    def style(self, selector, name):
        return self.js(
            "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", selector, name
        )
