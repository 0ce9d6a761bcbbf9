"""Logits to decisions: the one place that inference, calibration and reports share (numpy only)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.artifact import TopicDecision

# Probabilities are given, and decided on, with this many decimals.
DECIMALS = 4

Answer = Literal["topics", "none", "unsure"]


@dataclass(frozen=True)
class Decisions:
    """What follows from logits; arrays are (paragraphs, topics)."""

    probabilities: np.ndarray
    """float64, calibrated, 0 to 1, rounded to `DECIMALS`."""
    given: np.ndarray
    """bool: at or above the topic's threshold; of exclusive topics, the most probable."""
    uncertain: np.ndarray
    """bool: in the topic's uncertain band; of exclusive topics, only the given one can be."""

    def answers(self) -> list[Answer]:
        """Return each paragraph's answer: "unsure" if a topic is uncertain, else whether any is given."""
        return [
            "unsure" if uncertain.any() else "topics" if given.any() else "none"
            for given, uncertain in zip(self.given, self.uncertain, strict=True)
        ]

    def take(self, places: np.ndarray) -> "Decisions":
        """Return the decisions on the paragraphs at these places."""
        return Decisions(self.probabilities[places], self.given[places], self.uncertain[places])


def to_probability(logits: np.ndarray, scale: np.ndarray | float, offset: np.ndarray | float) -> np.ndarray:
    """Return sigmoid(scale * logits + offset), Platt's calibrated probability."""
    probabilities: np.ndarray = 1 / (1 + np.exp(-(scale * logits + offset)))
    return probabilities


def to_shares(logits: np.ndarray, scale: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Return the softmax of scale * logits + offset over the topics, which exclude each other."""
    scaled = scale * logits + offset
    odds = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: np.ndarray = odds / odds.sum(axis=1, keepdims=True)
    return shares


def decide(topics: Sequence[TopicDecision], logits: np.ndarray, exclusive: bool = False) -> Decisions:
    """Decide on logits (paragraphs, topics) whose columns follow `topics`.

    Where topics exclude each other, the most probable one is given, and thresholds play no part.
    """
    scale, offset, threshold = np.array([(topic.scale, topic.offset, topic.threshold) for topic in topics]).T
    low, high = np.array([topic.band for topic in topics]).T
    if exclusive:
        probabilities = np.round(to_shares(logits, scale, offset), DECIMALS)
        given = np.zeros(probabilities.shape, dtype=bool)
        given[np.arange(len(given)), probabilities.argmax(axis=1)] = True
    else:
        probabilities = np.round(to_probability(logits, scale, offset), DECIMALS)
        given = probabilities >= threshold
    uncertain = (probabilities >= low) & (probabilities < high)
    return Decisions(probabilities, given, uncertain & given if exclusive else uncertain)
