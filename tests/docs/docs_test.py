"""docs_test.py PAGODA ROOT: holds docs/*.md to what the server does."""

import json
import pathlib
import re
import socket
import subprocess
import sys
import threading
import unittest

from server import Server

PROGRAM, ROOT = sys.argv[1], sys.argv[2]
DOCS = pathlib.Path(ROOT) / "docs"


def curl_commands(page: pathlib.Path) -> list[str]:
    """Every command of the page's code blocks that is a curl, or keeps the answer of one in a variable of the shell."""
    commands = []
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", page.read_text(), re.M | re.S):
        lines = iter(block.splitlines())
        for line in lines:
            if not re.match(r"curl |\w+=\$\(curl ", line):
                continue
            while line.endswith("\\"):
                line = line[:-1] + next(lines)
            # A body that goes over several lines ends with the quote that it began with.
            while line.count("'") % 2:
                line += "\n" + next(lines)
            commands.append(line)
    return commands


class Examples(unittest.TestCase):
    """Every curl of the manual is answered as the page says: 2xx, or the status in its `# 404` comment."""

    def test_curl_examples(self):
        pages = sorted(DOCS.glob("api*.md")) + [DOCS / "metrics.md", pathlib.Path(ROOT) / "README.md"]
        with Server(PROGRAM, ROOT) as server:
            ran = 0
            remembered = {}
            for page in pages:
                for command in curl_commands(page):
                    with self.subTest(page=page.name, command=command):
                        self.run_example(server, command, remembered)
                        ran += 1
        self.assertGreater(ran, 8)

    def run_example(self, server: Server, command: str, remembered: dict[str, str]) -> None:
        command, _, comment = command.partition("  # ")
        expected = int(comment[:3]) if comment[:3].isdigit() else None
        for name, value in remembered.items():
            command = command.replace(name, value)
        command = command.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
        command = command.replace("localhost:8080", f"127.0.0.1:{server.port}")
        variable = re.match(r"(\w+)=\$\((.*)\)$", command, re.S)
        if variable:
            command = variable.group(2).replace("curl ", "set -o pipefail; curl -f --noproxy '*' --max-time 60 ", 1)
        else:
            command = command.replace("curl ", "curl --noproxy '*' --max-time 60 -w '\\n%{http_code}' ", 1)
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        if variable:
            self.assertTrue(done.stdout.strip())
            remembered["$" + variable.group(1)] = done.stdout.strip()
            return
        body, _, status = done.stdout.rpartition("\n")
        if expected is not None:
            self.assertEqual(int(status), expected, body)
        else:
            self.assertEqual(status[0], "2", body)


class Flags(unittest.TestCase):
    """docs/flags.md and docs/pulling.md list exactly the flags that --help has."""

    def documented(self, page: str, heading: str) -> set[str]:
        section = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", (DOCS / page).read_text(), re.M | re.S)
        self.assertIsNotNone(section, f"{page} has no section {heading}")
        cells = re.findall(r"^\| (`--[^|]*) \|", section.group(1), re.M)
        return {flag for cell in cells for flag in re.findall(r"--[a-z][a-z-]*", cell)}

    def helped(self, *verb: str) -> set[str]:
        text = subprocess.run([PROGRAM, *verb, "--help"], capture_output=True, text=True, check=True).stdout
        return set(re.findall(r"^ +(?:-\w,)?(--[a-z][a-z-]*)", text, re.M)) - {"--help"}

    def test_serve(self):
        shared = self.documented("flags.md", "The engine's: serve, translate, eval")
        pulling = self.documented("pulling.md", "Flags") - {"--connections", "--all", "--dry-run"}
        own = self.documented("flags.md", "pagoda serve")
        self.assertEqual(own | shared | pulling, self.helped("serve"))

    def test_pull(self):
        self.assertEqual(self.documented("pulling.md", "Flags"), self.helped("pull"))

    def test_bench_serve(self):
        self.assertEqual(self.documented("flags.md", "pagoda bench serve"), self.helped("bench", "serve"))


class Metrics(unittest.TestCase):
    def test_names(self):
        """docs/metrics.md lists exactly what /metrics has."""
        documented = set(re.findall(r"^\| `(pagoda:\w+)`", (DOCS / "metrics.md").read_text(), re.M))
        with Server(PROGRAM, ROOT) as server:
            server.request("POST", "/generate", '{"prompt": "a", "max_tokens": 2}')
            _, _, text = server.request("GET", "/metrics")
        served = set(re.findall(r"^# TYPE (pagoda:\w+)", text, re.M))
        self.assertEqual(documented, served)


class Errors(unittest.TestCase):
    """Every status of docs/errors.md is seen, with its type."""

    NEVER = {500, 501}  # a fault of ours; nothing on our own routes is unsupported

    def setUp(self):
        rows = re.findall(r"^\| (\d{3}) \| (\w+) \|", (DOCS / "errors.md").read_text(), re.M)
        self.types = {int(status): name for status, name in rows}
        self.seen: set[int] = set()

    def expect(self, status: int, answer) -> None:
        got, headers, body = answer
        self.assertEqual(got, status, body)
        error = json.loads(body)["error"]
        self.assertEqual((error["code"], error["type"]), (status, self.types[status]))
        self.assertTrue(error["message"])
        if status in (429, 503):
            self.assertEqual(headers.get("Retry-After"), "1")
        self.seen.add(status)

    def raw(self, port: int, text: bytes):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(text)
            answer = b""
            while True:
                part = connection.recv(65536)
                answer += part
                if not part or (b"\r\n\r\n" in answer and answer.endswith(b"}")):
                    break
        head, _, body = answer.decode().partition("\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        return int(head.split()[1]), headers, body

    def test_every_status(self):
        generate = '{"prompt": "a", "max_tokens": 500, "ignore_eos": true}'
        with Server(PROGRAM, ROOT, "--api-key", "k", "--max-body-size", "4KiB", "--idle-timeout", "0.5", "--max-waiting",
                    "1", "--max-num-seqs", "1", "--cors-origin", "https://good.example") as server:
            key = {"Authorization": "Bearer k"}
            self.expect(400, server.request("POST", "/generate", "{", **key))
            self.expect(401, server.request("POST", "/generate", "{}"))
            self.expect(404, server.request("GET", "/nothing"))
            self.expect(405, server.request("DELETE", "/generate", **key))
            self.expect(408, self.raw(server.port, b"POST /generate HTTP/1.1\r\nContent-Length: 5\r\n\r\n{"))
            self.expect(411, self.raw(server.port, b"POST /generate HTTP/1.1\r\n\r\n"))
            self.expect(413, server.request("POST", "/generate", "x" * 5000, **key))
            self.expect(426, server.request("GET", "/ws", **key))
            self.expect(431, self.raw(server.port, b"GET / HTTP/1.1\r\nX: " + b"x" * 20000 + b"\r\n\r\n"))
            upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
                       "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Origin": "https://bad.example"}
            self.expect(403, server.request("GET", "/ws", **key, **upgrade))
            # One runs, one waits, the rest are told so.
            answers = []
            clients = [threading.Thread(target=lambda: answers.append(server.request("POST", "/generate", generate, **key)))
                       for _ in range(6)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            self.expect(429, next(answer for answer in answers if answer[0] == 429))
        with Server(PROGRAM, ROOT, "--max-connections", "1") as server:
            with socket.create_connection(("127.0.0.1", server.port)) as first:
                first.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
                first.recv(100)
                self.expect(503, server.request("GET", "/livez"))
        self.assertEqual(self.seen, set(self.types) - self.NEVER)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
