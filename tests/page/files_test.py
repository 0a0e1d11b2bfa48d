"""The Files and the API tab."""

import json
import subprocess


def lines_of(count):
    lines = [f"The house number {at} is small." for at in range(count)]
    lines[3] = ""
    lines[7] = "   "
    return lines


def test_file_by_choice(page, downloads, tmp_path):
    page.open("#files").ready()
    page.choose("to", "French")
    lines = lines_of(24)
    source = tmp_path / "letter.txt"
    source.write_bytes("\r\n".join(lines).encode())
    page.one("#file-input").send_keys(str(source))
    page.until(lambda: page.all(".job[data-state=done]"), "the file", seconds=120)
    asked = page.sent()
    assert len(asked) == 22 and {message["from"] for message in asked} == {
        "en"
    }  # of the whole file, not of each line
    page.one("[data-does=save]").click()
    saved = downloads / "letter.fr.txt"
    page.until(saved.exists, "the download")
    result = saved.read_bytes().decode().split("\r\n")
    assert len(result) == 24 and result[3] == "" and result[7] == "   "
    assert all(line.strip() for at, line in enumerate(result) if at not in (3, 7))
    assert result[5] != lines[5]


def test_file_by_drop(page, shoot):
    page.open().ready()
    page.choose("to", "French")
    page.js(
        """const data = new DataTransfer();
               data.items.add(new File([arguments[0]], 'dropped.txt', {type: 'text/plain'}));
               for (const type of ['dragenter', 'dragover', 'drop'])
                 document.body.dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));""",
        "\n".join(lines_of(200)),
    )
    page.until(lambda: page.all(".job"), "the file on the list")
    assert page.js("return location.hash") == "#files"
    page.until(lambda: page.js("return document.querySelector('.job progress')?.max") == 200, "the bar")
    seen = set()

    def done():
        seen.add(page.js("return document.querySelector('.job progress')?.value"))
        return page.all(".job[data-state=done]")

    page.until(done, "the file", seconds=120)
    assert len(seen) > 2  # it moved
    assert "200 of 200 lines" in page.one(".job .state").text
    shoot(page.driver, "files")


def test_api_tab(page, server, shoot):
    page.open().ready()
    page.choose("to", "French")
    page.paste('It\'s a "fine" day; cost: $5 `ls` \\n 你好')
    page.result()
    page.one("[data-view=api]").click()
    tabs = page.until(lambda: page.all("[role=tab]"), "the tabs")
    assert [tab.text for tab in tabs] == ["Translate", "Generate", "OpenAI", "DeepL", "WebSocket"]
    for at in range(4):
        page.all("[role=tab]")[at].click()
        code = page.one("#api-code code").text
        assert code.startswith("curl ") and server.url in code
        check_command(code, server)
    shoot(page.driver, "api")
    page.all("[role=tab]")[4].click()
    assert f"ws://127.0.0.1:{server.port}/ws" in page.one("#api-code code").text


def check_command(code, server):
    """A shell takes it apart into the JSON that was meant, and the real server answers it."""
    printed = subprocess.run(
        ["bash", "-c", code.replace("curl ", "printf '%s\\0' ", 1)], capture_output=True, check=True
    ).stdout
    body = json.loads(printed.decode().split("\0")[-2])
    assert 'It\'s a "fine" day; cost: $5 `ls` \\n 你好' in json.dumps(body, ensure_ascii=False).replace(
        '\\"', '"'
    ).replace("\\\\", "\\")
    if not server.is_real:
        return
    answer = subprocess.run(
        ["bash", "-c", code.replace("curl ", "curl --fail-with-body ", 1)], capture_output=True, timeout=60
    )
    assert answer.returncode == 0, answer.stdout
    if b"data: " not in answer.stdout:
        assert "error" not in json.loads(answer.stdout)


def test_the_key_is_not_shown(page):
    page.open("#api", settings={"apiKey": ""}).ready()
    page.js("localStorage.setItem('pagoda.settings', JSON.stringify({apiKey: 'secret-key'}))")
    page.driver.refresh()
    page.until(lambda: page.all("#api-code code"), "the code")
    assert "$PAGODA_API_KEY" in page.one("#api-code code").text
    assert "secret-key" not in page.driver.page_source
