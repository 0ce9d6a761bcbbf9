"""The index is that of the formula, chance is what the formula for it says, and small samples are told."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from models import store
from models.artifact import read_artifact
from models.out_of_fold import OUT_OF_FOLD_FILE, write_out_of_fold
from models.store import RELEASED
from serving.summary.drift import compare, training_of


def test_the_index_is_that_of_the_formula() -> None:
    found = compare([500_000, 500_000], [250_000, 750_000])
    expected = (0.25 - 0.5) * math.log(0.25 / 0.5) + (0.75 - 0.5) * math.log(0.75 / 0.5)
    assert found.psi == pytest.approx(expected, rel=1e-4)
    assert str(found) == "shift"


@pytest.mark.parametrize(("share", "said"), [(0.5, "stable"), (0.36, "stable"), (0.3, "some shift"), (0.2, "shift")])
def test_the_bounds_are_read_as_usual(share: float, said: str) -> None:
    assert str(compare([5000, 5000], [round(10000 * share), round(10000 * (1 - share))])) == said


def test_what_chance_makes_is_as_large_as_said() -> None:
    """Draws from one distribution, where nothing has moved."""
    chance = np.random.default_rng(5)
    shares = np.array([0.7, 0.1, 0.05, 0.03, 0.02, 0.02, 0.03, 0.05])
    m, n = 4000, 600
    found = [
        compare(chance.multinomial(m, shares).tolist(), chance.multinomial(n, shares).tolist()) for _ in range(800)
    ]
    assert all(one.paragraphs == n >= one.needed for one in found)
    assert all(one.by_chance == pytest.approx(7 * (1 / m + 1 / n)) for one in found)
    assert np.mean([one.psi for one in found]) == pytest.approx(found[0].by_chance, rel=0.1)


def test_rare_bins_are_joined_with_their_neighbours() -> None:
    # 3 and 4 of 1,000 are too few: joined, both sides have the same shares.
    found = compare([600, 3, 4, 393], [600, 4, 3, 393])
    assert found.psi == 0 and found.by_chance == pytest.approx(1 / 1000 + 1 / 1000)


def test_an_empty_bin_does_not_make_it_infinite() -> None:
    found = compare([900, 100], [1000, 0])
    assert 0.25 < found.psi < 1


def test_too_few_paragraphs_are_told() -> None:
    training = [900, 100]
    assert str(compare(training, [45, 4])) == "too few paragraphs, trust it from 50 on"
    assert str(compare(training, [45, 5])) == "stable"
    # Rare in the training, so that nothing can be compared.
    assert str(compare([995, 5], [500, 500])) == "too few such paragraphs in the training"
    # So little training that chance alone makes half of what is read as a shift.
    assert str(compare([12, 12, 12], [5000, 5000, 5000])) == "too few such paragraphs in the training"


def test_the_training_of_the_released_model_is_counted_as_its_own_report_counts_it() -> None:
    artifact = read_artifact(RELEASED)
    training = training_of(artifact.version)
    total = training.counts.total()
    origins = [figures for name, figures in artifact.metrics.items() if name.endswith("out of fold")]
    assert total.paragraphs == sum(figures["n_paragraphs"] for figures in origins)
    unsure = sum(figures["unsure_share"] * figures["n_paragraphs"] for figures in origins)
    assert total.answers["unsure"] == pytest.approx(unsure, abs=1)
    for place, topic in enumerate(training.counts.topics):
        # Given rightly, over precision, is given.
        each = [(figures["topics"][topic], figures) for figures in origins]
        given = sum(score["n"] * score["recall"] / score["precision"] for score, _ in each)
        assert total.topics[place] == pytest.approx(given, rel=0.01)
        assert sum(training.counts.scores[place]) == total.paragraphs
        assert compare(training.counts.scores[place], training.counts.scores[place]).psi == 0
    assert training.has_lengths and sum(training.counts.lengths) == total.paragraphs


def test_an_unknown_version_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "STORE", tmp_path)
    with pytest.raises(FileNotFoundError, match="neither the released one nor in the store"):
        training_of("tiny-1")


@pytest.fixture
def stored(tiny_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny artifact as a version of the store."""
    monkeypatch.setattr(store, "STORE", tmp_path)
    return Path(shutil.copytree(tiny_artifact, tmp_path / "models" / "tiny" / "tiny-1"))


def test_a_version_of_the_store(stored: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"{OUT_OF_FOLD_FILE}: missing"):
        training_of("tiny-1")
    logits = np.zeros((3, 5), np.float32)
    # The scale is 0.5, the threshold 0.5, the band 0.45 to 0.55.
    logits[:, :] = -8
    logits[0, 1], logits[1, 2] = 8, 0.1
    write_out_of_fold(stored, ["x", "y", "z"], ["一" * 30, "二", "三"], logits)
    counts = training_of("tiny-1").counts
    total = counts.total()
    assert total.answers == {"topics": 1, "none": 1, "unsure": 1} and total.topics == [0, 1, 1, 0, 0]
    assert counts.lengths[:2] == [2, 1]
    assert counts.scores[1][0] == 2 and counts.scores[1][19] == 1 and counts.scores[2][10] == 1


def test_a_version_of_before_lengths_were_kept(stored: Path) -> None:
    (stored / OUT_OF_FOLD_FILE).write_text(json.dumps({"id": "x", "logits": [0, 1, 2, 3, 4]}) + "\n")
    assert not training_of("tiny-1").has_lengths


def test_scores_of_other_topics_are_damage(stored: Path) -> None:
    write_out_of_fold(stored, ["x"], ["一"], np.zeros((1, 4), np.float32))
    with pytest.raises(ValueError, match="is of other topics"):
        training_of("tiny-1")
