"""Probabilities, thresholds and bands from out-of-fold logits."""

import numpy as np
import pytest

from data.topics import load_topics
from models.decisions import decide, to_probability, to_shares
from models.network import UNKNOWN
from training.calibrate import (
    decide_topics,
    fit_offset,
    fit_platt,
    fit_temperature,
    pick_band,
    pick_sure,
    pick_threshold,
)

TOPICS = load_topics()


def sample(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose true log odds are 2 * logit - 1."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2, n)
    return logits, draw.random(n) < to_probability(logits, 2.0, -1.0)


def test_platt_finds_the_scale_and_offset_behind_the_data() -> None:
    scale, offset = fit_platt(*sample(20_000, 1))
    assert scale == pytest.approx(2.0, abs=0.1)
    assert offset == pytest.approx(-1.0, abs=0.1)


@pytest.mark.parametrize("truth", [np.zeros(4, bool), np.ones(4, bool), np.array([True, True, False, False])])
def test_logits_stay_where_there_is_nothing_to_fit(truth: np.ndarray) -> None:
    assert fit_platt(np.array([-2.0, -1.0, 1.0, 2.0]), truth) == (1.0, 0.0)


def test_the_threshold_separates_what_can_be_separated() -> None:
    probabilities = np.array([0.05, 0.1, 0.2, 0.3, 0.55, 0.6, 0.9, 0.95] * 10)
    truth = probabilities > 0.5
    groups = tuple(str(place // 8) for place in range(80))
    assert 0.3 < pick_threshold(probabilities, truth, groups, seed=1) <= 0.55


def test_the_threshold_goes_half_way_to_the_best_one() -> None:
    probabilities = np.array([0.01] * 10 + [0.3] * 10)
    truth = probabilities > 0.2
    groups = tuple(str(place) for place in range(20))
    # All thresholds from 0.2 to 0.3 are best; the one in the middle counts.
    assert pick_threshold(probabilities, truth, groups, seed=1) == pytest.approx((0.5 + 0.26) / 2, abs=0.02)


def test_a_topic_without_examples_keeps_one_half() -> None:
    assert pick_threshold(np.full(4, 0.3), np.zeros(4, bool), ("a",) * 4, seed=1) == 0.5


def test_the_band_holds_the_doubtful_decisions() -> None:
    probabilities = np.concatenate([np.full(50, 0.01), np.full(2, 0.45), np.full(2, 0.55), np.full(50, 0.99)])
    truth = np.concatenate([np.zeros(50, bool), np.ones(2, bool), np.zeros(2, bool), np.ones(50, bool)])
    low, high = pick_band(probabilities, truth, threshold=0.5, max_share=0.05)
    assert low < 0.45 < 0.55 < high
    outside = (probabilities < low) | (probabilities >= high)
    assert ((probabilities >= 0.5) == truth)[outside].mean() >= 0.97


def test_the_band_stays_narrow_when_everything_is_wrong() -> None:
    draw = np.random.default_rng(3)
    probabilities = draw.random(200)
    low, high = pick_band(probabilities, probabilities < 0.5, threshold=0.5, max_share=0.05)
    assert ((probabilities >= low) & (probabilities < high)).mean() <= 0.05


def test_no_band_where_all_is_right() -> None:
    probabilities = np.array([0.1, 0.9] * 20)
    low, high = pick_band(probabilities, probabilities > 0.5, threshold=0.5, max_share=0.05)
    assert low == high == 0.5


def test_the_temperature_behind_the_data_is_found() -> None:
    draw = np.random.default_rng(4)
    logits = draw.normal(0, 3, (20_000, 4))
    shares = to_shares(logits, np.array(1 / 2.5), np.array(0.0))
    truth = (shares.cumsum(axis=1) > draw.random((20_000, 1))).argmax(axis=1)
    assert fit_temperature(logits, np.eye(4)[truth]) == pytest.approx(2.5, rel=0.1)


def test_of_exclusive_topics_the_most_probable_is_given_and_a_close_call_is_unsure() -> None:
    draw = np.random.default_rng(5)
    labels = np.eye(5)[draw.integers(5, size=400)]
    logits = labels * 4 + draw.normal(0, 1, labels.shape)
    decisions = decide_topics(TOPICS, logits, labels, ("a",) * 400, seed=1, exclusive=True)
    decided = decide(decisions, np.array([[4.0, 0, 0, 0, 0], [1.0, 0.9, 0.9, 0.9, 0.9]]), exclusive=True)
    assert decided.given.tolist() == [[True, False, False, False, False]] * 2
    assert decided.uncertain.any(axis=1).tolist() == [False, True]
    assert decided.probabilities.sum(axis=1) == pytest.approx([1, 1], abs=1e-3)


def test_sure_begins_where_decisions_are_right() -> None:
    highest = np.linspace(0.2, 1, 101)
    assert pick_sure(highest, highest >= 0.26) == pytest.approx(0.26, abs=0.02)
    assert (highest < pick_sure(highest, np.zeros(101, bool))).mean() <= 0.15


def test_a_topic_nobody_annotated_is_expected_as_often_as_the_others() -> None:
    draw = np.random.default_rng(6)
    labels = (draw.random((500, 5)) < 0.2).astype(np.float32)
    logits = labels * 6 - 3 + draw.normal(0, 1, labels.shape)
    labels[:, 4] = UNKNOWN
    decisions = decide_topics(TOPICS, logits, labels, tuple(str(row // 5) for row in range(500)), seed=1)
    assert decide(decisions, logits).probabilities[:, 4].mean() == pytest.approx(0.2, abs=0.03)
    assert decisions[4].threshold == 0.5


def test_the_offset_gives_the_share() -> None:
    logits = np.random.default_rng(7).normal(3, 2, 300)
    assert to_probability(logits, 1.0, fit_offset(logits, 0.15)).mean() == pytest.approx(0.15, abs=1e-6)
