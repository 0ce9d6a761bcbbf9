"""Bring the answers of a review file into the annotation set.

    python -m training.annotate review.csv [--by NAME]

New paragraphs go to the end of the first annotation file, changed ones stay where they
are. Wrong and conflicting rows are listed and left out, and the exit status is then 1.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from data.annotation_file import changed_text
from data.annotations import DEFAULT_FILES, load_annotation_files
from data.review.corrections import Corrections, Settling
from data.review.judgements import Judgement, TopicNames
from data.seed_paragraphs import SEEDS, read_seeds
from data.topics import DEFAULT_TOPICS, Topic, load_topics
from training.near_duplicates import near_duplicates
from training.review_files import read_judgements
from training.split_guard import load_test_texts
from training.whole_files import write_whole

DEFAULT_NAME = "editor"


def annotate(
    path: Path, files: Sequence[Path], topics: Sequence[Topic], seeds: Path, by: str, when: str
) -> Corrections:
    """Read a review file, settle it with the annotation files and write these.

    Args:
        path: the review file.
        files: annotation files; new paragraphs are added to the first.
        topics: the known topics.
        seeds: the folder of the articles.
        by: who filled it in.
        when: the day, ISO 8601.

    Returns:
        what was changed, and what was not and why.

    Raises:
        OSError, ValueError: a file cannot be read or is wrong as a whole; nothing is changed.
    """
    review = read_judgements(path, topics)
    annotations = load_annotation_files(files, topics)
    paragraphs, _ = read_seeds(seeds)
    judgements, tested = _without_tested(review.judgements)
    found = Settling(annotations, paragraphs, TopicNames(topics), by, when).settle(judgements)
    found.problems[:0] = [*review.problems, *tested]
    changed = {**found.changed, **found.confirmed}
    for place, file in enumerate(files):
        text = file.read_bytes().decode("utf-8")
        after = changed_text(text, changed, list(found.added.values()) if place == 0 else [])
        if after != text:
            write_whole(file, after)
    return found


def _without_tested(judgements: Sequence[Judgement]) -> tuple[list[Judgement], list[str]]:
    """Leave out judgements on what is, or nearly is, a test paragraph; say which."""
    found = {row for row, _ in near_duplicates([one.text for one in judgements], load_test_texts())}
    refused = {row for row in found if judgements[row].topics is not None}
    problems = [
        f"{judgements[row].where}: '{judgements[row].id}' stands, or nearly stands, in a test file, which training "
        "never reads; delete the row"
        for row in sorted(refused)
    ]
    return [one for row, one in enumerate(judgements) if row not in refused], problems


def main(arguments: list[str] | None = None) -> int:
    """Bring a review file in and say what it changed. Exit status 1 if something was left out."""
    parser = argparse.ArgumentParser(prog="python -m training.annotate", description="Bring corrections back.")
    parser.add_argument("file", type=Path, help="the review file, filled in")
    parser.add_argument("--by", default=DEFAULT_NAME, help="who filled it in")
    parser.add_argument("--annotations", type=Path, nargs="+", default=DEFAULT_FILES)
    parser.add_argument("--topics", type=Path, default=DEFAULT_TOPICS)
    parser.add_argument("--seeds", type=Path, default=SEEDS, help="the folder of the articles")
    options = parser.parse_args(arguments)
    try:
        topics = load_topics(options.topics)
        today = date.today().isoformat()
        found = annotate(options.file, options.annotations, topics, options.seeds, options.by, today)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    for problem in found.problems:
        print(f"wrong: {problem}", file=sys.stderr)
    for conflict in found.conflicts:
        print(f"conflict: {conflict}", file=sys.stderr)
    print(f"{len(found.added)} paragraphs added, {len(found.changed)} changed, {len(found.confirmed)} confirmed")
    print(f"{found.same} said so already, {found.unfilled} not filled in")
    left = len(found.problems) + len(found.conflicts)
    if left:
        print(f"{left} wrong or in conflict, see above: mend the file and give it again; the rest is taken over")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
