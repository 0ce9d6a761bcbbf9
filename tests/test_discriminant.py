"""The linear discriminant: what scikit-learn finds, and no error where it has one."""

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from training.discriminant import ABSENT, LOGIT_SIZE, SHRINKAGE, fit_discriminant


def clouds(n_topics: int, each: int, width: int = 6) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(3)
    topics = np.repeat(np.arange(n_topics), each)
    return draw.normal(size=(n_topics, width))[topics] * 3 + draw.normal(size=(len(topics), width)), topics


def test_it_is_the_linear_discriminant_at_another_scale() -> None:
    vectors, topics = clouds(4, 9)
    vectors, topics = vectors[3:], topics[3:]  # so that one topic is rarer
    weights, bias = fit_discriminant(vectors, topics, 4, np.ones(len(topics)))
    expected = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE).fit(vectors, topics)
    logits, others = vectors @ weights.T + bias, expected.decision_function(vectors)
    others = others - others.mean(axis=1, keepdims=True)
    assert np.allclose(logits, others * LOGIT_SIZE / np.sqrt(np.square(others).mean()))
    assert np.isclose(np.sqrt(np.square(logits).mean()), LOGIT_SIZE)


def test_a_text_of_weight_three_is_a_text_three_times() -> None:
    vectors, topics = clouds(4, 5)
    text_weights = np.where(np.arange(len(topics)) % 5 == 2, 3, 1)
    found = fit_discriminant(vectors, topics, 4, text_weights)
    again = fit_discriminant(
        vectors.repeat(text_weights, 0), topics.repeat(text_weights), 4, np.ones(text_weights.sum())
    )
    plain = fit_discriminant(vectors, topics, 4, np.ones(len(topics)))
    for one, other, another in zip(found, again, plain, strict=True):
        assert np.allclose(one, other)
        assert not np.allclose(one, another)


def test_two_topics_have_a_row_each() -> None:
    vectors, topics = clouds(2, 5)
    weights, bias = fit_discriminant(vectors, topics, 2, np.ones(len(topics)))
    assert weights.shape == (2, 6)
    assert ((vectors @ weights.T + bias).argmax(axis=1) == topics).all()


def test_a_topic_without_a_text_is_never_chosen() -> None:
    vectors, topics = clouds(3, 5)
    topics[topics == 1] = 3
    weights, bias = fit_discriminant(vectors, topics, 4, np.ones(len(topics)))
    assert bias[1] == ABSENT
    assert not weights[1].any()
    assert ((vectors @ weights.T + bias).argmax(axis=1) == topics).all()


def test_with_one_text_a_topic_the_nearest_decides() -> None:
    vectors, topics = clouds(5, 1)
    weights, bias = fit_discriminant(vectors, topics, 5, np.ones(len(topics)))
    assert ((vectors @ weights.T + bias).argmax(axis=1) == topics).all()


def test_a_single_topic_gets_everything() -> None:
    weights, bias = fit_discriminant(*clouds(1, 4), 3, np.ones(4))
    assert np.isfinite(weights).all()
    assert bias.tolist() == [0.0, ABSENT, ABSENT]
