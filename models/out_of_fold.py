"""What a version keeps of its training paragraphs: out-of-fold logits and lengths, no text.

Each paragraph is scored by a network that saw none of its article, so reports and the
drift of new text are measured against scores as new text gets them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

OUT_OF_FOLD_FILE = "out_of_fold.jsonl"


# Compared by identity: arrays have no one answer to whether they are equal.
@dataclass(frozen=True, eq=False)
class OutOfFold:
    """One entry a training paragraph, in the order of the training."""

    ids: tuple[str, ...]
    """Of the annotations."""
    characters: tuple[int, ...]
    """Length of each text; empty in versions of before these were kept."""
    logits: np.ndarray
    """float32 (paragraphs, topics)."""

    def logits_of(self, ids: Sequence[str]) -> np.ndarray:
        """Return the logits (paragraphs, topics) of these paragraphs.

        Raises:
            ValueError: nothing is kept of some paragraph.
        """
        place = {example_id: number for number, example_id in enumerate(self.ids)}
        missing = [example_id for example_id in ids if example_id not in place]
        if missing:
            raise ValueError(
                f"{OUT_OF_FOLD_FILE} of the model holds nothing for {missing[0]}; "
                "the annotations changed since, so train again"
            )
        found: np.ndarray = self.logits[[place[example_id] for example_id in ids]]
        return found


def write_out_of_fold(folder: Path, ids: Sequence[str], texts: Sequence[str], logits: np.ndarray) -> None:
    """Keep the logits (paragraphs, topics) and the lengths of the texts in an artifact folder."""
    with (folder / OUT_OF_FOLD_FILE).open("w", encoding="utf-8") as file:
        for example_id, text, row in zip(ids, texts, logits, strict=True):
            kept = {"id": example_id, "characters": len(text), "logits": [round(float(x), 5) for x in row]}
            file.write(json.dumps(kept) + "\n")


def read_out_of_fold(folder: Path) -> OutOfFold:
    """Read what the training kept in an artifact folder.

    Raises:
        FileNotFoundError: the artifact keeps nothing.
        ValueError: the file is damaged.
    """
    path = folder / OUT_OF_FOLD_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path}: missing, so nothing can be said of unseen articles; train again")
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        ids = tuple(str(row["id"]) for row in rows)
        characters = tuple(int(row["characters"]) for row in rows if "characters" in row)
        logits = np.array([row["logits"] for row in rows], dtype=np.float32)
        if logits.ndim != 2 or not np.isfinite(logits).all() or len(characters) not in (0, len(ids)):
            raise ValueError("a number is missing")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({error!r}); restore the folder or train again") from error
    return OutOfFold(ids, characters, logits)


def kept_logits(folder: Path) -> dict[str, np.ndarray]:
    """Return the logits (topics,) that the training kept, by id of the annotation; none if the artifact keeps nothing.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        kept = read_out_of_fold(folder)
    except FileNotFoundError:
        return {}
    return dict(zip(kept.ids, kept.logits, strict=True))
