"""Keep test texts out of training: the fixed test files, and a file given with TEST=."""

from collections.abc import Sequence
from pathlib import Path

from data.annotations import DEFAULT_TEST, Annotation, load_annotations
from data.topics import Topic, load_topics
from training.near_duplicates import near_duplicates

# Written by hands that wrote nothing else. Choices are made by figures out of fold; those of these files were in view
# when the present head was chosen.
TEST_FILES = [DEFAULT_TEST]
MAX_NAMED = 5


def load_test_texts() -> list[str]:
    """Return the texts of the fixed test files, whatever their topics."""
    return [annotation.text for annotation in load_test(TEST_FILES, load_topics())]


def refuse_test_texts(annotations: Sequence[Annotation], test_texts: Sequence[str]) -> None:
    """Refuse to train on what is, or nearly is, a paragraph of the fixed test files.

    Raises:
        ValueError: names the paragraphs.
    """
    found = sorted({row for row, _ in near_duplicates([annotation.text for annotation in annotations], test_texts)})
    if found:
        named = ", ".join(f"'{annotations[row].id}'" for row in found[:MAX_NAMED])
        more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
        raise ValueError(
            f"{named}{more}: these paragraphs stand, or nearly stand, in a test file "
            f"({', '.join(path.name for path in TEST_FILES)}), which training never reads; leave them out"
        )


def without_texts_of(annotations: Sequence[Annotation], test: Sequence[Annotation]) -> list[Annotation]:
    """Return the annotations that have no near duplicate among those of a test file given by the user."""
    texts = [annotation.text for annotation in annotations]
    dropped = {row for row, _ in near_duplicates(texts, [annotation.text for annotation in test])}
    return [annotation for row, annotation in enumerate(annotations) if row not in dropped]


def load_test(paths: Sequence[Path], topics: Sequence[Topic]) -> list[Annotation]:
    """Read test files; unlike training files, they may repeat or contradict themselves."""
    return [annotation for path in paths for annotation in load_annotations(path, topics)]
