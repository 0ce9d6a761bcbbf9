"""A real server process on a free port, for the tests that ask the service from outside."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parent.parent
STARTS_WITHIN = 60
"""Seconds; no test asserts it, it only ends a hang."""


class Server:
    """A running service."""

    def __init__(self, home: Path, host: str | None = "127.0.0.1", **variables: str) -> None:
        """Start it; with no `host` it is told none."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        home.mkdir(parents=True)
        self.log_file = home / "log"
        command = [sys.executable, "-m", "serving"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DUANBIAO_")}
        environment |= {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", **variables}
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), *(["--host", host] if host else [])],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)

    def wait_for(self, path: str) -> None:
        """Wait until a page answers 200."""
        wait_until(lambda: self._answers(path), f"{path} is 200; the log:\n", self.log)

    def _answers(self, path: str) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            return self.http.get(path).status_code == 200
        except httpx.TransportError:
            return False

    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def processes(self) -> list[int]:
        """Return the process ids of the server and of all below it."""
        found = [self.process.pid]
        for pid in found:
            # A process, or a thread of it, may end while it is looked at.
            with suppress(OSError):
                for children in Path(f"/proc/{pid}/task").glob("*/children"):
                    found += [int(child) for child in children.read_text(encoding="ascii").split()]
        return found

    def worker(self) -> int:
        """Return the process id of the one that answers, or 0 while there is none."""
        return next(iter(self.processes()[1:]), 0)

    def memory(self) -> int:
        """Return the memory that the worker holds now, in bytes."""
        status = Path(f"/proc/{self.worker()}/status").read_text(encoding="utf-8")
        return 1024 * int(status.split("VmRSS:")[1].split()[0])

    def open_files(self) -> int:
        """Return how many files and connections the worker has open."""
        return len(list(Path(f"/proc/{self.worker()}/fd").iterdir()))

    def peak_memory(self) -> int:
        """Return the largest memory that any process of the server has held, in bytes."""
        statuses = [Path(f"/proc/{pid}/status").read_text(encoding="utf-8") for pid in self.processes()]
        return 1024 * max(int(status.split("VmHWM:")[1].split()[0]) for status in statuses)

    def tag(self, *paragraphs: str) -> httpx.Response:
        return self.http.post("/v1/tag", json={"paragraphs": paragraphs})

    def send_raw(self, head: str, body: bytes = b"") -> socket.socket:
        """Open a connection and send a request's head and the beginning of its body."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        return connection

    def stop(self) -> None:
        self.http.close()
        family = self.processes() if self.process.poll() is None else []
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            for pid in family:
                os.kill(pid, signal.SIGKILL)


def wait_until(holds: Callable[[], bool], what: str, details: Callable[[], str] = str) -> None:
    """Wait until something holds, fail after `STARTS_WITHIN` seconds."""
    end = time.monotonic() + STARTS_WITHIN
    while not holds():
        if time.monotonic() > end:
            pytest.fail(f"waited in vain until {what}{details()}")
        time.sleep(0.05)
