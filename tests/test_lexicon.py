"""The lexicon: its arithmetic against scikit-learn's, its file, its fit."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.feature_extraction.text import TfidfVectorizer

from data.topics import load_topics
from models.lexicon import Lexicon, cut_grams
from models.network import UNKNOWN
from training.examples import Examples, from_phrases
from training.fit_lexicon import fit_lexicon

PHRASES = from_phrases(load_topics(), exclusive=True)


def small() -> Lexicon:
    weights = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)
    return Lexicon(("村", "直播"), np.array([1.0, 2.0], np.float32), weights, np.array([0.25, -0.5], np.float32))


def test_sequences_of_one_to_three_characters_white_space_and_case_aside() -> None:
    assert cut_grams("Ａb 村\n") == ["a", "b", "村", "ab", "b村", "ab村"]
    assert cut_grams(" \n") == []


def test_logits_by_hand() -> None:
    # 村 twice: 1 + ln 2; 直播 once, times its idf of 2.
    values = np.array([1 + np.log(2), 2.0])
    values /= np.linalg.norm(values)
    expected = [values @ [1, 0.5] + 0.25, values @ [-2, 3] - 0.5]
    assert small().logits(["村里和邻村都在直播"])[0] == pytest.approx(expected, abs=1e-5)


def test_a_text_without_known_sequences_gets_the_bias() -> None:
    assert small().logits(["今天下雨", ""]).tolist() == [[0.25, -0.5]] * 2
    assert small().logits([]).shape == (0, 2)


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    small().save(tmp_path / "lexicon.safetensors")
    texts = ["村里直播", "村", ""]
    assert np.allclose(Lexicon.load(tmp_path / "lexicon.safetensors").logits(texts), small().logits(texts), atol=1e-3)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.safetensors"
    small().save(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"lexicon\.safetensors: damaged \("):
        Lexicon.load(path)
    save_file({"weights": np.zeros(3, np.float32)}, path)
    with pytest.raises(ValueError, match="no lexicon"):
        Lexicon.load(path)
    parts = {"grams": np.frombuffer("村".encode(), np.uint8), "idf": np.ones(2, np.float32)}
    save_file({**parts, "weights": np.zeros((1, 2), np.float16), "bias": np.zeros(2, np.float32)}, path)
    with pytest.raises(ValueError, match="its parts do not fit together"):
        Lexicon.load(path)


def test_the_fit_is_scikit_learns_model() -> None:
    lexicon = fit_lexicon(PHRASES.take(range(0, len(PHRASES), 2)))
    vectorizer = TfidfVectorizer(analyzer=cut_grams, min_df=2, sublinear_tf=True)
    vectorizer.fit(PHRASES.take(range(0, len(PHRASES), 2)).texts)
    expected = vectorizer.transform(PHRASES.texts) @ lexicon.weights + lexicon.bias
    assert np.allclose(lexicon.logits(PHRASES.texts), expected, atol=1e-4)


@pytest.mark.parametrize("exclusive", [True, False])
def test_phrases_are_learnt(exclusive: bool) -> None:
    examples = Examples(
        *[getattr(PHRASES, name) for name in ("ids", "texts", "labels", "groups", "origins")], exclusive
    )
    found = fit_lexicon(examples).logits(PHRASES.texts)
    assert (found.argmax(axis=1) == PHRASES.labels.argmax(axis=1)).mean() > 0.95


def test_unknown_labels_and_topics_without_examples_do_not_disturb() -> None:
    labels = PHRASES.labels.copy()
    labels[:50, 0] = UNKNOWN
    labels[:, 1] = 0
    examples = Examples(PHRASES.ids, PHRASES.texts, labels, PHRASES.groups, PHRASES.origins)
    found = fit_lexicon(examples).logits(PHRASES.texts)
    assert (found[:, 1] == -4).all()
    assert np.isfinite(found).all()


def test_two_exclusive_topics_are_two_sides_of_one_decision() -> None:
    places = np.flatnonzero(PHRASES.labels[:, :2].any(axis=1))
    part = PHRASES.take(places)
    examples = Examples(part.ids, part.texts, part.labels[:, :2], part.groups, part.origins, True)
    found = fit_lexicon(examples).logits(examples.texts)
    assert np.allclose(found[:, 0], -found[:, 1], atol=1e-4)
    assert (found.argmax(axis=1) == examples.labels.argmax(axis=1)).mean() > 0.95


def test_texts_that_share_nothing_teach_nothing() -> None:
    names = ("a", "b")
    examples = Examples(names, ("甲", "乙"), np.eye(2, dtype=np.float32), names, names)
    assert fit_lexicon(examples).logits(["甲"]).tolist() == [[0, 0]]
