"""Summarize what was tagged: topics by source and month, scores, and drift against the training data.

    python -m serving.summary IN [--out FOLDER]

IN is what `make tag` wrote: a file (.jsonl .csv .parquet, the first two also .gz), a folder or
a glob of shards. Writes summary.md, summary.csv (every source and month) and pictures to the
folder, and prints summary.md. Records of several versions of the model are reported apart.
Exit status: 0 all counted, 1 some records are damaged and were left out, 2 nothing written,
130 interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from models.store import MODELS
from serving.batch.run_files import replaced
from serving.batch.tables import printable
from serving.summary.counts import Counts
from serving.summary.drift import Training, training_of
from serving.summary.pictures import draw_months, draw_scores, draw_sources, legends
from serving.summary.report import drift_section, overview, visible, write_cells
from serving.summary.tag_files import find_tag_files, read_tags
from serving.summary.tagged import Tagged

DEFAULT_OUT = MODELS.parent / "report"
# Damaged records beyond these are only counted.
MAX_NAMED = 100
# More versions in one archive are a damaged file.
MAX_VERSIONS = 50


@dataclass
class Totals:
    """Everything counted so far; its size does not depend on how many records there are."""

    versions: dict[str, Counts] = field(default_factory=dict)
    trainings: dict[str, Training | str] = field(default_factory=dict)
    """By version; a text says why nothing is known."""
    n_damaged: int = 0
    damaged: list[str] = field(default_factory=list)
    """File, line and reason of the first ones."""

    def add(self, tagged: Tagged) -> None:
        """Count a record.

        Raises:
            ValueError: it cannot be counted with the others; nothing is.
        """
        version = tagged.model
        if version not in self.trainings:
            if len(self.trainings) == MAX_VERSIONS:
                raise ValueError(f"more than {MAX_VERSIONS} versions of the model")
            self.trainings[version] = _training_or_why(version)
        if version in self.versions:
            self.versions[version].add(tagged)
        else:
            training = self.trainings[version]
            counts = Counts(tuple(tagged.scores) if isinstance(training, str) else training.counts.topics)
            counts.add(tagged)
            self.versions[version] = counts

    def leave_out(self, file: Path, line: int, reason: str) -> None:
        """Count a damaged record and remember the first ones."""
        self.n_damaged += 1
        if len(self.damaged) < MAX_NAMED:
            self.damaged.append(printable(f"{file}, line {line}: {reason}"))

    @property
    def paragraphs(self) -> int:
        """How many were counted."""
        return sum(counts.total().paragraphs for counts in self.versions.values())


def count(files: Sequence[Path]) -> Totals:
    """Count the records of tag files."""
    totals = Totals()
    # On a terminal only (disable=None), to keep logs clean.
    with tqdm(unit=" paragraphs", disable=None) as bar:
        for number, file in enumerate(files):
            bar.set_postfix(files=f"{number}/{len(files)}")
            for line, found in read_tags(file):
                try:
                    if isinstance(found, str):
                        raise ValueError(found)
                    totals.add(found)
                except ValueError as error:
                    totals.leave_out(file, line, str(error))
                bar.update()
    return totals


def _training_or_why(version: str) -> Training | str:
    try:
        return training_of(version)
    except (OSError, ValueError) as error:
        return str(error)


def write_summary(totals: Totals, place: str, n_files: int, out: Path) -> str:
    """Write report, table and pictures to the folder `out`; return the report.

    Args:
        totals: with at least one paragraph.
        place: where the tags were found.
        n_files: how many files they stood in.
        out: made if it is not there; an earlier summary in it is replaced.
    """
    out.mkdir(parents=True, exist_ok=True)
    lines = [
        f"# Summary of {visible(place)}\n",
        f"{totals.paragraphs:,} paragraphs in {n_files:,} file{'s' if n_files > 1 else ''}, "
        f"damaged records left out: {totals.n_damaged:,}.\n",
    ]
    pictures: set[Path] = set()
    for number, (version, counts) in enumerate(totals.versions.items(), start=1):
        training = totals.trainings[version]
        known = None if isinstance(training, str) else training
        names = {topic.id: topic.name for topic in known.artifact.topics} if known else dict.fromkeys(counts.topics, "")
        lines += [f"## Model {visible(version)}\n", *overview(counts, names)]
        if known:
            lines += drift_section(counts, known)
        else:
            lines += ["### Drift against the training data\n", f"Not known: {visible(str(training))}.\n"]
        drawn = _draw(counts, known, legends(names), out / f"summary-{number}")
        lines += ["### Pictures\n", *(f"![{path.stem}]({path.name})\n" for path in drawn)]
        pictures.update(drawn)
    lines += _damaged_section(totals)
    write_cells(out / "summary.csv", totals.versions)
    text = "\n".join(lines)
    with replaced(out / "summary.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    for stale in set(out.glob("summary-*-*.png")) - pictures:
        stale.unlink()
    return text


def _draw(counts: Counts, known: Training | None, names: dict[str, str], stem: Path) -> list[Path]:
    paths = [stem.with_name(f"{stem.name}-{what}.png") for what in ("months", "sources", "scores")]
    draw_months(paths[0], counts.by_month(), names)
    draw_sources(paths[1], counts.by_source(), names)
    draw_scores(paths[2], counts, known.counts if known else None, names)
    return paths


def _damaged_section(totals: Totals) -> list[str]:
    if not totals.n_damaged:
        return []
    more = totals.n_damaged - len(totals.damaged)
    return [
        "## Damaged records, left out\n",
        *(f"- {visible(one)}" for one in totals.damaged),
        *([f"- and {more:,} more"] if more else []),
        "",
    ]


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m serving.summary", description="Summarize what was tagged.")
    parser.add_argument("place", metavar="IN", help="tag file, folder or glob of them")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder for the report (default: report)")
    options = parser.parse_args(arguments)
    try:
        files = find_tag_files(options.place)
        totals = count(files)
        if not totals.versions:
            named = "".join(f"\n{one}" for one in totals.damaged)
            raise ValueError(f"{printable(options.place)}: no record that could be counted{named}")
        print(write_summary(totals, options.place, len(files), options.out))
    except (OSError, ValueError) as error:
        print(printable(str(error)), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; run the same command again", file=sys.stderr)
        return 130
    print(f"written to {printable(options.out / 'summary.md')}")
    if totals.n_damaged:
        print(f"damaged records left out: {totals.n_damaged}; the summary names them", file=sys.stderr)
    return 1 if totals.n_damaged else 0


if __name__ == "__main__":
    sys.exit(main())
