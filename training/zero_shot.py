"""How well a topic is found that nobody has annotated, from its name, definition and phrases alone.

Each topic is left out in turn: its labels are hidden from the training, as they are when a
new entry stands in `topics.toml` and no annotation carries it yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tqdm import tqdm

from data.topics import Topic
from models.decisions import decide
from models.network import UNKNOWN
from training.calibrate import decide_topics
from training.examples import Examples, from_phrases
from training.fine_tune import Prepared, prepare
from training.frozen import logits_on_frozen
from training.metrics import TopicScore, score_topics
from training.settings import TrainSettings


@dataclass(frozen=True)
class LeftOut:
    """Figures of one topic on test paragraphs when its labels were hidden."""

    definition_only: TopicScore
    """From name and definition."""
    with_phrases: TopicScore
    """From name, definition and phrases."""


def leave_each_out(
    paragraphs: Prepared, test: Prepared, topics: Sequence[Topic], settings: TrainSettings
) -> list[LeftOut]:
    """Measure each topic without its labels, on the frozen encoder.

    Args:
        paragraphs: the annotated paragraphs.
        test: paragraphs that were not trained on, with the true labels.
        topics: in the order of the label columns.
        settings: of the training.
    """
    bare = tuple(replace(topic, phrases=()) for topic in topics)
    descriptions = [prepare(from_phrases(some), settings) for some in (bare, tuple(topics))]
    found = []
    for column in tqdm(range(len(topics)), desc="topics left out", unit="topic"):
        labels = paragraphs.examples.labels.copy()
        labels[:, column] = UNKNOWN
        hidden = replace(paragraphs, examples=replace(paragraphs.examples, labels=labels, exclusive=False))
        scores = [_score(hidden, phrases, test, tuple(topics), column, settings) for phrases in descriptions]
        found.append(LeftOut(*scores))
    return found


def _score(
    hidden: Prepared,
    phrases: Prepared,
    test: Prepared,
    topics: tuple[Topic, ...],
    column: int,
    settings: TrainSettings,
) -> TopicScore:
    logits, tested = logits_on_frozen(hidden.joined(phrases), (hidden, test), settings)
    examples: Examples = hidden.examples
    decided = decide(decide_topics(topics, logits, examples.labels, examples.groups, settings.seed), tested)
    scores = score_topics([topic.id for topic in topics], test.examples.labels, decided.given, decided.probabilities)
    return scores[column]
