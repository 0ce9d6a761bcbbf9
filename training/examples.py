"""Annotations and topic phrases to training examples, with articles that stay whole."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from data.annotations import Annotation
from data.topics import Topic


@dataclass(frozen=True)
class Examples:
    """Texts with multi-hot labels, and the group (article or writer) that each must not leave."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: np.ndarray
    """float32 (texts, topics)."""
    groups: tuple[str, ...]
    origins: tuple[str, ...]
    """Where each text comes from: "seed", "written" or "phrase"."""

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
        )

    def of_origin(self, origin: str) -> np.ndarray:
        """Return the places of the examples of one origin."""
        return np.flatnonzero(np.array(self.origins) == origin)

    def joined(self, other: "Examples") -> "Examples":
        """Return these examples followed by others."""
        return Examples(
            self.ids + other.ids,
            self.texts + other.texts,
            np.concatenate([self.labels, other.labels]),
            self.groups + other.groups,
            self.origins + other.origins,
        )


def from_annotations(annotations: Sequence[Annotation], topics: Sequence[Topic]) -> Examples:
    """Return the annotated paragraphs as examples; label columns follow `topics`."""
    labels = [[topic.id in annotation.topics for topic in topics] for annotation in annotations]
    return Examples(
        tuple(annotation.id for annotation in annotations),
        tuple(annotation.text for annotation in annotations),
        np.array(labels, dtype=np.float32).reshape(-1, len(topics)),
        tuple(annotation.article for annotation in annotations),
        tuple(annotation.origin for annotation in annotations),
    )


def from_phrases(topics: Sequence[Topic]) -> Examples:
    """Return each topic's definition and phrases as examples of that topic alone."""
    rows = [(column, text) for column, topic in enumerate(topics) for text in (topic.definition, *topic.phrases)]
    labels = np.zeros((len(rows), len(topics)), dtype=np.float32)
    labels[range(len(rows)), [column for column, _ in rows]] = 1
    return Examples(
        tuple(f"phrase#{place}" for place in range(len(rows))),
        tuple(text for _, text in rows),
        labels,
        ("phrases",) * len(rows),
        ("phrase",) * len(rows),
    )


def split_by_group(examples: Examples, n_folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (train places, held-out places) of each fold; no group stands on both sides.

    Folds are balanced by label set as far as whole groups allow.

    Raises:
        ValueError: there are fewer groups than folds.
    """
    n_groups = len(set(examples.groups))
    if n_groups < n_folds:
        raise ValueError(f"{n_groups} articles cannot fill {n_folds} folds; annotate more articles or lower n_folds")
    sets = ["".join(str(int(value)) for value in row) for row in examples.labels]
    folds = StratifiedGroupKFold(n_splits=n_folds, shuffle=True, random_state=seed)
    return list(folds.split(np.zeros(len(examples)), sets, examples.groups))
