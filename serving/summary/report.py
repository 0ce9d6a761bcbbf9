"""The summary of one version's tags as Markdown, and as a table of every source and month."""

import csv
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from serving.batch.run_files import replaced
from serving.summary.counts import SCORE_BINS, Cell, Counts
from serving.summary.drift import LITTLE, MUCH, Stability, Training, compare

# More rows are counted together in the report; `write_cells` writes them all.
MAX_ROWS = 40
# Where the table of scores cuts; all are edges of the histogram.
SCORE_EDGES = (0, 0.05, 0.2, 0.5, 0.8, 0.95, 1)


def overview(counts: Counts, names: Mapping[str, str]) -> list[str]:
    """Return lines on topics, sources and months.

    Args:
        counts: with at least one paragraph.
        names: of the topics by id; empty where they are not known.
    """
    total = counts.total()
    none, unsure = (total.answers[answer] / total.paragraphs for answer in ("none", "unsure"))
    named = [f"`{topic}` {names[topic]}" if names[topic] else f"`{topic}`" for topic in counts.topics]
    return [
        f"{total.paragraphs:,} paragraphs: {none:.1%} none, {unsure:.1%} unsure. Topics: {', '.join(named)}. A topic's "
        "share is that of the paragraphs that were given it, best guesses of unsure ones included.\n",
        "### By source\n",
        *_cells_table("source", _shorten(counts.by_source(), "sources", keep_last=False), counts.topics),
        "### By month\n",
        *_cells_table("month", _shorten(counts.by_month(), "months", keep_last=True), counts.topics),
        "### Scores\n",
        "Share of the paragraphs with a score in each range.\n",
        *_scores_table(counts),
    ]


def drift_section(counts: Counts, training: Training) -> list[str]:
    """Return lines on how far the tags have moved from the training data."""
    then, now = training.counts.total(), counts.total()
    rows = []
    for place, topic in enumerate(counts.topics):
        stability = compare(training.counts.scores[place], counts.scores[place])
        rows.append([f"scores of `{topic}`", "", "", *_cells(stability)])
    for place, topic in enumerate(counts.topics):
        rows.append(_share_row(f"`{topic}` given", then, now, then.topics[place], now.topics[place]))
    for answer in ("none", "unsure"):
        rows.append(_share_row(f"answer `{answer}`", then, now, then.answers[answer], now.answers[answer]))
    if training.has_lengths:
        rows.append(["length in characters", "", "", *_cells(compare(training.counts.lengths, counts.lengths))])
    missing = "" if training.has_lengths else " This version kept no lengths of its training paragraphs."
    return [
        "### Drift against the training data\n",
        f"Population stability index (PSI) against the {then.paragraphs:,} training paragraphs, each scored by a network "
        "that had not seen its article or writer. "
        f"Below {LITTLE} the usual reading is stable, to {MUCH} some shift, above it shift. `by chance` is what the index "
        "comes to where nothing has moved; paragraphs of one article resemble each other, which makes it a little more. "
        "Training paragraphs were chosen to hold the topics: that an archive holds them less often is no fault of the "
        f"model. What has moved is worth a look, not proof that the tags are worse.{missing}\n",
        *_table(["", "training", "here", "PSI", "by chance", ""], rows),
    ]


def write_cells(path: Path, versions: Mapping[str, Counts]) -> None:
    """Write the counts of every version, source and month as a CSV table that opens in Excel."""
    topics = list(dict.fromkeys(topic for counts in versions.values() for topic in counts.topics))
    with replaced(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "source", "month", "paragraphs", *topics, "none", "unsure"])
        for version, counts in versions.items():
            for (source, month), cell in sorted(counts.cells.items()):
                given = dict(zip(counts.topics, cell.topics, strict=True))
                shared = [given.get(topic, "") for topic in topics]
                writer.writerow(
                    [version, source, month, cell.paragraphs, *shared, cell.answers["none"], cell.answers["unsure"]]
                )


def visible(text: str) -> str:
    """Return text of a record as it can stand in a table: what no one sees is escaped, and so is what Markdown reads."""
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return "".join(f"\\{char}" if char in "\\`*[]<>|" else char for char in shown)


def _shorten(cells: Mapping[str, Cell], what: str, keep_last: bool) -> dict[str, Cell]:
    """Return at most `MAX_ROWS` cells and the sum of the others."""
    keys = list(cells)
    kept = keys[-MAX_ROWS:] if keep_last else keys[:MAX_ROWS]
    rest = [cells[key] for key in keys if key not in kept]
    shown = {visible(key): cells[key] for key in kept}
    if not rest:
        return shown
    others = Cell(0, [0] * len(rest[0].topics))
    for cell in rest:
        others.add(cell)
    label = f"{len(rest)} {'earlier' if keep_last else 'smaller'} {what}"
    return {label: others, **shown} if keep_last else {**shown, label: others}


def _cells_table(what: str, cells: Mapping[str, Cell], topics: Sequence[str]) -> list[str]:
    rows = []
    for key, cell in cells.items():
        counted = [*cell.topics, cell.answers["none"], cell.answers["unsure"]]
        rows.append([key, f"{cell.paragraphs:,}", *(f"{count / cell.paragraphs:.1%}" for count in counted)])
    return _table([what, "paragraphs", *(f"`{topic}`" for topic in topics), "none", "unsure"], rows)


def _scores_table(counts: Counts) -> list[str]:
    bins = [round(edge * SCORE_BINS) for edge in SCORE_EDGES]
    heads = [f"{low:g} to {high:g}" for low, high in pairwise(SCORE_EDGES)]
    rows = []
    for topic, histogram in zip(counts.topics, counts.scores, strict=True):
        parts = [sum(histogram[start:end]) / sum(histogram) for start, end in pairwise(bins)]
        rows.append([f"`{topic}`", *(f"{part:.1%}" for part in parts)])
    return _table(["topic", *heads], rows)


def _share_row(label: str, then: Cell, now: Cell, n_then: int, n_now: int) -> list[str]:
    stability = compare([then.paragraphs - n_then, n_then], [now.paragraphs - n_now, n_now])
    return [label, f"{n_then / then.paragraphs:.1%}", f"{n_now / now.paragraphs:.1%}", *_cells(stability)]


def _cells(stability: Stability) -> list[str]:
    return [f"{stability.psi:.3f}", f"{stability.by_chance:.3f}", str(stability)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [*(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)), ""]
