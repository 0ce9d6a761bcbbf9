"""Does the evidence decide? Blank it, and blank as much other text, and compare what the score loses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.blocks import Span
from models.tagger import Tagger

# What blanked characters become: a mark that carries no meaning, so that lengths stay.
BLANK = "。"


@dataclass(frozen=True)
class Blanking:
    """Mean loss of a given topic's logit."""

    n: int
    """Pairs of a paragraph and a topic given to it that leave room for the comparison."""
    evidence: float
    """Lost when the evidence is blanked."""
    other: float
    """Lost when as many other characters are blanked."""
    evidence_share: float
    """Share of a paragraph's characters that is evidence."""
    evidence_flips: float
    """Share of the topics no longer given when the evidence is blanked."""
    other_flips: float
    """Share of the topics no longer given when as much other text is blanked."""


def measure_blanking(tagger: Tagger, texts: Sequence[str], seed: int) -> Blanking:
    """Blank the evidence of every given topic, and as much text elsewhere.

    Paragraphs whose evidence is more than half of the text have not as much other text and
    are left out.
    """
    rng = np.random.default_rng(seed)
    ids = [topic.id for topic in tagger.artifact.topics]
    cases: list[tuple[str, str, str, int]] = []
    shares = []
    for text, tags in zip(texts, tagger.tag(texts), strict=True):
        for topic, spans in tags.evidence.items():
            n_evidence = sum(end - start for start, end in spans)
            if 0 < n_evidence <= len(text) / 2:
                other = _other_spans(text, spans, n_evidence, rng)
                cases.append((text, _blank(text, spans), _blank(text, other), ids.index(topic)))
                shares.append(n_evidence / len(text))
    if not cases:
        return Blanking(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    columns = np.array([column for *_, column in cases])
    texts_of = ([case[0] for case in cases], [case[1] for case in cases], [case[2] for case in cases])
    whole, without, elsewhere = (_logits(tagger, some, columns) for some in texts_of)
    thresholds = np.array([_threshold_logit(tagger, column) for column in columns])
    return Blanking(
        len(cases),
        float((whole - without).mean()),
        float((whole - elsewhere).mean()),
        float(np.mean(shares)),
        float((without < thresholds).mean()),
        float((elsewhere < thresholds).mean()),
    )


def _blank(text: str, spans: Sequence[Span]) -> str:
    characters = list(text)
    for start, end in spans:
        characters[start:end] = BLANK * (end - start)
    return "".join(characters)


def _other_spans(text: str, evidence: Sequence[Span], n: int, rng: np.random.Generator) -> list[Span]:
    """Return spans outside the evidence of `n` characters in all: one run that goes on beyond the evidence."""
    taken = {place for start, end in evidence for place in range(start, end)}
    free = [place for place in range(len(text)) if place not in taken]
    first = int(rng.integers(len(free)))
    return [(place, place + 1) for place in (free[(first + step) % len(free)] for step in range(n))]


def _logits(tagger: Tagger, texts: list[str], columns: np.ndarray) -> np.ndarray:
    chosen: np.ndarray = tagger.logits(tagger.encode(texts))[np.arange(len(texts)), columns]
    return chosen


def _threshold_logit(tagger: Tagger, column: int) -> float:
    topic = tagger.artifact.topics[column]
    return float((np.log(topic.threshold / (1 - topic.threshold)) - topic.offset) / topic.scale)
