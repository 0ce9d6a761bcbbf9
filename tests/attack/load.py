"""Load on a service, and whether each answer is the one that the model gives offline."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from models.tagger import Tagger

TOLERANCE = 2e-3
"""Between a score of the service and one that was computed offline: what goes through the network together may
change the last bits of a bfloat16."""
MANY = 400
"""Requests under way at most, each on a connection: fewer than the service keeps open, which is attacked by itself."""


class Truth:
    """What a model answers offline to a few texts."""

    def __init__(self, model: Path, texts: Sequence[str]) -> None:
        tagger = Tagger(model, threads=1)
        self.texts = list(texts)
        self.version = tagger.artifact.version
        self._tags = dict(zip(self.texts, tagger.tag(self.texts), strict=True))

    def agrees(self, text: str, content: Any) -> bool:
        """Whether the answer to a request for this one text is the offline one."""
        (record,) = content["paragraphs"]
        tags = self._tags[text]
        same = record["text"] == text and record["topics"] == list(tags.topics) and record["answer"] == tags.answer
        scores = record["scores"]
        near = all(abs(scores.get(topic, 9) - score) <= TOLERANCE for topic, score in tags.scores.items())
        return same and near and len(scores) == len(tags.scores)


@dataclass
class Tally:
    """What came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    """Answers 200 that are not the offline one."""
    without_retry: int = 0
    """429 and 503 without Retry-After."""
    broken: Counter[str] = field(default_factory=Counter)
    """Connections that ended without an answer, by kind of error."""
    seconds: float = 0.0
    enough: threading.Event = field(default_factory=threading.Event)
    """Set it to let the clients of `under_load` end, each with the answer to its last request."""

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return (self.statuses[200] - self.wrong) / self.seconds

    def __str__(self) -> str:
        kinds = [f"{count:,} x {status}" for status, count in sorted(self.statuses.items())]
        return ", ".join([*kinds, *(f"{count:,} {kind}" for kind, count in self.broken.items())]) or "nothing"


async def ask(http: aiohttp.ClientSession, truth: Truth, number: int, tally: Tally) -> None:
    """Send one request and count what comes back."""
    text = truth.texts[number % len(truth.texts)]
    try:
        async with http.post("/v1/tag", json={"paragraphs": [text]}) as answer:
            content = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        tally.broken[type(error).__name__] += 1
        return
    tally.statuses[answer.status] += 1
    if answer.status == 200:
        tally.wrong += not truth.agrees(text, content)
    elif answer.status in (429, 503):
        tally.without_retry += "Retry-After" not in answer.headers


def _session(url: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        url, connector=aiohttp.TCPConnector(limit=MANY), timeout=aiohttp.ClientTimeout(total=120)
    )


async def closed_loop(
    url: str, truth: Truth, clients: int, goes_on: Callable[[], bool], tally: Tally | None = None
) -> Tally:
    """Let each client send its next request when it has its answer, for as long as `goes_on`."""
    tally = tally or Tally()
    async with _session(url) as http:

        async def client(first: int) -> None:
            number = first
            while goes_on():
                answered = tally.statuses[200]
                await ask(http, truth, number, tally)
                number += clients
                if tally.statuses[200] == answered:
                    await asyncio.sleep(0.1)

        started = time.monotonic()
        await asyncio.gather(*map(client, range(clients)))
        tally.seconds = time.monotonic() - started
    return tally


def lasting(seconds: float) -> Callable[[], bool]:
    """Return a condition that holds for this long from now."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end


async def open_loop(url: str, truth: Truth, rate: float, seconds: float) -> Tally:
    """Send `rate` requests a second, whatever comes back; past `MANY` under way, none are added."""
    tally, under_way = Tally(), set[asyncio.Task[None]]()
    started, number = time.monotonic(), 0
    async with _session(url) as http:
        while (passed := time.monotonic() - started) < seconds:
            for _ in range(min(int(passed * rate) - number, MANY - len(under_way))):
                task = asyncio.create_task(ask(http, truth, number, tally))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                number += 1
            await asyncio.sleep(0.01)
        tally.seconds = time.monotonic() - started
        await asyncio.gather(*under_way)
    return tally


@contextmanager
def under_load(url: str, truth: Truth, clients: int = 8) -> Iterator[Tally]:
    """Keep a closed loop going; its tally can be read meanwhile, and is whole at the end."""
    tally = Tally()
    loop = closed_loop(url, truth, clients, lambda: not tally.enough.is_set(), tally)
    thread = threading.Thread(target=run, args=(loop,))
    thread.start()
    try:
        yield tally
    finally:
        tally.enough.set()
        thread.join()


def run(what: Awaitable[Tally]) -> Tally:
    """Run a load from ordinary code."""

    async def go() -> Tally:
        return await what

    return asyncio.run(go())
