"""Out-of-fold logits to decisions: probabilities, thresholds and uncertain bands."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from data.topics import Topic
from models.artifact import TopicDecision
from models.decisions import to_probability
from training.metrics import resample_groups

# Outside its uncertain band a topic's decision should be right this often.
SURE_ACCURACY = 0.97
# No more than this share of paragraphs may lie in one topic's band.
MAX_BAND_SHARE = 0.05
# Thresholds beyond these are accidents of a small sample.
LOWEST_THRESHOLD, HIGHEST_THRESHOLD = 0.2, 0.7
N_RESAMPLES = 200


def decide_topics(
    topics: tuple[Topic, ...], logits: np.ndarray, labels: np.ndarray, groups: tuple[str, ...], seed: int
) -> tuple[TopicDecision, ...]:
    """Fit how each topic's logit becomes a decision.

    Args:
        logits: out-of-fold, float (paragraphs, topics).
        labels: multi-hot (paragraphs, topics).
        groups: the article of each paragraph; resampling draws whole articles.
        seed: of the resampling.
    """
    decisions = []
    for column, topic in enumerate(topics):
        truth = labels[:, column] > 0.5
        scale, offset = fit_platt(logits[:, column], truth)
        probabilities = to_probability(logits[:, column], scale, offset)
        threshold = pick_threshold(probabilities, truth, groups, seed)
        band = pick_band(probabilities, truth, threshold)
        decisions.append(TopicDecision(topic.id, topic.name, topic.definition, scale, offset, threshold, band))
    return tuple(decisions)


def fit_platt(logits: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Fit scale and offset of Platt scaling with his smoothed targets (Platt 1999, section 2.2).

    Where there is nothing to fit (one class only, or logits that point the wrong way) the
    logits stay as they are: (1, 0).
    """
    n_yes, n_no = int(truth.sum()), int((~truth).sum())
    if n_yes == 0 or n_no == 0:
        return 1.0, 0.0
    target = np.where(truth, (n_yes + 1) / (n_yes + 2), 1 / (n_no + 2))
    features = np.concatenate([logits, logits])[:, None]
    classes = np.repeat([1, 0], len(logits))
    fitted = LogisticRegression(C=1e3).fit(features, classes, sample_weight=np.concatenate([target, 1 - target]))
    scale, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return (scale, offset) if scale > 0 else (1.0, 0.0)


def pick_threshold(probabilities: np.ndarray, truth: np.ndarray, groups: tuple[str, ...], seed: int) -> float:
    """Return the threshold with the best F1, as the median over resampled articles.

    One sample's best threshold is as uncertain as its rarest topic; the median over
    bootstrap samples is steadier. 0.5 where the topic has no example.
    """
    if not truth.any():
        return 0.5
    candidates = np.round(np.arange(LOWEST_THRESHOLD, HIGHEST_THRESHOLD + 0.001, 0.02), 2)
    best = []
    for chosen in resample_groups(groups, N_RESAMPLES, seed):
        if truth[chosen].any():
            given = probabilities[chosen, None] >= candidates
            right = (given & truth[chosen, None]).sum(axis=0)
            scores = 2 * right / (given.sum(axis=0) + truth[chosen].sum())
            tied = candidates[np.isclose(scores, scores.max())]
            best.append(float(tied[len(tied) // 2]))
    return round(float(np.median(best)), 2) if best else 0.5


def pick_band(probabilities: np.ndarray, truth: np.ndarray, threshold: float) -> tuple[float, float]:
    """Return the narrowest band around the threshold outside which decisions are right often enough.

    The band is symmetric in log odds and never holds more than `MAX_BAND_SHARE` of the
    paragraphs, so a weak topic keeps some wrong decisions outside it.
    """
    distance = np.abs(_log_odds(probabilities) - _log_odds(np.array(threshold)))
    right = (probabilities >= threshold) == truth
    order = np.argsort(distance)
    most = int(MAX_BAND_SHARE * len(order))
    for inside in range(most + 1):
        outside = order[inside:]
        if right[outside].mean() >= SURE_ACCURACY or inside == most:
            margin = float(distance[order[inside - 1]]) + 1e-3 if inside else 0.0
            break
    centre = float(_log_odds(np.array(threshold)))
    low, high = (1 / (1 + np.exp(-(centre + side * margin))) for side in (-1, 1))
    return round(float(low), 4), round(float(high), 4)


def _log_odds(probability: np.ndarray) -> np.ndarray:
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))
