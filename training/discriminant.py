"""The linear discriminant of texts that have one topic each: its weights in closed form."""

import numpy as np
from sklearn.covariance import empirical_covariance, shrunk_covariance

# Of the covariance within the topics, towards a multiple of the identity. Much, as a topic has a handful of texts,
# and those that the encoder was tuned on lie closer together than new ones will.
SHRINKAGE = 0.9
# Root mean square of the logits of the texts it was fitted on: at this size they are about as sure as they are right.
LOGIT_SIZE = 3.0
# Logit of a topic without any text.
ABSENT = -10.0


def fit_discriminant(
    vectors: np.ndarray, topics: np.ndarray, n_topics: int, text_weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (topics, width) and bias (topics,) of the linear discriminant analysis, scaled to `LOGIT_SIZE`.

    Hastie, Tibshirani & Friedman 2009, equation 4.10, with a covariance shrunk as in their section 4.3.1.

    Args:
        vectors: of each text, float (texts, width).
        topics: the topic of each text, 0 to `n_topics` - 1, (texts,).
        n_topics: of which some may have no text.
        text_weights: how many texts each counts for, above 0, (texts,).
    """
    shares = np.bincount(topics, text_weights, minlength=n_topics) / text_weights.sum()
    present = np.flatnonzero(shares)
    centres = np.stack([np.average(vectors[topics == topic], 0, text_weights[topics == topic]) for topic in present])
    within = vectors - centres[np.searchsorted(present, topics)]
    if not within.any():
        # One text a topic, say: the nearest one decides.
        within = np.eye(vectors.shape[1])
    else:
        within = within * np.sqrt(text_weights / text_weights.mean())[:, None]
    covariance = shrunk_covariance(empirical_covariance(within, assume_centered=True), SHRINKAGE)
    found = np.linalg.solve(covariance, centres.T).T
    offsets = np.log(shares[present]) - (found * centres).sum(axis=1) / 2
    logits = vectors @ found.T + offsets
    # What all topics have in common decides nothing.
    size = np.sqrt(
        np.average(np.square(logits - logits.mean(axis=1, keepdims=True)).mean(axis=1), weights=text_weights)
    )
    factor = LOGIT_SIZE / size if size > 0 else 1.0
    weights, bias = np.zeros((n_topics, vectors.shape[1])), np.full(n_topics, ABSENT)
    weights[present] = factor * (found - found.mean(axis=0))
    bias[present] = factor * (offsets - offsets.mean())
    return weights, bias
