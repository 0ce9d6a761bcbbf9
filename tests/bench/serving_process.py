"""A server in a process of its own."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.apart import pinned

STARTS_WITHIN = 120
"""Seconds until it must answer."""


@contextmanager
def serving(
    command: Sequence[str], ready: str, log_file: Path, variables: Mapping[str, str], cores: Collection[int]
) -> Iterator[str]:
    """Start a server, wait until it answers 200 at the path `ready`, yield its address, end it.

    Args:
        command: the command line; the port is added to it.
        ready: path of a page.
        log_file: takes what the server prints.
        variables: added to its environment.
        cores: those that it may use.

    Raises:
        TimeoutError: it ended, or did not answer in time; the message has the end of its log.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log_file.open("wb") as log, pinned(cores):
        process = subprocess.Popen(
            [*command, str(port)],
            env=os.environ | variables,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + STARTS_WITHIN
        while not _answers(address + ready):
            if process.poll() is not None or time.monotonic() > end:
                last = log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
                raise TimeoutError(f"the server did not come up: {' '.join(last)}")
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        # Whatever of its family it has left behind.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
