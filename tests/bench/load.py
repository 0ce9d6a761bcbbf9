"""Clients that each send their next request when they have their answer."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp
import numpy as np

WARM_UP = 0.2
"""Part of the measurement's length that goes before it."""
LONGEST = 120
"""Seconds for a request, and for a measurement that waits for more answers, at most."""
PAUSE = 0.05
"""Seconds that a client waits after an error."""
STEP = 0.01
"""Seconds between two looks at what has come back."""


@dataclass
class Load:
    """What came back."""

    latencies: list[float] = field(default_factory=list)
    """Seconds of each request that was answered 200."""
    errors: int = 0
    """Requests with another answer, or none."""
    seconds: float = 0.0
    client_share: float = 0.0
    """The client's own use of a core, 0 to 1."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        """Return the seconds that this share of the requests stayed below."""
        return float(np.quantile(self.latencies, share)) if self.latencies else float("nan")


def closed_loop(url: str, bodies: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Send the bodies as JSON, in order and round and round, and measure once there is an answer.

    Lasts longer than `seconds`, up to `LONGEST`, until there are as many answers as clients.
    """
    return asyncio.run(_measure(url, bodies, clients, seconds))


async def _measure(url: str, bodies: Sequence[bytes], clients: int, seconds: float) -> Load:
    headers = {"Content-Type": "application/json"}
    load, requests = Load(), itertools.cycle(bodies)
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=LONGEST)) as http:

        async def client() -> None:
            while True:
                asked = time.perf_counter()
                if await _answered(http, url, next(requests)):
                    load.latencies.append(time.perf_counter() - asked)
                else:
                    load.errors += 1
                    await asyncio.sleep(PAUSE)

        tasks = [asyncio.create_task(client()) for _ in range(clients)]
        await _until(load, WARM_UP * seconds, 1)
        load.latencies.clear()
        load.errors = 0
        begun, own = time.perf_counter(), time.process_time()
        await _until(load, seconds, clients)
        load.seconds = time.perf_counter() - begun
        load.client_share = (time.process_time() - own) / load.seconds
        # What is under way is dropped: at the end of the measurement the load is still whole.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return load


async def _until(load: Load, seconds: float, answers: int) -> None:
    begun = time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds or (
        len(load.latencies) + load.errors < answers and passed < LONGEST
    ):
        await asyncio.sleep(STEP)


async def _answered(http: aiohttp.ClientSession, url: str, body: bytes) -> bool:
    try:
        async with http.post(url, data=body) as answer:
            await answer.read()
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
