"""The recipes that `make compare` sets against each other.

Each takes training examples and returns logits for validation examples. The one that
ships is `frozen_and_lexicon`. Those that lost are in `COMPARISON.md` only.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data.topics import Topic
from training import baselines
from training.fine_tune import Prepared, fine_tune, predict_logits
from training.fit_lexicon import fit_lexicon
from training.frozen import logits_on_frozen
from training.settings import TrainSettings

TUNED_EPOCHS = 2


@dataclass(frozen=True)
class Task:
    """One comparison: what to learn from and what to score."""

    train: Prepared
    phrases: Prepared
    validation: Prepared
    topics: tuple[Topic, ...]
    settings: TrainSettings

    @property
    def known(self) -> Prepared:
        """Training examples and phrases."""
        return self.train.joined(self.phrases)


Recipe = Callable[[Task], np.ndarray]


def keywords(task: Task) -> np.ndarray:
    """Give a topic where one of its keywords stands."""
    return baselines.keyword_decisions(task.validation.examples.texts, task.topics) * 2.0 - 1


def tfidf(task: Task) -> np.ndarray:
    """Logistic regression on TF-IDF of 1 to 3 characters."""
    shares = baselines.tfidf_probabilities(task.known.examples, task.validation.examples.texts)
    return np.log((shares + 1e-6) / (1 - shares + 1e-6))


def frozen_and_lexicon(task: Task) -> np.ndarray:
    """The head on the frozen encoder, its logits added to those of the lexicon: what ships."""
    (logits,) = logits_on_frozen(task.known, [task.validation], task.settings)
    return logits


def fine_tuned_and_lexicon(task: Task) -> np.ndarray:
    """The same after two epochs of fine-tuning the upper layers."""
    settings = replace(task.settings, num_train_epochs=TUNED_EPOCHS)
    with tempfile.TemporaryDirectory() as folder:
        logits = predict_logits(fine_tune(task.known, settings, Path(folder)), task.validation)
    total: np.ndarray = logits + fit_lexicon(task.known.examples).logits(task.validation.examples.texts)
    return total


RECIPES: dict[str, Recipe] = {
    recipe.__name__: recipe for recipe in (keywords, tfidf, frozen_and_lexicon, fine_tuned_and_lexicon)
}
