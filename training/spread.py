"""How much the figures hang on the split: whole articles and writers are dealt into folds again with other seeds.

On the frozen encoder. The network that ships is fitted on all paragraphs, whatever the seed; what
changes with it is who is held out with whom, and so where the thresholds fall.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from data.topics import Topic
from training.examples import split_by_group
from training.fine_tune import Prepared
from training.frozen import f1_by_origin, logits_on_frozen
from training.settings import TrainSettings

N_SEEDS = 5


@dataclass(frozen=True)
class Spread:
    """Out-of-fold macro F1 of the paragraphs of one origin, at several seeds."""

    origin: str
    macro_f1: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean(self.macro_f1))

    @property
    def deviation(self) -> float:
        """Standard deviation over the seeds."""
        return float(np.std(self.macro_f1, ddof=1))


def measure_spread(
    paragraphs: Prepared,
    phrases: Prepared,
    topics: tuple[Topic, ...],
    settings: TrainSettings,
    own: Mapping[str, float],
) -> list[Spread]:
    """Cross-validate with further seeds; thresholds are fitted on the same predictions.

    Args:
        paragraphs: what is split.
        phrases: examples that every fold trains on.
        topics: in the order of the label columns.
        settings: of the training.
        own: macro F1 by origin at the training's own seed, which comes first of the `N_SEEDS`.
    """
    found = [own]
    for seed in tqdm(range(settings.seed + 1, settings.seed + N_SEEDS), desc="other splits", unit="split"):
        logits = np.zeros(paragraphs.examples.labels.shape, np.float32)
        for train, held_out in split_by_group(paragraphs.examples, settings.n_folds, seed):
            known, tested = paragraphs.take(train).joined(phrases), paragraphs.take(held_out)
            (logits[held_out],) = logits_on_frozen(known, [tested], settings)
        found.append(f1_by_origin(paragraphs.examples, logits, topics, replace(settings, seed=seed)))
    return [Spread(origin, tuple(scores[origin] for scores in found)) for origin in found[0]]
