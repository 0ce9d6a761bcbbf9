"""Probabilities, thresholds and bands from out-of-fold logits."""

import numpy as np
import pytest

from models.decisions import to_probability
from training.calibrate import MAX_BAND_SHARE, fit_platt, pick_band, pick_threshold


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


def test_a_topic_without_examples_keeps_one_half() -> None:
    assert pick_threshold(np.full(4, 0.3), np.zeros(4, bool), ("a",) * 4, seed=1) == 0.5


def test_the_band_holds_the_doubtful_decisions() -> None:
    probabilities = np.concatenate([np.full(50, 0.01), np.full(2, 0.45), np.full(2, 0.55), np.full(50, 0.99)])
    truth = np.concatenate([np.zeros(50, bool), np.ones(2, bool), np.zeros(2, bool), np.ones(50, bool)])
    low, high = pick_band(probabilities, truth, threshold=0.5)
    assert low < 0.45 < 0.55 < high
    outside = (probabilities < low) | (probabilities >= high)
    assert ((probabilities >= 0.5) == truth)[outside].mean() >= 0.97


def test_the_band_stays_narrow_when_everything_is_wrong() -> None:
    draw = np.random.default_rng(3)
    probabilities = draw.random(200)
    low, high = pick_band(probabilities, probabilities < 0.5, threshold=0.5)
    assert ((probabilities >= low) & (probabilities < high)).mean() <= MAX_BAND_SHARE


def test_no_band_where_all_is_right() -> None:
    probabilities = np.array([0.1, 0.9] * 20)
    low, high = pick_band(probabilities, probabilities > 0.5, threshold=0.5)
    assert low == high == 0.5
