"""Choose the paragraphs that are worth a person's minute (arrays only, no model, no files).

Four shares of the budget, each for something the others cannot do:

random        what is drawn blindly shows how good the tagger is on new articles
contradicted  annotations that the model contradicts, most confident first: likely slips
unsure        the model's closest calls (uncertainty sampling, Lewis and Gale 1994)
diverse       what is unlike all that is annotated: topics and styles the model cannot
              be unsure about, as it does not know them (k-means++ seeding, Arthur and
              Vassilvitskii 2007)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Reason = Literal["random", "contradicted", "unsure", "diverse"]

# Enough for a rough estimate within a few weeks, at ten a time.
RANDOM_SHARE = 0.1
# A slip in the annotation set also spoils the figures, but there are few.
CONTRADICTED_SHARE = 0.2
DIVERSE_SHARE = 0.2
# The rest, `unsure`, is what teaches most. What a share cannot use goes there too.

# Probabilities are rounded; closer to 0 or 1 than this nothing can be told apart.
EDGE = 1e-4


@dataclass(frozen=True, eq=False)
class Candidates:
    """Paragraphs to choose from; n of them, and the topics that the model and the annotators share."""

    probabilities: np.ndarray
    """float (n, topics), calibrated, 0 to 1."""
    thresholds: np.ndarray
    """float (topics,): the probability from which on a topic is given."""
    annotated: np.ndarray
    """bool (n,)"""
    contradicted: np.ndarray
    """bool (n, topics): the annotation says otherwise than the model does. False where not annotated."""
    features: np.ndarray
    """float (n, width), rows of length 1: what a paragraph is like. The cosine is the likeness."""
    twins: np.ndarray
    """int (n,): near duplicates share a number, and one of them is chosen at most."""
    exclusive: bool = False
    """Each paragraph has exactly one topic, and thresholds play no part."""


@dataclass(frozen=True)
class Choice:
    """A paragraph to look at, and why."""

    place: int
    reason: Reason


def select(candidates: Candidates, budget: int, seed: int) -> list[Choice]:
    """Choose at most `budget` paragraphs, none twice, and no near duplicates.

    Paragraphs that are annotated, or nearly equal one that is, are chosen only where the model
    contradicts the annotation. Fewer are chosen if there are not enough.

    Returns:
        the choices in order: random, contradicted, unsure, diverse, then what fills the budget up.

    Raises:
        ValueError: the budget is below 1.
    """
    if budget < 1:
        raise ValueError(f"a budget of {budget} paragraphs; give 1 or more")
    choosing = _Choosing(candidates, seed)
    choosing.take("random", choosing.random, round(RANDOM_SHARE * budget))
    choosing.take("contradicted", choosing.contradicted, round(CONTRADICTED_SHARE * budget))
    n_diverse = round(DIVERSE_SHARE * budget)
    choosing.take("unsure", choosing.unsure, budget - len(choosing.choices) - n_diverse)
    choosing.take("diverse", choosing.diverse, n_diverse)
    choosing.take("unsure", choosing.unsure, budget - len(choosing.choices))
    choosing.take("contradicted", choosing.contradicted, budget - len(choosing.choices))
    # Left only where the model knows none of the topics.
    choosing.take("diverse", choosing.diverse, budget - len(choosing.choices))
    return choosing.choices


class _Choosing:
    """What is chosen so far, and what can still be."""

    def __init__(self, candidates: Candidates, seed: int) -> None:
        self.choices: list[Choice] = []
        self._candidates = candidates
        self._rng = np.random.default_rng(seed)
        known = np.unique(candidates.twins[candidates.annotated])
        self._open = ~candidates.annotated & ~np.isin(candidates.twins, known)
        """Not annotated and not chosen, nor a near duplicate of what is."""
        self._slips = candidates.contradicted.any(axis=1) & candidates.annotated
        rounded = np.clip(candidates.probabilities, EDGE, 1 - EDGE)
        self._distances = _distances(rounded, candidates)

    def take(self, reason: Reason, order: Callable[[int], list[int]], n: int) -> None:
        """Choose the first `n` of the places that `order` returns; it is asked for one after the other."""
        if n <= 0:
            return
        for place in order(n):
            self.choices.append(Choice(place, reason))
            self._close(place)

    def _close(self, place: int) -> None:
        same = self._candidates.twins == self._candidates.twins[place]
        self._open &= ~same
        self._slips &= ~same

    def random(self, n: int) -> list[int]:
        """Return places that were drawn blindly."""
        return self._without_twins(self._rng.permutation(np.flatnonzero(self._open)), n)

    def contradicted(self, n: int) -> list[int]:
        """Return annotated places, those first where the model is surest that they are wrong."""
        if not self._slips.any():
            return []
        sure = np.where(self._candidates.contradicted, self._distances, 0).max(axis=1)
        order = np.argsort(-sure, kind="stable")
        return self._without_twins(order[self._slips[order]], n)

    def unsure(self, n: int) -> list[int]:
        """Return the closest calls."""
        if not self._distances.shape[1]:
            return []
        order = np.argsort(self._distances.min(axis=1), kind="stable")
        return self._without_twins(order[self._open[order]], n)

    def diverse(self, n: int) -> list[int]:
        """Draw places with probabilities as the squared distance from the next annotated or chosen one."""
        features = self._candidates.features
        centres = self._candidates.annotated.copy()
        centres[[choice.place for choice in self.choices]] = True
        near = np.full(len(features), -1.0)
        for start in range(0, len(features), 1000):
            if centres.any():
                near[start : start + 1000] = (features[start : start + 1000] @ features[centres].T).max(axis=1)
        is_open = self._open.copy()
        found: list[int] = []
        while len(found) < n and is_open.any():
            weights = np.where(is_open, np.clip(1 - near, 1e-9, None) ** 2, 0)
            place = int(self._rng.choice(len(weights), p=weights / weights.sum()))
            found.append(place)
            near = np.maximum(near, features @ features[place])
            is_open &= self._candidates.twins != self._candidates.twins[place]
        return found

    def _without_twins(self, order: np.ndarray, n: int) -> list[int]:
        found: dict[int, int] = {}
        for place in order.tolist():
            found.setdefault(int(self._candidates.twins[place]), place)
            if len(found) == n:
                break
        return list(found.values())


def _distances(probabilities: np.ndarray, candidates: Candidates) -> np.ndarray:
    """Return how far each decision is from being another, in logits, (n, topics) or, if exclusive, (n, 1)."""
    if candidates.exclusive:
        best = np.sort(np.log(probabilities), axis=1)[:, ::-1]
        return best[:, :1] - best[:, 1:2] if best.shape[1] > 1 else best[:, :0]
    distances: np.ndarray = np.abs(_logit(probabilities) - _logit(candidates.thresholds))
    return distances


def _logit(probabilities: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.log(probabilities / (1 - probabilities))
    return found
