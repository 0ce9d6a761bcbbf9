"""Start the REST service: `make serve`, or `python -m serving [--host ADDRESS] [--port PORT]`.

Two processes: one serves, and one, which stays small, watches it and replaces it when it ends.
What serves is BentoML's own worker, as with `bentoml serve`, which runs the same service.
"""

import argparse
import ctypes
import importlib
import ipaddress
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from models.device import refuse_missing_device
from serving.access import read_key, warning_of
from serving.limits import read_limits

SERVICE = "serving.service:TaggerService"
ENDS = {signal.SIGTERM, signal.SIGINT}
# A process that has lived for less is replaced after a pause: one that always fails should not keep a core busy.
SHORT_LIFE_SECONDS, PAUSE_SECONDS = 5.0, 1.0
# Exit status of a process that could not even be set up: another one could not either.
NOT_SET_UP = 70
# Of `prctl`: the signal that this process gets when the one that it was copied from ends.
PR_SET_PDEATHSIG = 1


def main() -> int:
    """Serve until a signal ends it. Exit status 1 if the address or a setting cannot be used, or the service not set up."""
    parser = argparse.ArgumentParser(prog="python -m serving", description="Start the REST service.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine)")
    parser.add_argument("--port", type=int, default=3000, help="port to listen on (default: 3000)")
    options = parser.parse_args()
    try:
        refuse_missing_device(os.environ)
        limits, key = read_limits(os.environ), read_key(os.environ)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        listener = listen(options.host, options.port)
    except (OSError, OverflowError, ValueError) as error:
        print(f"cannot listen on {options.host}, port {options.port}: {error}; give others", file=sys.stderr)
        return 1
    with listener, tempfile.TemporaryDirectory(prefix="duanbiao-metrics-") as metrics:
        # Where the figures of a process that has been replaced are still counted. Read at the import.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics
        announce(options.host, options.port, warning_of(options.host, key))
        # What is under way when a signal comes is finished: no request is allowed longer.
        longest = limits.body_seconds + limits.work_seconds + limits.answer_seconds
        return keep_running(lambda: work(listener), longest)


def announce(host: str, port: int, warning: str | None) -> None:
    """Print where the service listens, and what to warn of."""
    print(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}; Ctrl+C ends it", flush=True)
    if warning:
        print(f"warning: {warning}", file=sys.stderr, flush=True)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        OSError, OverflowError, ValueError: that is no address of this machine, or no port, or it is taken.
    """
    family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def work(listener: socket.socket) -> None:
    """Run BentoML's worker, which answers what comes to `listener`, until a signal ends it.

    Raises:
        SystemExit: `NOT_SET_UP`, the service cannot be imported; the reason is printed.
    """
    try:
        # Not before: the process that watches needs none of it.
        importlib.import_module(SERVICE.partition(":")[0])
        from _bentoml_impl.worker.service import main as worker
        from bentoml._internal.log import SERVER_LOGGING_CONFIG
    except Exception:
        traceback.print_exc()
        sys.exit(NOT_SET_UP)
    # The worker sets up the log after the import, and would silence what has been imported.
    SERVER_LOGGING_CONFIG["disable_existing_loggers"] = False
    descriptor = str(listener.detach())
    worker.main([SERVICE, "--fd", descriptor, "--worker-id", "1"], standalone_mode=False)


def keep_running(run: Callable[[], None], grace: float) -> int:
    """Run `run` in a copy of this process, and in a new one each time it ends, until a signal ends this one.

    Args:
        run: ends when its process gets SIGTERM.
        grace: seconds that it may take to; then its process is killed.

    Returns:
        Exit status: 0 after a signal, 1 if the service cannot be set up.
    """
    waited_for = {*ENDS, signal.SIGCHLD}
    # They wait until they are asked for, so none comes at a bad moment.
    signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    while True:
        begun, child = time.monotonic(), os.fork()
        if not child:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, waited_for)
            _run_and_end(run)
        status = _wait(child, waited_for)
        if status is None:
            _end(child, grace)
            return 0
        if os.waitstatus_to_exitcode(status) == NOT_SET_UP:
            print("the service cannot be set up; the lines above say why", file=sys.stderr, flush=True)
            return 1
        print(f"the process that serves has ended ({_describe(status)}) and is replaced", file=sys.stderr, flush=True)
        if time.monotonic() - begun < SHORT_LIFE_SECONDS:
            time.sleep(PAUSE_SECONDS)


def _run_and_end(run: Callable[[], None]) -> NoReturn:
    """Run, and end this process without what its parent is to clean up."""
    status = 1
    try:
        run()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stderr.flush()
        os._exit(status)


def _wait(child: int, waited_for: set[signal.Signals]) -> int | None:
    """Wait until the child ends and return its status, or until a signal is to end this process and return None."""
    while signal.sigwait(waited_for) not in ENDS:
        # A child that was only stopped for a while is reported as well.
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
    return None


def _end(child: int, grace: float) -> None:
    os.kill(child, signal.SIGTERM)
    last = time.monotonic() + grace
    while not os.waitpid(child, os.WNOHANG)[0]:
        left = last - time.monotonic()
        if left < 0:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return
        signal.sigtimedwait({signal.SIGCHLD}, left)


def _describe(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else f"status {code}"


if __name__ == "__main__":
    sys.exit(main())
