"""What the tagger must beat: a keyword list, and TF-IDF with logistic regression."""

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from data.topics import Topic
from training.examples import Examples


def keyword_decisions(texts: tuple[str, ...], topics: tuple[Topic, ...]) -> np.ndarray:
    """Give a topic to each text that holds one of its keywords; bool (texts, topics)."""
    return np.array([[any(word in text for word in topic.keywords) for topic in topics] for text in texts], dtype=bool)


def tfidf_probabilities(train: Examples, texts: tuple[str, ...]) -> np.ndarray:
    """Return probabilities (texts, topics) of logistic regressions on TF-IDF of 1 to 3 characters."""
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)
    known, asked = vectorizer.fit_transform(train.texts), vectorizer.transform(texts)
    columns = []
    for truth in (train.labels > 0.5).T:
        if truth.all() or not truth.any():
            columns.append(np.full(len(texts), float(truth.all())))
            continue
        model = LogisticRegression(C=10, class_weight="balanced", max_iter=2000)
        columns.append(model.fit(known, truth).predict_proba(asked)[:, 1])
    return np.stack(columns, axis=1)
