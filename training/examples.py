"""Annotations and topic phrases to training examples, with articles that stay whole."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from data.annotations import Annotation
from data.topics import Topic
from models.network import UNKNOWN
from training.near_duplicates import merge_groups

# Where each text has one topic, what a topic is called says more of it than one of its texts does.
PHRASES_WEIGHT = 3.0


@dataclass(frozen=True)
class Examples:
    """Texts with multi-hot labels, and the group (article or writer) that each must not leave."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: np.ndarray
    """float32 (texts, topics): 1, 0, or `UNKNOWN` where nobody has judged."""
    groups: tuple[str, ...]
    origins: tuple[str, ...]
    """Where each text comes from: "seed", "written" or "phrase"."""
    exclusive: bool = False
    """Each text has exactly one topic."""

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, places: Sequence[int] | np.ndarray) -> "Examples":
        """Return the examples at these places."""
        return Examples(
            tuple(self.ids[place] for place in places),
            tuple(self.texts[place] for place in places),
            self.labels[np.asarray(places, dtype=int)],
            tuple(self.groups[place] for place in places),
            tuple(self.origins[place] for place in places),
            self.exclusive,
        )

    def of_origin(self, origin: str) -> np.ndarray:
        """Return the places of the examples of one origin."""
        return np.flatnonzero(np.array(self.origins) == origin)

    def weights(self) -> np.ndarray:
        """Return how many texts each counts for, float (texts,): a topic's phrases together `PHRASES_WEIGHT` at least."""
        weights, phrases = np.ones(len(self)), self.of_origin("phrase")
        topics = self.labels[phrases].argmax(axis=1)
        weights[phrases] = np.maximum(PHRASES_WEIGHT / np.bincount(topics)[topics], 1)
        return weights

    def joined(self, other: "Examples") -> "Examples":
        """Return these examples followed by others."""
        return Examples(
            self.ids + other.ids,
            self.texts + other.texts,
            np.concatenate([self.labels, other.labels]),
            self.groups + other.groups,
            self.origins + other.origins,
            self.exclusive and other.exclusive,
        )


def labels_of(annotations: Sequence[Annotation], topics: Sequence[Topic]) -> np.ndarray:
    """Return multi-hot labels, float32 (annotations, topics); `UNKNOWN` where the topic came after the annotation."""
    labels = np.zeros((len(annotations), len(topics)), np.float32)
    for row, annotation in enumerate(annotations):
        judged = annotation.history[-1].when if annotation.history else ""
        for column, topic in enumerate(topics):
            if topic.id in annotation.topics:
                labels[row, column] = 1
            elif topic.since and judged < topic.since.isoformat():
                labels[row, column] = UNKNOWN
    return labels


def from_annotations(annotations: Sequence[Annotation], topics: Sequence[Topic]) -> Examples:
    """Return the annotated paragraphs as examples; label columns follow `topics`.

    A topic that no annotation carries is `UNKNOWN`, not absent: it came after the annotators.
    Where every annotation has exactly one topic, the topics are taken to exclude each other.
    If there each topic is one article besides, `article` says the topic once more: to hold an
    article out would leave nothing to learn its topic from, so each text is its own group.
    """
    labels = labels_of(annotations, topics)
    exclusive = len(topics) > 1 and all(len(annotation.topics) == 1 for annotation in annotations)
    if exclusive:
        labels = np.maximum(labels, 0)
    else:
        labels[:, ~(labels > 0.5).any(axis=0)] = UNKNOWN
    ids = tuple(annotation.id for annotation in annotations)
    articles = tuple(annotation.article for annotation in annotations)
    return Examples(
        ids,
        tuple(annotation.text for annotation in annotations),
        labels,
        ids if exclusive and _are_topics(articles, labels) else articles,
        tuple(annotation.origin for annotation in annotations),
        exclusive,
    )


def _are_topics(articles: Sequence[str], labels: np.ndarray) -> bool:
    """Return whether each article has one topic and each topic one article."""
    pairs = set(zip(articles, labels.argmax(axis=1).tolist(), strict=True))
    return len(pairs) == len({article for article, _ in pairs}) == len({topic for _, topic in pairs})


def from_phrases(topics: Sequence[Topic], exclusive: bool = False) -> Examples:
    """Return each topic's name, definition and phrases as examples of that topic alone.

    Args:
        topics: what the label columns follow.
        exclusive: whether the paragraphs that they are to stand beside have one topic each.
    """
    rows = [
        (column, text)
        for column, topic in enumerate(topics)
        for text in dict.fromkeys((topic.name, topic.definition, *topic.phrases))
    ]
    labels = np.zeros((len(rows), len(topics)), dtype=np.float32)
    labels[range(len(rows)), [column for column, _ in rows]] = 1
    return Examples(
        tuple(f"phrase#{place}" for place in range(len(rows))),
        tuple(text for _, text in rows),
        labels,
        ("phrases",) * len(rows),
        ("phrase",) * len(rows),
        exclusive,
    )


def split_by_group(examples: Examples, n_folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (train places, held-out places) of each fold; no group stands on both sides.

    Groups that share a near duplicate count as one. Folds are balanced by label set as far
    as whole groups allow. Where there are fewer groups than folds, as in a set whose texts
    name no article, each text is its own group.

    Raises:
        ValueError: there are fewer texts than folds.
    """
    groups = examples.groups
    if len(set(groups)) < n_folds:
        groups = examples.ids
    groups = merge_groups(examples.texts, groups)
    if len(set(groups)) < n_folds:
        raise ValueError(f"{len(set(groups))} texts cannot fill {n_folds} folds; annotate more or lower n_folds")
    sets = ["".join(str(int(value > 0)) for value in row) for row in examples.labels]
    folds = StratifiedGroupKFold(n_splits=n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A label set rarer than the folds cannot be balanced; that is no news for the user.
        warnings.simplefilter("ignore", UserWarning)
        return list(folds.split(np.zeros(len(examples)), sets, groups))
