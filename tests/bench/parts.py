"""Where the time of a request of one paragraph goes within the process that tags, step by step."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.corpus import load_texts
from models.tagger import Tagger
from serving.messages import TagAnswer, TagRequest
from serving.records import make_records, taken_as_is

JSON_IN, TOKENS, NETWORK, DECISION, JSON_OUT = (
    "request: JSON to text",
    "tokenization",
    "network",
    "lexicon, decision, evidence",
    "record and answer to JSON",
)
N_PARAGRAPHS = 200


def measure(model: str) -> dict[str, float]:
    """Return seconds a paragraph of each step, one paragraph after the other, each step timed by itself."""
    tagger = Tagger(Path(model), threads=1)
    texts = load_texts()[:N_PARAGRAPHS]
    bodies = [json.dumps({"paragraphs": [text]}).encode() for text in texts]
    tagger.tag(texts)
    seconds: dict[str, float] = {}

    def timed(step: str, work: Callable[[Any], Any], items: list[Any]) -> list[Any]:
        begun = time.perf_counter()
        found = [work(item) for item in items]
        seconds[step] = (time.perf_counter() - begun) / len(items)
        return found

    requests = timed(JSON_IN, TagRequest.model_validate_json, bodies)
    encoded = timed(TOKENS, lambda request: tagger.encode(request.paragraphs), requests)
    outputs = timed(NETWORK, lambda some: list(tagger._outputs(some)), encoded)
    tags = timed(DECISION, lambda pair: tagger._decide(*pair), list(zip(encoded, outputs, strict=True)))
    version = tagger.artifact.version

    def answer(pair: tuple[str, Any]) -> str:
        records = make_records([taken_as_is("request#0", pair[0], 0, "request")], pair[1], version)
        return TagAnswer.model_validate({"model": version, "paragraphs": records}).model_dump_json()

    timed(JSON_OUT, answer, list(zip(texts, tags, strict=True)))
    return seconds
