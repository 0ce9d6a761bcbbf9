"""The pictures of a summary: topics by month and by source, and the scores of each topic."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")

from matplotlib import font_manager
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from models.decisions import Answer
from serving.batch.run_files import replaced
from serving.summary.counts import SCORE_BINS, Cell, Counts

# Comes with matplotlib and has a glyph of every character, which shows no more than its block.
_NOT_FOR_READING = "Last Resort High-Efficiency"
# matplotlib's own font, which numbers and ids are drawn with.
_PLAIN = "DejaVu Sans"
# More months, and more sources, make no picture that can be read.
MAX_MONTHS, MAX_DRAWN = 60, 12

Lines = list[tuple[str, list[float]]]
"""What is drawn in one panel: labels and values."""


def legends(names: Mapping[str, str]) -> dict[str, str]:
    """Return what stands in pictures for each topic id: its name if a font has its characters, else the id."""
    font = find_font("".join(names.values()))
    return {topic: name if font and name else topic for topic, name in names.items()}


@cache
def find_font(text: str) -> str | None:
    """Return the name of an installed font that has every character of the text, or None."""
    needed = {ord(char) for char in text}
    for entry in sorted(font_manager.fontManager.ttflist, key=lambda one: (one.style != "normal", one.name)):
        # The list is kept between runs; a font may have been removed since.
        if entry.name != _NOT_FOR_READING and Path(entry.fname).is_file():
            try:
                has = font_manager.get_font(entry.fname).get_charmap()
            except (OSError, RuntimeError):
                continue
            if needed <= has.keys():
                return entry.name
    return None


def draw_months(path: Path, months: Mapping[str, Cell], names: Mapping[str, str]) -> None:
    """Draw the share of paragraphs with each topic, and of none and unsure, over the last `MAX_MONTHS` months."""
    shown = dict(list(months.items())[-MAX_MONTHS:])
    with plt.rc_context(_style(names)):
        figure, panels = plt.subplots(
            2, sharex=True, figsize=(max(7, 0.35 * len(shown)), 7), height_ratios=(2, 1), layout="constrained"
        )
        for axes, lines in zip(panels, _shares(list(shown.values()), names), strict=True):
            for label, shares in lines:
                axes.plot(range(len(shown)), shares, marker="o", label=label)
            axes.set(ylabel="share of paragraphs", ylim=(0, None))
            axes.legend(fontsize=8)
        panels[0].set_title("Topics by month")
        panels[1].set_xticks(range(len(shown)), list(shown), rotation=90)
        _save(figure, path)


def draw_sources(path: Path, sources: Mapping[str, Cell], names: Mapping[str, str]) -> None:
    """Draw the share of paragraphs with each topic, and of none and unsure, in the first `MAX_DRAWN` sources."""
    shown = dict(list(sources.items())[:MAX_DRAWN])
    # Without a font for their names they are told by their places in the report's table.
    written = find_font("".join(shown)) is not None
    labels = [name if written else f"source {place}" for place, name in enumerate(shown, start=1)]
    with plt.rc_context(_style(names, shown)):
        figure, panels = plt.subplots(
            1, 2, sharey=True, figsize=(10, 2 + 0.7 * len(shown)), width_ratios=(2, 1), layout="constrained"
        )
        for axes, bars in zip(panels, _shares(list(shown.values()), names), strict=True):
            height = 0.8 / len(bars)
            for number, (label, shares) in enumerate(bars):
                axes.barh(np.arange(len(shown)) + (number + 0.5) * height, shares, height=height, label=label)
            axes.set(xlabel="share of paragraphs", xlim=(0, None))
            axes.legend(fontsize=8)
        panels[0].set_title("Topics by source")
        panels[0].set_yticks(np.arange(len(shown)) + 0.4, labels)
        panels[0].invert_yaxis()
        _save(figure, path)


def draw_scores(path: Path, counts: Counts, training: Counts | None, names: Mapping[str, str]) -> None:
    """Draw how the scores of each topic are distributed, beside the training paragraphs' if these are known."""
    edges = np.linspace(0, 1, SCORE_BINS + 1)
    with plt.rc_context(_style(names)):
        rows = -(-len(counts.topics) // 3)
        figure, grid = plt.subplots(rows, 3, figsize=(12, 3.2 * rows), layout="constrained", squeeze=False, sharey=True)
        for axes in grid.flat[len(counts.topics) :]:
            axes.set_axis_off()
        for place, (topic, axes) in enumerate(zip(counts.topics, grid.flat, strict=False)):
            axes.stairs(_part(counts.scores[place]), edges, fill=True, alpha=0.5, label="these paragraphs")
            if training is not None:
                axes.stairs(_part(training.scores[place]), edges, color="black", label="training, out of fold")
            axes.set(xlabel="score", ylabel="share of paragraphs", title=names[topic], yscale="log")
            axes.minorticks_off()
        grid.flat[0].legend(fontsize=8)
        _save(figure, path)


def _shares(cells: Sequence[Cell], names: Mapping[str, str]) -> tuple[Lines, Lines]:
    """Return the share of paragraphs in each cell: with each topic; answered none and unsure."""
    topics = [
        (name, [cell.topics[place] / cell.paragraphs for cell in cells]) for place, name in enumerate(names.values())
    ]
    rest: tuple[Answer, ...] = ("none", "unsure")
    return topics, [(answer, [cell.answers[answer] / cell.paragraphs for cell in cells]) for answer in rest]


def _part(histogram: Sequence[int]) -> np.ndarray:
    return np.array(histogram) / sum(histogram)


def _style(names: Mapping[str, str], more: Iterable[str] = ()) -> Any:
    """Return settings of matplotlib: fonts that have these characters, and no formulas between dollar signs."""
    found = [find_font("".join(texts)) for texts in (names.values(), more)]
    return {"font.family": [_PLAIN, *dict.fromkeys(filter(None, found))], "text.parse_math": False}


def _save(figure: Figure, path: Path) -> None:
    with replaced(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    plt.close(figure)
