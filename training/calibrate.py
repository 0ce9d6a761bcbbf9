"""Out-of-fold logits to decisions: probabilities, thresholds and uncertain bands."""

import numpy as np
from scipy.optimize import brentq
from sklearn.linear_model import LogisticRegression

from data.topics import Topic
from models.artifact import TopicDecision
from models.decisions import to_probability, to_shares
from models.network import UNKNOWN
from training.metrics import resample_groups

# Outside its uncertain band a topic's decision should be right 97 times in 100 on new text, which
# is harder than the mostly written paragraphs that the band is fitted on: so more is asked of these.
SURE_ACCURACY = 0.99
# No more than this share of paragraphs may be uncertain, over all topics together.
MAX_UNSURE_SHARE = 0.15
# Thresholds beyond these are accidents of a small sample.
LOWEST_THRESHOLD, HIGHEST_THRESHOLD = 0.2, 0.7
# Temperatures tried for topics that exclude each other.
TEMPERATURES = np.geomspace(0.2, 5, 100)
N_RESAMPLES = 200
# How far a threshold goes from 0.5 to the best one of the sample: that one moves by 0.1 with the seed, and
# half-way to it was better on text from elsewhere.
THRESHOLD_TRUST = 0.5


def decide_topics(
    topics: tuple[Topic, ...],
    logits: np.ndarray,
    labels: np.ndarray,
    groups: tuple[str, ...],
    seed: int,
    exclusive: bool = False,
) -> tuple[TopicDecision, ...]:
    """Fit how each topic's logit becomes a decision.

    Args:
        topics: in the order of the columns.
        logits: out-of-fold, float (paragraphs, topics).
        labels: multi-hot (paragraphs, topics), or `UNKNOWN`.
        groups: the article of each paragraph; resampling draws whole articles.
        seed: of the resampling.
        exclusive: each text has exactly one topic.
    """
    if exclusive:
        return _decide_exclusive(topics, logits, labels)
    judged = (labels != UNKNOWN).all(axis=0)
    platt = {int(column): fit_platt(logits[:, column], labels[:, column] > 0.5) for column in np.flatnonzero(judged)}
    decisions = []
    for column, topic in enumerate(topics):
        truth = labels[:, column] > 0.5
        if judged[column]:
            scale, offset = platt[column]
            probabilities = to_probability(logits[:, column], scale, offset)
            threshold = pick_threshold(probabilities, truth, groups, seed)
            band = pick_band(probabilities, truth, threshold, MAX_UNSURE_SHARE / len(topics))
        else:
            scale = float(np.median([scale for scale, _ in platt.values()])) if platt else 1.0
            share = float((labels[:, judged] > 0.5).mean()) if platt else 1 / len(topics)
            offset, threshold, band = fit_offset(scale * logits[:, column], share), 0.5, (0.5, 0.5)
        decisions.append(TopicDecision(topic.id, topic.name, topic.definition, scale, offset, threshold, band))
    return tuple(decisions)


def _decide_exclusive(topics: tuple[Topic, ...], logits: np.ndarray, labels: np.ndarray) -> tuple[TopicDecision, ...]:
    scale = 1 / fit_temperature(logits, labels)
    shares = to_shares(logits, np.array(scale), np.array(0.0))
    right = shares.argmax(axis=1) == labels.argmax(axis=1)
    sure = pick_sure(shares.max(axis=1), right)
    return tuple(TopicDecision(t.id, t.name, t.definition, scale, 0.0, 0.5, (0.0, sure)) for t in topics)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature with the least negative log-likelihood (Guo et al. 2017, section 4.2)."""
    truth = labels.argmax(axis=1)
    rows = np.arange(len(truth))
    losses = [
        -np.log(to_shares(logits, np.array(1 / t), np.array(0.0))[rows, truth] + 1e-12).mean() for t in TEMPERATURES
    ]
    return float(TEMPERATURES[int(np.argmin(losses))])


def pick_sure(highest: np.ndarray, right: np.ndarray) -> float:
    """Return the probability from which on the given topic is right often enough, unsure texts being few."""
    order = np.argsort(highest)
    for inside in range(int(MAX_UNSURE_SHARE * len(order)) + 1):
        if right[order[inside:]].mean() >= SURE_ACCURACY:
            break
    return round(float(highest[order[inside]]), 4)


def fit_offset(scaled: np.ndarray, share: float) -> float:
    """Return the offset at which the mean probability is `share`.

    For a topic that nobody has annotated yet: it is expected as often as the others are.
    """
    low, high = -float(scaled.max()) - 20, -float(scaled.min()) + 20
    return float(brentq(lambda offset: to_probability(scaled, 1.0, offset).mean() - share, low, high))


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
    """Return a threshold between 0.5 and the one with the best F1, that taken as the median over resampled articles.

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
    return round(0.5 + THRESHOLD_TRUST * (float(np.median(best)) - 0.5), 2) if best else 0.5


def pick_band(probabilities: np.ndarray, truth: np.ndarray, threshold: float, max_share: float) -> tuple[float, float]:
    """Return the narrowest band around the threshold outside which decisions are right often enough.

    The band is symmetric in log odds and never holds more than `max_share` of the
    paragraphs, so a weak topic keeps some wrong decisions outside it.
    """
    distance = np.abs(_log_odds(probabilities) - _log_odds(np.array(threshold)))
    right = (probabilities >= threshold) == truth
    order = np.argsort(distance)
    most = int(max_share * len(order))
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
