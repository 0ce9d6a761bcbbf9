"""What more labels would buy: macro F1 against the number of annotated paragraphs.

On the frozen encoder, which takes seconds a point; fine-tuning lifts the curve, not its
slope. Whole articles and writers are added, and held out.
"""

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from data.topics import Topic
from training.examples import split_by_group
from training.fine_tune import Prepared
from training.frozen import f1_by_origin, logits_on_frozen
from training.settings import TrainSettings

SHARES = (0.1, 0.2, 0.4, 0.7, 1.0)


@dataclass(frozen=True)
class Point:
    """Out-of-fold macro F1 when each fold trains on a share of its articles and writers."""

    share: float
    n_paragraphs: int
    """Trained on, mean over the folds."""
    n_groups: int
    """Articles and writers trained on, mean over the folds."""
    macro_f1: dict[str, float]
    """For each origin of the held-out paragraphs."""


def measure_curve(
    paragraphs: Prepared, phrases: Prepared, topics: tuple[Topic, ...], settings: TrainSettings
) -> list[Point]:
    """Measure the curve by cross-validation; thresholds are fitted on the same predictions."""
    folds = split_by_group(paragraphs.examples, settings.n_folds, settings.seed)
    jobs = [(share, fold) for share in SHARES for fold in range(len(folds))]
    logits = {share: np.zeros(paragraphs.examples.labels.shape, np.float32) for share in SHARES}
    sizes: dict[float, list[tuple[int, int]]] = {share: [] for share in SHARES}
    for share, fold in tqdm(jobs, desc="learning curve", unit="fit"):
        train, held_out = folds[fold]
        part = train[_some_groups([paragraphs.examples.groups[place] for place in train], share, settings.seed)]
        known, tested = paragraphs.take(part).joined(phrases), paragraphs.take(held_out)
        (logits[share][held_out],) = logits_on_frozen(known, [tested], settings)
        sizes[share].append((len(part), len({paragraphs.examples.groups[place] for place in part})))
    return [_point(share, sizes[share], paragraphs, logits[share], topics, settings) for share in SHARES]


def _some_groups(groups: list[str], share: float, seed: int) -> np.ndarray:
    """Return the places of a share of the groups; a larger share holds every smaller one."""
    names = np.random.default_rng(seed).permutation(sorted(set(groups)))
    chosen = set(names[: max(1, round(share * len(names)))])
    return np.array([place for place, group in enumerate(groups) if group in chosen])


def _point(
    share: float,
    sizes: list[tuple[int, int]],
    paragraphs: Prepared,
    logits: np.ndarray,
    topics: tuple[Topic, ...],
    settings: TrainSettings,
) -> Point:
    scores = f1_by_origin(paragraphs.examples, logits, topics, settings)
    n_paragraphs, n_groups = np.mean(sizes, axis=0).round().astype(int)
    return Point(share, int(n_paragraphs), int(n_groups), scores)


def gain_of_next(points: list[Point], origin: str, n_labels: int) -> float:
    """Return what macro F1 would gain by so many more labels, by the line through the last three points.

    The line is drawn over the logarithm of the number of paragraphs, along which such
    curves are nearly straight.
    """
    last = points[-3:]
    x = np.log([point.n_paragraphs for point in last])
    slope = np.polyfit(x, [point.macro_f1[origin] for point in last], 1)[0]
    n = last[-1].n_paragraphs
    return float(slope * np.log((n + n_labels) / n))
