"""How good predictions are: F1, average precision, calibration error, bootstrap intervals."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from models.decisions import Decisions
from models.network import UNKNOWN
from training.examples import Examples

N_BINS = 10
N_RESAMPLES = 1000


@dataclass(frozen=True)
class TopicScore:
    """One topic's figures, each 0 to 1."""

    topic: str
    n: int
    """Paragraphs that carry the topic."""
    precision: float
    recall: float
    f1: float
    average_precision: float
    calibration_error: float


def score_topics(ids: list[str], labels: np.ndarray, given: np.ndarray, probabilities: np.ndarray) -> list[TopicScore]:
    """Score each topic where it was judged, all 0 where it never was; arrays are (paragraphs, topics): multi-hot, decisions, probabilities."""
    scores = []
    for column, topic in enumerate(ids):
        judged = labels[:, column] != UNKNOWN
        if not judged.any():
            scores.append(TopicScore(topic, 0, 0.0, 0.0, 0.0, 0.0, 0.0))
            continue
        truth, probability = labels[judged, column] > 0.5, probabilities[judged, column]
        precision, recall, f1, _ = precision_recall_fscore_support(
            truth, given[judged, column], average="binary", zero_division=0.0
        )
        ranked = float(average_precision_score(truth, probability)) if truth.any() else 0.0
        error = calibration_error(probability, truth)
        scores.append(TopicScore(topic, int(truth.sum()), float(precision), float(recall), float(f1), ranked, error))
    return scores


def measure(ids: list[str], examples: Examples, decided: Decisions) -> dict[str, Any]:
    """Return the figures that stand in `tagger.json` of one set of paragraphs, rounded, ready for JSON.

    `accuracy` is the share of paragraphs whose topics are all right.
    """
    labels, given = examples.labels, decided.given
    low, high = interval(macro_f1, labels, given, examples.groups)
    outside = ~decided.uncertain
    scores = score_topics(ids, labels, given, decided.probabilities)
    return {
        "n_paragraphs": len(examples),
        "n_groups": len(set(examples.groups)),
        "macro_f1": round(macro_f1(labels, given), 4),
        "macro_f1_interval": [round(low, 4), round(high, 4)],
        "micro_f1": round(micro_f1(labels, given), 4),
        "accuracy": round(float((((labels > 0.5) == given) | (labels == UNKNOWN)).all(axis=1).mean()), 4),
        "unsure_share": round(float(decided.uncertain.any(axis=1).mean()), 4),
        "topics": {
            score.topic: {
                **{key: round(value, 4) for key, value in asdict(score).items() if key != "topic"},
                "right_outside_band": round(_right(labels, given, outside, column), 4),
            }
            for column, score in enumerate(scores)
        },
    }


def _right(labels: np.ndarray, given: np.ndarray, outside: np.ndarray, column: int) -> float:
    """Return how often the decision on a topic is right outside its uncertain band."""
    chosen = outside[:, column] & (labels[:, column] != UNKNOWN)
    return float(((labels[chosen, column] > 0.5) == given[chosen, column]).mean()) if chosen.any() else 1.0


def macro_f1(labels: np.ndarray, given: np.ndarray) -> float:
    """Return the mean of the topics' F1; a topic neither present nor given counts as 1.

    Where a label is `UNKNOWN` nothing is right or wrong; a topic that nobody has judged is left out.
    """
    true, wrong = _counts(labels, given)
    judged = (labels != UNKNOWN).any(axis=0)
    scores = np.where(true + wrong == 0, 1.0, 2 * true / np.maximum(2 * true + wrong, 1))[judged]
    return float(np.mean(scores)) if len(scores) else 1.0


def micro_f1(labels: np.ndarray, given: np.ndarray) -> float:
    """Return F1 over all decisions of all topics together that somebody has judged."""
    true, wrong = (int(count.sum()) for count in _counts(labels, given))
    return 1.0 if true + wrong == 0 else 2 * true / (2 * true + wrong)


def _counts(labels: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how often each topic was rightly given, and how often wrongly given or left out."""
    return ((labels > 0.5) & given).sum(0), (((labels > 0.5) != given) & (labels != UNKNOWN)).sum(0)


def calibration_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the expected calibration error over ten bins of equal width (Naeini et al. 2015)."""
    bins = np.minimum((probabilities * N_BINS).astype(int), N_BINS - 1)
    error = 0.0
    for number in range(N_BINS):
        inside = bins == number
        if inside.any():
            error += inside.mean() * abs(probabilities[inside].mean() - truth[inside].mean())
    return float(error)


def interval(
    measure: Callable[[np.ndarray, np.ndarray], float],
    labels: np.ndarray,
    given: np.ndarray,
    groups: tuple[str, ...],
    seed: int = 0,
) -> tuple[float, float]:
    """Return the 95% bootstrap interval of a measure, drawing whole groups with replacement."""
    values = [measure(labels[chosen], given[chosen]) for chosen in resample_groups(groups, N_RESAMPLES, seed)]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def resample_groups(groups: tuple[str, ...], n_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the places of bootstrap samples that draw whole groups with replacement."""
    names = sorted(set(groups))
    places = {name: np.flatnonzero(np.array(groups) == name) for name in names}
    draw = np.random.default_rng(seed)
    for _ in range(n_resamples):
        yield np.concatenate([places[name] for name in draw.choice(names, len(names))])
