"""Fit the lexicon: logistic regression on TF-IDF of character sequences."""

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from models.lexicon import Lexicon, cut_grams
from models.network import UNKNOWN
from training.examples import Examples

INVERSE_PENALTY = 10.0
# A sequence that stands in one text only says nothing of another.
MIN_TEXTS = 2
# Weight of the lexicon beside the network where each text has one topic: such sets have few
# examples a topic, and their words are mostly chance.
EXCLUSIVE_WEIGHT = 0.25
# Logit of a topic that all or none of the examples carry.
CONSTANT = 4.0


def fit_lexicon(examples: Examples) -> Lexicon:
    """Return the lexicon that these examples teach."""
    vectorizer = TfidfVectorizer(analyzer=cut_grams, min_df=MIN_TEXTS, sublinear_tf=True)
    try:
        features = vectorizer.fit_transform(examples.texts)
    except ValueError:
        # No sequence stands in two texts.
        n_topics = examples.labels.shape[1]
        return Lexicon((), np.zeros(0, np.float32), np.zeros((0, n_topics), np.float32), np.zeros(n_topics, np.float32))
    grams = tuple(str(gram) for gram in vectorizer.get_feature_names_out())
    weights = np.zeros((len(grams), examples.labels.shape[1]), np.float32)
    bias = np.zeros(examples.labels.shape[1], np.float32)
    if examples.exclusive:
        fitted = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000).fit(features, examples.labels.argmax(axis=1))
        _set_exclusive(fitted, weights, bias)
        idf = vectorizer.idf_.astype(np.float32)
        return Lexicon(grams, idf, EXCLUSIVE_WEIGHT * weights, EXCLUSIVE_WEIGHT * bias)
    for column in range(len(bias)):
        known = np.flatnonzero(examples.labels[:, column] != UNKNOWN)
        truth = examples.labels[known, column] > 0.5
        if truth.all() or not truth.any():
            bias[column] = CONSTANT if truth.all() else -CONSTANT
            continue
        fitted = LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", max_iter=1000)
        fitted.fit(features[known], truth)
        weights[:, column], bias[column] = fitted.coef_[0], fitted.intercept_[0]
    return Lexicon(grams, vectorizer.idf_.astype(np.float32), weights, bias)


def _set_exclusive(fitted: LogisticRegression, weights: np.ndarray, bias: np.ndarray) -> None:
    if len(fitted.classes_) == 2:
        # One decision between two: scikit-learn keeps the second's side only.
        first, second = fitted.classes_
        weights[:, second], bias[second] = fitted.coef_[0] / 2, fitted.intercept_[0] / 2
        weights[:, first], bias[first] = -fitted.coef_[0] / 2, -fitted.intercept_[0] / 2
        return
    bias[:] = -CONSTANT
    weights[:, fitted.classes_], bias[fitted.classes_] = fitted.coef_.T, fitted.intercept_
