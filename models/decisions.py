"""Logits to decisions: the one place that inference, calibration and reports share (numpy only)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.artifact import TopicDecision

# Probabilities are given, and decided on, with this many decimals.
DECIMALS = 4


@dataclass(frozen=True)
class Decisions:
    """What follows from logits; arrays are (paragraphs, topics)."""

    probabilities: np.ndarray
    """float64, calibrated, 0 to 1, rounded to `DECIMALS`."""
    given: np.ndarray
    """bool: at or above the topic's threshold."""
    uncertain: np.ndarray
    """bool: in the topic's uncertain band."""


def to_probability(logits: np.ndarray, scale: np.ndarray | float, offset: np.ndarray | float) -> np.ndarray:
    """Return sigmoid(scale * logits + offset), Platt's calibrated probability."""
    probabilities: np.ndarray = 1 / (1 + np.exp(-(scale * logits + offset)))
    return probabilities


def decide(topics: Sequence[TopicDecision], logits: np.ndarray) -> Decisions:
    """Decide on logits (paragraphs, topics) whose columns follow `topics`."""
    scale, offset, threshold = np.array([(topic.scale, topic.offset, topic.threshold) for topic in topics]).T
    low, high = np.array([topic.band for topic in topics]).T
    probabilities = np.round(to_probability(logits, scale, offset), DECIMALS)
    return Decisions(probabilities, probabilities >= threshold, (probabilities >= low) & (probabilities < high))
