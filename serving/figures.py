"""The service's own figures in /metrics: what was tagged, by version of the model, and what was refused.

BentoML counts and times the requests that reach it (`bentoml_service_request_*`); what the
guard refuses never does and stands in `duanbiao_refusals_total` alone.

No label holds anything that a caller chose. Those of a model are its version, its topics and
the three answers. The series of a model that was replaced stay until the service ends, as
Prometheus clients cannot take them back; after `MAX_MODELS` versions the next ones are counted
together as "other", so their number is bounded.
"""

from collections.abc import Sequence
from typing import get_args

from prometheus_client import Counter, Histogram

from models.artifact import Artifact
from models.decisions import Answer
from models.tagger import Encoded, Tags
from serving.refusals import Refusal

MAX_MODELS = 50
"""Versions counted apart, of those used since the service started."""

_refusals = Counter("duanbiao_refusals", "Requests answered with an error", ["route", "status", "code"])
_paragraphs = Counter("duanbiao_paragraphs", "Paragraphs tagged, by answer", ["model", "answer"])
_tags = Counter("duanbiao_tags", "Paragraphs given each topic", ["model", "topic"])
# Nine in ten paragraphs of the seed articles have 13 to 236 tokens; the longest that is read has 64 windows of 512.
_tokens = Histogram(
    "duanbiao_paragraph_tokens",
    "Tokens the network read of a paragraph; where windows overlap they count twice",
    ["model"],
    buckets=(16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096, 8192, 16384, 32768),
)
# From nothing to the time limit, 60 s unless set otherwise.
_waits = Histogram(
    "duanbiao_queue_seconds",
    "From the arrival of a request's body to the beginning of work on it",
    ["model"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60),
)
# From one short paragraph, some 10 ms, to the most tokens a request may have, some 15 s on two idle cores.
_inferences = Histogram(
    "duanbiao_inference_seconds",
    "Tokenizing and tagging all paragraphs of a request",
    ["model"],
    buckets=(0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5, 10, 15, 20, 40, 60),
)
_known: set[str] = set()


def introduce(artifact: Artifact) -> None:
    """Let a model's series begin at 0, so that already the first paragraph shows as an increase."""
    if len(_known) < MAX_MODELS:
        _known.add(artifact.version)
    model = _model(artifact.version)
    for answer in get_args(Answer):
        _paragraphs.labels(model, answer)
    for topic in artifact.topics:
        _tags.labels(model, topic.id)
    for histogram in (_tokens, _waits, _inferences):
        histogram.labels(model)


def count_wait(version: str, seconds: float) -> None:
    """Count a request on which work begins, which waited so long."""
    _waits.labels(_model(version)).observe(seconds)


def count_tags(version: str, encoded: Sequence[Encoded], tags: Sequence[Tags], seconds: float) -> None:
    """Count the paragraphs of a request, tagged in so many seconds."""
    model = _model(version)
    _inferences.labels(model).observe(seconds)
    for paragraph, tag in zip(encoded, tags, strict=True):
        _tokens.labels(model).observe(paragraph.n_tokens)
        _paragraphs.labels(model, tag.answer).inc()
        for topic in tag.topics:
            _tags.labels(model, topic).inc()


def count_refusal(route: str, refusal: Refusal) -> None:
    """Count a request answered with an error; `route` is one of the service's, or "other"."""
    _refusals.labels(route, refusal.status, refusal.code).inc()


def _model(version: str) -> str:
    return version if version in _known else "other"
