"""The process that watches the one that serves."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_server import ROOT, Server, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tiny_artifact: Path, tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "home", DUANBIAO_MODEL=str(tiny_artifact))
    server.wait_for("/readyz")
    yield server
    server.stop()


def start_with(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Start a service that is to end by itself."""
    command = [sys.executable, "-m", "serving", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | variables)


def test_it_says_where_it_listens_and_what_it_logs_is_not_lost(server: Server) -> None:
    assert f"listening on http://127.0.0.1:{server.port}" in server.log()
    assert "is in use" in server.log()


def test_a_killed_process_is_replaced_and_callers_are_kept_waiting(server: Server) -> None:
    killed = server.worker()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: server.worker() not in (0, killed), "another process serves", server.log)
    # The address is listened on all the time, so a new caller is not turned away.
    server.wait_for("/readyz")
    assert "has ended (signal 9) and is replaced" in server.log()
    assert server.tag("安全生产").status_code == 200


def test_the_one_that_serves_does_not_outlive_the_one_that_watches(server: Server) -> None:
    worker = server.worker()
    server.process.kill()
    wait_until(lambda: not Path(f"/proc/{worker}").exists(), "the worker has ended", server.log)
    with socket.create_server(("127.0.0.1", server.port)):
        pass


def test_a_process_that_was_stopped_for_a_while_goes_on(server: Server) -> None:
    worker = server.worker()
    for number in (signal.SIGSTOP, signal.SIGCONT):
        os.kill(worker, number)
        time.sleep(0.1)
    assert server.tag("安全生产").status_code == 200
    assert server.worker() == worker and "replaced" not in server.log()
    server.process.terminate()
    assert server.process.wait(20) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_leaves_nothing(server: Server, number: signal.Signals) -> None:
    family = server.processes()
    assert len(family) == 2
    server.process.send_signal(number)
    assert server.process.wait(20) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in family)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "nowhere"], "cannot listen on nowhere, port 3000: 'nowhere' does not appear to be an IPv4 or IPv6"),
        (["--port", "70000"], "cannot listen on 127.0.0.1, port 70000"),
    ],
)
def test_an_impossible_address_is_refused_before_anything_is_loaded(arguments: list[str], said: str) -> None:
    found = start_with(*arguments)
    assert found.returncode == 1
    assert said in found.stderr and "Traceback" not in found.stderr


def test_a_taken_port_is_refused(server: Server) -> None:
    found = start_with("--port", str(server.port))
    assert found.returncode == 1 and "ddress already in use" in found.stderr


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DUANBIAO_DEVICE", "gpu", "DUANBIAO_DEVICE: 'gpu' is none of auto, cpu, cuda\n"),
        ("DUANBIAO_MAX_TOKENS", "many", "DUANBIAO_MAX_TOKENS: 'many' is not a whole number"),
        ("DUANBIAO_API_KEY", "short", "DUANBIAO_API_KEY: has 5 characters"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_at_once(variable: str, value: str, said: str) -> None:
    found = start_with("--port", "0", **{variable: value})
    assert found.returncode == 1
    assert found.stderr.startswith(said) and "Traceback" not in found.stderr and not found.stdout


def test_a_service_that_cannot_be_set_up_ends_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "bentoml.py").write_text("raise ImportError('half installed')\n", encoding="utf-8")
    found = start_with("--port", "0", PYTHONPATH=str(tmp_path))
    assert found.returncode == 1
    assert "half installed" in found.stderr
    assert found.stderr.endswith("the service cannot be set up; the lines above say why\n")
