"""A `pagoda serve` of the bundled model on a free port, for tests that talk to the program from outside."""

import http.client
import pathlib
import re
import signal
import subprocess
import tempfile
import time


class Server:
    """Use as a context manager; `port` is where it listens, `log()` what it said."""

    def __init__(self, program: str, root: str, *flags: str):
        self._log = tempfile.NamedTemporaryFile(prefix="pagoda-", suffix=".log")
        self._data = tempfile.TemporaryDirectory(prefix="pagoda-")
        model = str(pathlib.Path(root) / "models" / "nano")
        command = [program, "serve", "--model", model, "--port", "0", "--kv-cache-memory", "64MiB", "--data",
                   self._data.name, *flags]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        self.port = self._wait_for_port()

    def _wait_for_port(self) -> int:
        for _ in range(600):
            found = re.search(r"serving .* on http://[^:]+:(\d+)", self.log())
            if found:
                return int(found.group(1))
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"the server did not start:\n{self.log()}")

    def log(self) -> str:
        return pathlib.Path(self._log.name).read_text()

    def request(self, method: str, path: str, body: str | bytes | None = None, **headers: str):
        """(status, headers, body) of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        encoded = body.encode() if isinstance(body, str) else body
        connection.request(method, path, encoded, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        answer = response.status, dict(response.getheaders()), response.read().decode()
        connection.close()
        return answer

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        self.stop()
