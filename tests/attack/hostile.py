"""Clients that hold connections and never finish what they began."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep

from running_server import Server

from attack.bounds import Finding
from attack.load import Truth, closed_loop, lasting, run

HEAD = b"POST /v1/tag HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"
DRIP_SECONDS = 0.5
SLACK_SECONDS = 15
"""What a busy machine may take beyond a limit."""
HONEST = 2
"""Clients that ask properly meanwhile."""


@contextmanager
def crowd(server: Server, count: int, first: bytes = b"", drip: bytes = b"") -> Iterator[None]:
    """Hold connections: each sends `first`, then a byte of `drip` now and then, and reads nothing."""
    connections = []
    enough = threading.Event()

    def dribble() -> None:
        for byte in drip:
            for connection in connections:
                with suppress(OSError):
                    connection.send(bytes([byte]))
            if enough.wait(DRIP_SECONDS):
                return

    thread = threading.Thread(target=dribble)
    try:
        for _ in range(count):
            connection = socket.socket()
            connections.append(connection)
            # Little room, so that an answer that is not taken waits in the service, not here.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(30)
            connection.connect(("127.0.0.1", server.port))
            connection.setblocking(False)
            with suppress(OSError):
                connection.send(first)
        thread.start()
        yield
    finally:
        enough.set()
        if thread.ident:
            thread.join()
        for connection in connections:
            connection.close()


def hold(server: Server, truth: Truth, name: str, bound: int, statuses: set[int], count: int, **sent: bytes) -> Finding:
    """Hold connections until the service has closed them all; honest clients ask meanwhile."""
    before, started = server.open_files(), monotonic()
    with crowd(server, count, **sent):
        end = started + bound + SLACK_SECONDS

        def held() -> bool:
            return monotonic() < started + 1 or (server.open_files() > before + HONEST and monotonic() < end)

        honest = run(closed_loop(str(server.http.base_url), truth, HONEST, held))
        seconds = monotonic() - started
        # The honest clients have just closed theirs.
        sleep(1)
        left = max(server.open_files() - before, 0)
    good = not honest.broken and not honest.wrong and set(honest.statuses) <= statuses and not left
    others = f"all closed after {seconds:.0f} s" if not left else f"{left} still open after {seconds:.0f} s"
    allowed = " or ".join(str(status) for status in sorted(statuses))
    return Finding(
        f"{count} {name}", f"{others}; honest clients {honest}", f"{bound + SLACK_SECONDS} s; {allowed}", good
    )


def hang_up(server: Server, truth: Truth, count: int) -> Finding:
    """Send whole and half requests and close at once, again and again; then ask properly."""
    text = ('{"paragraphs": ["' + "安" * 300 + '"]}').encode().ljust(1000)
    for number in range(count):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(HEAD + b"\r\n" + text[: (0, 500, 1000)[number % 3]])
    started = monotonic()
    honest = run(closed_loop(str(server.http.base_url), truth, HONEST, lasting(3)))
    good = not honest.broken and not honest.wrong and set(honest.statuses) <= {200, 429} and honest.statuses[200] > 0
    measured = f"honest clients {honest} in the next {monotonic() - started:.0f} s"
    return Finding(f"{count} clients hang up", measured, "200 or 429", good)


def flood(server: Server, truth: Truth, limit: int) -> Finding:
    """Open twice as many connections as are allowed."""
    before = server.open_files()
    with crowd(server, 2 * limit):
        honest = run(closed_loop(str(server.http.base_url), truth, HONEST, lasting(3)))
        held = server.open_files() - before
    good = held <= limit and not honest.wrong and set(honest.statuses) == {200}
    return Finding(
        f"{2 * limit} connections at once", f"{held} held; honest clients {honest}", f"{limit} held; 200", good
    )


def attack(server: Server, truth: Truth) -> Iterator[Finding]:
    """Try every kind of hostile client, by the limits that the service tells."""
    limits = server.http.get("/v1/model").json()["limits"]
    many = limits["connections"] * 3 // 4
    drip = b"X-Slow: " + b"x" * 1000
    yield hold(server, truth, "connections that send nothing", limits["header_seconds"], {200}, many)
    yield hold(server, truth, "slow heads", limits["header_seconds"], {200}, many, first=HEAD[:-2], drip=drip)
    second = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" + HEAD[:-2]
    yield hold(server, truth, "slow second heads", limits["header_seconds"], {200}, many, first=second, drip=drip)
    slow = {"first": HEAD + b"\r\n", "drip": drip}
    yield hold(server, truth, "slow bodies", limits["body_seconds"], {200, 429}, 2 * limits["requests"], **slow)
    greedy = b"GET /docs.json HTTP/1.1\r\nHost: x\r\n\r\n" * 4000
    # The answers first have to fill what the operating system holds of them.
    seconds = limits["answer_seconds"] + SLACK_SECONDS
    yield hold(server, truth, "clients that take no answer", seconds, {200}, 3, first=greedy)
    yield hang_up(server, truth, 300)
    yield flood(server, truth, limits["connections"])
