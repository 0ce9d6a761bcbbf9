"""The formats of review files, by their endings, both ways."""

from collections.abc import Sequence
from pathlib import Path

from data.review.doccano import read_lines, write_lines
from data.review.judgements import ReviewFile, ReviewItem
from data.review.label_studio import read_export, write_tasks
from data.review.spreadsheet import read_csv, write_csv
from data.topics import Topic

# What is written, and what it is for.
ENDINGS = {".csv": "Excel", ".json": "Label Studio", ".jsonl": "doccano"}
# Excel's "Unicode text" is a table with tabs that ends in .txt.
_TABLES = (".csv", ".tsv", ".txt")


def refuse_unwritable(path: Path) -> None:
    """Refuse what `write_items` would, before any work is done; raises as it does."""
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"{path}: unknown ending; {_endings()}")
    if path.exists():
        raise FileExistsError(f"{path}: is there already and may be filled in; move it away, or give another name")


def write_items(items: Sequence[ReviewItem], topics: Sequence[Topic], path: Path, model: str) -> None:
    """Write a review file under a temporary name, then rename it. `model` is the model's version.

    Raises:
        ValueError: the ending is none of `ENDINGS`.
        FileExistsError: there is a file already, which somebody may be filling in.
        OSError: it cannot be written.
    """
    refuse_unwritable(path)
    ending = path.suffix.lower()
    unfinished = path.with_name(path.name + ".partial")
    if ending == ".csv":
        write_csv(items, topics, unfinished)
    elif ending == ".json":
        write_tasks(items, topics, unfinished, model)
    else:
        write_lines(items, topics, unfinished)
    unfinished.replace(path)


def read_judgements(path: Path, topics: Sequence[Topic]) -> ReviewFile:
    """Read a review file that came back.

    Raises:
        OSError: it cannot be read.
        ValueError: the ending is unknown, or the whole file is wrong.
    """
    ending = path.suffix.lower()
    if ending in _TABLES:
        return read_csv(path, topics)
    if ending == ".json":
        return read_export(path, topics)
    if ending == ".jsonl":
        return read_lines(path, topics)
    raise ValueError(f"{path}: unknown ending; {_endings()}")


def _endings() -> str:
    return ", ".join(f"{ending} is for {program}" for ending, program in ENDINGS.items())
