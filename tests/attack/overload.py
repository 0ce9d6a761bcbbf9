"""Ten times as many requests as the service can answer."""

from collections.abc import Iterator
from time import monotonic

from running_server import Server

from attack.bounds import Finding
from attack.load import Truth, closed_loop, lasting, open_loop, run

CLIENTS = 8
GROWTH = 1.2
"""Memory after the overload over memory before, at most."""
RECOVERY = 0.8
"""Right answers a second after the overload over those before, at least."""
RECOVERY_SECONDS = 30
"""Seconds after the overload in which that has to be so."""


def attack(server: Server, truth: Truth, seconds: float, measure_seconds: float = 10) -> Iterator[Finding]:
    """Measure the rate that the service sustains, send ten times as much, and measure again."""
    url = str(server.http.base_url)
    run(closed_loop(url, truth, CLIENTS, lasting(measure_seconds)))
    warm = server.memory()
    before = run(closed_loop(url, truth, CLIENTS, lasting(measure_seconds)))
    flood = run(open_loop(url, truth, 10 * before.rate, seconds))
    ended = monotonic()
    while True:
        after = run(closed_loop(url, truth, CLIENTS, lasting(measure_seconds / 2)))
        back = monotonic() - ended
        if after.rate >= RECOVERY * before.rate or after.wrong or back > RECOVERY_SECONDS:
            break
    end = server.memory()
    sent = flood.statuses.total() + flood.broken.total()
    load = sent / flood.seconds / before.rate
    yield Finding(
        f"overload: {load:.1f} times {before.rate:.0f} requests/s, {seconds:.0f} s",
        str(flood),
        "200, 429, 503 only",
        not flood.broken and set(flood.statuses) <= {200, 429, 503} and load > 2,
    )
    yield Finding("overload: 429 and 503 without Retry-After", f"{flood.without_retry:,}", "0", not flood.without_retry)
    wrong = before.wrong + flood.wrong + after.wrong
    right = before.statuses[200] + flood.statuses[200] + after.statuses[200] - wrong
    yield Finding(
        "overload: answers unlike the offline ones", f"{wrong} of {right + wrong:,}", "0", not wrong and right > 0
    )
    rate = flood.rate / before.rate
    yield Finding("overload: right answers/s meanwhile", f"{flood.rate:.1f} ({rate:.0%})", "more than none", rate > 0)
    growth = end / warm
    yield Finding("overload: memory", f"{warm >> 20} MB, then {end >> 20} MB", "+20%", growth <= GROWTH)
    yield Finding(
        "overload: right answers/s before and after",
        f"{before.rate:.1f}, then {after.rate:.1f} within {back:.0f} s",
        f"{RECOVERY:.0%} within {RECOVERY_SECONDS} s",
        after.rate >= RECOVERY * before.rate,
    )
