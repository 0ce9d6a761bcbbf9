"""Figures against hand-computed values and scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from models.decisions import Decisions
from models.network import UNKNOWN
from training.examples import Examples
from training.metrics import calibration_error, interval, macro_f1, measure, micro_f1, score_topics

LABELS = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], dtype=np.float32)
GIVEN = np.array([[True, False], [False, True], [False, False], [True, True]])


def test_f1_by_hand() -> None:
    # Topic 0: one right, one missed, one false, F1 1/2; topic 1: all right.
    assert macro_f1(LABELS, GIVEN) == pytest.approx(0.75)
    assert micro_f1(LABELS, GIVEN) == pytest.approx(2 * 3 / (2 * 3 + 2))


def test_what_nobody_has_judged_is_neither_right_nor_wrong() -> None:
    labels = np.array([[1, UNKNOWN, UNKNOWN], [0, UNKNOWN, 1], [1, UNKNOWN, 0]], dtype=np.float32)
    given = np.array([[True, True, True], [False, False, True], [False, True, False]])
    # Topic 0: one right, one missed; topic 1 is left out; topic 2: right where it was judged.
    assert macro_f1(labels, given) == pytest.approx((2 / 3 + 1) / 2)
    assert micro_f1(labels, given) == pytest.approx(2 * 2 / (2 * 2 + 1))
    third = score_topics(["a", "b", "c"], labels, given, given.astype(float))[2]
    assert (third.n, third.precision, third.recall, third.f1) == (1, 1.0, 1.0, 1.0)
    assert score_topics(["a", "b", "c"], labels, given, given.astype(float))[1].f1 == 0


def test_f1_equals_scikit_learns() -> None:
    draw = np.random.default_rng(1)
    labels, given = draw.random((60, 5)) < 0.3, draw.random((60, 5)) < 0.3
    assert macro_f1(labels.astype(np.float32), given) == pytest.approx(f1_score(labels, given, average="macro"))
    assert micro_f1(labels.astype(np.float32), given) == pytest.approx(f1_score(labels, given, average="micro"))


def test_nothing_there_and_nothing_given_is_right() -> None:
    assert macro_f1(np.zeros((3, 2)), np.zeros((3, 2), bool)) == 1.0
    assert micro_f1(np.zeros((3, 2)), np.zeros((3, 2), bool)) == 1.0


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([0.95, 0.95, 0.05, 0.05])
    truth = np.array([True, False, False, False])
    assert calibration_error(probabilities, truth) == pytest.approx(0.5 * 0.45 + 0.5 * 0.05)


def test_topic_scores() -> None:
    first, second = score_topics(["a", "b"], LABELS, GIVEN, np.where(GIVEN, 0.9, 0.1))
    assert (first.n, first.precision, first.recall, first.f1) == (2, 0.5, 0.5, 0.5)
    assert (second.n, second.f1, second.average_precision) == (2, 1.0, 1.0)


def test_the_interval_draws_whole_groups() -> None:
    labels = np.repeat(LABELS, 10, axis=0)
    given = np.repeat(GIVEN, 10, axis=0)
    one_group = interval(macro_f1, labels, given, ("a",) * 40)
    assert one_group == (macro_f1(labels, given),) * 2
    low, high = interval(macro_f1, labels, given, tuple(str(place // 10) for place in range(40)))
    assert low < macro_f1(labels, given) <= high


def test_the_figures_of_a_set_by_hand() -> None:
    names = ("a", "b", "c", "d")
    examples = Examples(names, names, LABELS, names, ("seed",) * 4)
    uncertain = np.array([[False, False], [True, False], [False, False], [False, False]])
    figures = measure(["x", "y"], examples, Decisions(np.where(GIVEN, 0.9, 0.1), GIVEN, uncertain))
    assert (figures["n_paragraphs"], figures["n_groups"]) == (4, 4)
    assert (figures["macro_f1"], figures["accuracy"], figures["unsure_share"]) == (0.75, 0.5, 0.25)
    # Topic x is wrong on the second and fourth paragraph, of which the second is uncertain.
    assert figures["topics"]["x"]["right_outside_band"] == round(2 / 3, 4)
    assert figures["topics"]["y"]["right_outside_band"] == 1.0
