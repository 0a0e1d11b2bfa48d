"""Servers and a browser for the tests of the page. With --pagoda the server is the real one, without it the stand-in."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import pytest
from selenium import webdriver

from on_page import Page

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

CHROMIUM_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1360,900",
    "--lang=en-US",
]


def pytest_addoption(parser):
    parser.addoption("--pagoda", default="", help="the pagoda program; without it the stand-in serves")
    parser.addoption("--model", default=str(ROOT / "models" / "nano"))
    parser.addoption("--screenshots", default="", help="a folder for pictures of the page")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server process that can be stopped and started again at the same port."""

    def __init__(self, command, is_real):
        self.command, self.is_real = command, is_real
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log", delete=False)
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [*self.command, "--port", str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(self.url + "/health", timeout=2).close()
                return self
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(
                        f"{self.command[0]} does not serve: " + open(self.log.name).read()
                    ) from error
                time.sleep(0.05)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def get(self, path):
        return json.load(urllib.request.urlopen(self.url + path, timeout=10))


def stand_in(*flags):
    return Server([sys.executable, str(HERE / "stand_in.py"), *flags], is_real=False)


@pytest.fixture(scope="session")
def server(request):
    pagoda = request.config.getoption("--pagoda")
    if pagoda:
        one = Server(
            [pagoda, "serve", "--model", request.config.getoption("--model"), "--host", "127.0.0.1"],
            is_real=True,
        )
    else:
        one = stand_in()
    yield one.start()
    one.stop()


@pytest.fixture
def troubled():
    """Makes stand-ins with the flags that a test wants."""
    started = []

    def make(*flags):
        started.append(stand_in(*flags).start())
        return started[-1]

    yield make
    for one in started:
        one.stop()


@pytest.fixture(scope="session")
def chromium():
    profile = tempfile.mkdtemp(prefix="pagoda-page-")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in [*CHROMIUM_FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    # What the page sends, in order: {type: "translate", ...}. And how the target grew.
    driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument",
        {"source": """
        window.sent = [];
        window.shown = [];
        const send = WebSocket.prototype.send;
        WebSocket.prototype.send = function (data) { window.sent.push(JSON.parse(data)); return send.call(this, data); };
        addEventListener('DOMContentLoaded', () => {
          const target = document.getElementById('target');
          const look = () => window.shown.push(target.textContent);
          if (target) new MutationObserver(look).observe(target, {childList: true, characterData: true, subtree: true});
        });"""},
    )
    yield driver
    driver.quit()
    shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture
def downloads(chromium, tmp_path):
    chromium.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    return tmp_path


@pytest.fixture
def fresh(chromium):
    """The browser as a stranger's: nothing stored, a large light window."""
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    chromium.get("about:blank")
    chromium.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
    chromium.get_log("browser")
    return chromium


@pytest.fixture
def shoot(request):
    """Saves a picture where --screenshots says so."""
    folder = request.config.getoption("--screenshots")

    def save(driver, name):
        if folder:
            os.makedirs(folder, exist_ok=True)
            driver.save_screenshot(os.path.join(folder, name + ".png"))

    save.on = bool(folder)
    return save


@pytest.fixture
def page(server, fresh):
    """The page of the server, which must leave nothing in the browser's console."""
    one = Page(fresh, server.url)
    yield one
    assert one.errors() == []
