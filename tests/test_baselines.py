"""The baselines that reports compare against."""

import numpy as np

from data.topics import load_topics
from training.baselines import keyword_decisions, tfidf_probabilities
from training.examples import from_phrases

TOPICS = load_topics()


def test_keywords_give_their_topics() -> None:
    given = keyword_decisions(("政协委员走进直播间带货", "今天天气很好"), TOPICS)
    ids = [topic.id for topic in TOPICS]
    assert [topic for topic, yes in zip(ids, given[0], strict=True) if yes] == ["united_front", "e_commerce"]
    assert not given[1].any()


def test_tfidf_learns_the_phrases() -> None:
    phrases = from_phrases(TOPICS)
    probabilities = tfidf_probabilities(phrases, phrases.texts)
    assert (probabilities.argmax(axis=1) == phrases.labels.argmax(axis=1)).mean() > 0.95
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_a_topic_without_examples_is_never_given() -> None:
    phrases = from_phrases(TOPICS)
    without = phrases.take(np.flatnonzero(phrases.labels[:, 4] == 0))
    assert (tfidf_probabilities(without, ("电商直播带货",))[:, 4] == 0).all()
