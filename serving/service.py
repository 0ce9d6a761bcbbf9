"""The REST service, which `python -m serving` or `bentoml serve serving.service:TaggerService` starts.

    POST /v1/tag          {"paragraphs": [text, …]}
    POST /v1/tag_article  {"text": …, "format": "text" | "markdown" | "html", "name": …}
    GET  /v1/topics  /v1/model  /docs.json  /livez  /readyz  /metrics

Answers are paragraph records (see `serving.records`); errors, limits and headers are
the business of `serving.guard`, callers that of `serving.access`, figures that of
`serving.figures`. DUANBIAO_MODEL names a model to hold instead of following
`models/current`.
"""

import asyncio
import contextvars
import functools
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, ParamSpec, TypeVar, cast

from models import store  # before bentoml, which reads the variables that this sets

# isort: split
import bentoml
import click

# Not public, but the only way to stand outside BentoML's metrics (one series for each path
# that somebody tries), its time limit and its own error answers; `add_asgi_middleware` is inside.
from _bentoml_sdk import Service
from bentoml._internal.utils.analytics import usage_stats
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from models.tagger import Encoded, Tagger, Tags
from serving.access import read_key, warning_of
from serving.connections import bound_connections
from serving.figures import count_tags, count_wait
from serving.guard import CLIENT_GONE, GETS, NOTES, POSTS, Guard, log_crash
from serving.limits import read_limits
from serving.messages import TagAnswer, TagArticleRequest, TagRequest, check_size
from serving.openapi import complete
from serving.records import Unlabelled, make_records, paragraphs_of, taken_as_is
from serving.refusals import Refusal, too_large
from serving.watch import ModelInUse

# Not public either: `bentoml serve` has looked up whether it may report its use, and kept the
# answer, before the import of `models.store` could say no.
usage_stats.do_not_track.cache_clear()

# The server's loggers are at WARNING, except BentoML's own.
_log = logging.getLogger("duanbiao")
_log.setLevel(logging.INFO)
# What these have to say about a page may repeat its text.
for name in ("trafilatura", "htmldate"):
    logging.getLogger(name).setLevel(logging.CRITICAL)

LIMITS = read_limits(os.environ)
KEY = read_key(os.environ)
# Requests tagged at the same time: a short one need not wait until a long one is through, and windows of several
# go through the network together.
JOBS = 16
# Windows between two looks at whether anybody still waits for the answer.
WINDOWS_AT_ONCE = 16
RETRY_SECONDS = 5


class _Abandoned(Exception):
    """Nobody waits for this answer any more."""


class GuardedService(Service[Any]):  # type: ignore[misc]
    """A BentoML service behind the guard."""

    def to_asgi(self, is_main: bool = True) -> Guard:
        """Return the application that the server, about to be started, runs."""
        bound_connections(LIMITS)
        return Guard(super().to_asgi(is_main), LIMITS, KEY)


Answer = TypeVar("Answer")
Parameters = ParamSpec("Parameters")


def _answers_refusals(endpoint: Callable[Parameters, Awaitable[Answer]]) -> Callable[Parameters, Awaitable[Answer]]:
    """Make an endpoint answer its refusals itself.

    An exception that reached BentoML would be logged with its text and answered in another form.
    """

    @functools.wraps(endpoint)
    async def answer(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Answer:
        try:
            return await endpoint(*args, **kwargs)
        except Refusal as error:
            refusal = error
        except Exception as error:
            log_crash(error)
            refusal = Refusal(500, "internal_error", "the service failed; its log says where")
        NOTES.get().refusal = refusal
        # BentoML sends a response as it is; only the declared type knows nothing of it.
        return cast(Answer, JSONResponse(refusal.body(), refusal.status, refusal.headers))

    return answer


def _no_model() -> Refusal:
    message = "no model has been loaded yet; the service's log says why"
    return Refusal(503, "no_model", message, retry_after=RETRY_SECONDS)


def _tagger_of(request: Request) -> Tagger | None:
    return cast(ModelInUse, request.app.state.model).tagger


async def _list_routes(_: Request) -> JSONResponse:
    return JSONResponse({"service": "duanbiao", "post": list(POSTS), "get": list(GETS)})


def _about(describe: Callable[[Tagger], dict[str, Any]]) -> Callable[[Request], Awaitable[JSONResponse]]:
    """Make a page about the model in use."""

    async def page(request: Request) -> JSONResponse:
        tagger = _tagger_of(request)
        if tagger is None:
            refusal = NOTES.get().refusal = _no_model()
            return JSONResponse(refusal.body(), refusal.status, refusal.headers)
        return JSONResponse(describe(tagger))

    return page


def _describe_topics(tagger: Tagger) -> dict[str, Any]:
    fields = ("id", "name", "definition", "threshold", "band")
    topics = [{field: getattr(topic, field) for field in fields} for topic in tagger.artifact.topics]
    return {"model": tagger.artifact.version, "topics": topics}


def _describe_model(tagger: Tagger) -> dict[str, Any]:
    artifact = tagger.artifact
    fields = ("version", "base", "created", "max_length", "data", "metrics", "settings", "libraries")
    described = {field: getattr(artifact, field) for field in fields}
    return {**described, "topics": [topic.id for topic in artifact.topics], "limits": asdict(LIMITS)}


@functools.cache
def _api_description() -> dict[str, Any]:
    return complete(TaggerService.openapi_spec.asdict(), with_key=KEY is not None)  # type: ignore[attr-defined]


async def _describe_api(_: Request) -> JSONResponse:
    return JSONResponse(_api_description())


# BentoML's APIs are POST only, and its own "/" loads scripts from elsewhere.
pages = Starlette(
    routes=[
        Route("/", _list_routes),
        Route("/v1/topics", _about(_describe_topics)),
        Route("/v1/model", _about(_describe_model)),
        Route("/docs.json", _describe_api),
    ]
)


@bentoml.asgi_app(pages, path="/")
@bentoml.service(
    name="duanbiao",
    service_class=GuardedService,
    workers=1,
    # Where `--host` says nothing. BentoML's own default is the whole network.
    http={"host": "127.0.0.1"},
    # A second net: the guard and `_work` are to answer long before.
    traffic={"timeout": LIMITS.body_seconds + LIMITS.work_seconds + 30},
    logging={"access": {"enabled": False}},
)
class TaggerService:
    """Tags paragraphs of Chinese news by topic."""

    def __init__(self) -> None:
        self.model = ModelInUse(store.CURRENT, os.environ.get("DUANBIAO_MODEL"))
        self._jobs = ThreadPoolExecutor(JOBS, thread_name_prefix="job")
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    def warn() -> None:
        """Warn of an open door, once, where the address is known: in the process of the command line."""
        context = click.get_current_context(silent=True)
        host = context.params.get("host") if context else None
        warning = warning_of(host, KEY) if host else None
        if warning:
            _log.warning(warning)

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Begin to follow the model; the probes are answered meanwhile."""
        pages.state.model = self.model
        self._following = asyncio.create_task(self.model.follow(self._loader))
        # Once the model has its turn, so that the first page need not wait for an import.
        await asyncio.sleep(0)
        self._loader.submit(paragraphs_of, "<p>预热</p>", "html", "")

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Stop following, and drop work that has not begun."""
        self._following.cancel()
        for pool in (self._jobs, self._loader):
            pool.shutdown(wait=False, cancel_futures=True)

    async def __is_ready__(self) -> bool:
        return self.model.tagger is not None

    @bentoml.api(route="/v1/tag")  # type: ignore[untyped-decorator]
    @_answers_refusals
    async def tag(self, request: TagRequest, /) -> TagAnswer:
        """Tag paragraphs, taken as they are."""
        check_size(request.paragraphs, LIMITS)
        paragraphs = [
            taken_as_is(f"request#{index}", text, index, "request") for index, text in enumerate(request.paragraphs)
        ]
        return await self._work(lambda: paragraphs)

    @bentoml.api(route="/v1/tag_article")  # type: ignore[untyped-decorator]
    @_answers_refusals
    async def tag_article(self, request: TagArticleRequest, /) -> TagAnswer:
        """Cut an article into paragraphs and tag them."""
        check_size([request.text], LIMITS)
        return await self._work(lambda: _read_article(request))

    async def _work(self, read: Callable[[], list[Unlabelled]]) -> TagAnswer:
        """Tag the paragraphs that `read` returns, off the event loop and within the time limit.

        Raises:
            Refusal: 503, there is no model or no time; or what `read` and `_tag` raise.
        """
        tagger, abandoned = self.model.tagger, NOTES.get().abandoned
        if tagger is None:
            raise _no_model()
        context = contextvars.copy_context()
        work = asyncio.get_running_loop().run_in_executor(self._jobs, context.run, _tag, tagger, read, abandoned)
        try:
            return await asyncio.wait_for(work, LIMITS.work_seconds)
        except TimeoutError:
            message = f"not done within {LIMITS.work_seconds} s, waiting included; send less at once or try again"
            raise Refusal(503, "too_slow", message, retry_after=RETRY_SECONDS, allowed=LIMITS.work_seconds) from None
        except _Abandoned:
            raise Refusal(CLIENT_GONE, "client_gone", "nobody waits for the answer") from None
        finally:
            abandoned.set()


def _read_article(request: TagArticleRequest) -> list[Unlabelled]:
    """Cut the article into paragraphs.

    Raises:
        Refusal: 422, there is no paragraph or the markup cannot be read; 413, there are too many.
    """
    try:
        paragraphs = paragraphs_of(request.text, request.format, request.name)
    except (ValueError, RecursionError, AssertionError) as error:
        # HTML parsers have many ways to give up on a page; none of them is the service's failure.
        log_crash(error)
        message = f"text: cannot be read as {request.format}; send it as another format, or its paragraphs to /v1/tag"
        raise Refusal(422, "unreadable_article", message, where="text") from None
    if not paragraphs:
        raise Refusal(422, "no_paragraphs", "text: no paragraph of at least 10 Chinese characters", where="text")
    check_size([paragraph.text for paragraph in paragraphs], LIMITS)
    return paragraphs


def _tag(tagger: Tagger, read: Callable[[], list[Unlabelled]], abandoned: threading.Event) -> TagAnswer:
    """Tag the paragraphs that `read` returns, a few at a time.

    Raises:
        Refusal: 413, they have too many tokens.
        _Abandoned: nobody waits any more.
    """
    if abandoned.is_set():
        raise _Abandoned
    version = tagger.artifact.version
    count_wait(version, time.perf_counter() - NOTES.get().arrived)
    paragraphs = read()
    begun = time.perf_counter()
    encoded = tagger.encode([paragraph.text for paragraph in paragraphs])
    tokens = sum(paragraph.n_tokens for paragraph in encoded)
    if tokens > LIMITS.tokens:
        raise too_large("tokens", LIMITS.tokens, tokens)
    tags: list[Tags] = []
    for few in _portions(encoded):
        if abandoned.is_set():
            raise _Abandoned
        tags += tagger.decide(few)
    count_tags(version, encoded, tags, time.perf_counter() - begun)
    NOTES.get().counts.update(paragraphs=len(paragraphs), tokens=tokens)
    return TagAnswer.model_validate({"model": version, "paragraphs": make_records(paragraphs, tags, version)})


def _portions(encoded: Sequence[Encoded]) -> Iterator[list[Encoded]]:
    """Split into portions of at most `WINDOWS_AT_ONCE` windows, of one paragraph at least."""
    portion: list[Encoded] = []
    for paragraph in encoded:
        if portion and sum(len(one.windows) for one in [*portion, paragraph]) > WINDOWS_AT_ONCE:
            yield portion
            portion = []
        portion.append(paragraph)
    if portion:
        yield portion
