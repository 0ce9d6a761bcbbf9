"""The report's pictures."""

from pathlib import Path

import matplotlib
import numpy as np
from sklearn.metrics import precision_recall_curve

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.metrics import N_BINS


def draw_reliability(path: Path, ids: list[str], labels: np.ndarray, probabilities: np.ndarray) -> None:
    """Draw how often a topic applies at each predicted probability; the diagonal is perfect."""
    figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    for column, topic in enumerate(ids):
        bins = np.minimum((probabilities[:, column] * N_BINS).astype(int), N_BINS - 1)
        used = [number for number in range(N_BINS) if (bins == number).sum() >= 3]
        predicted = [probabilities[bins == number, column].mean() for number in used]
        observed = [labels[bins == number, column].mean() for number in used]
        axes.plot(predicted, observed, marker="o", label=topic)
    axes.set(xlabel="predicted probability", ylabel="share that carries the topic", title="Reliability, out of fold")
    _save(figure, axes, path)


def draw_precision_recall(path: Path, ids: list[str], labels: np.ndarray, probabilities: np.ndarray) -> None:
    """Draw precision against recall over all thresholds, a curve for each topic."""
    figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
    for column, topic in enumerate(ids):
        if labels[:, column].any():
            precision, recall, _ = precision_recall_curve(labels[:, column], probabilities[:, column])
            axes.plot(recall, precision, label=topic)
    axes.set(
        xlabel="recall", ylabel="precision", title="Precision and recall, out of fold", xlim=(0, 1.02), ylim=(0, 1.02)
    )
    _save(figure, axes, path)


def draw_selection(path: Path, labels: list[int], scores: dict[str, np.ndarray]) -> None:
    """Draw macro F1 (seeds, points) of each method against the labels spent; the band is a standard deviation."""
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for method, found in scores.items():
        mean, spread = found.mean(axis=0), found.std(axis=0)
        axes.plot(labels, mean, marker="o", label=method)
        axes.fill_between(labels, mean - spread, mean + spread, alpha=0.2)
    axes.set(xlabel="labels", ylabel="macro F1 on held-out writers", title="Chosen labels against random ones")
    _save(figure, axes, path)


def _save(figure: Figure, axes: Axes, path: Path) -> None:
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
