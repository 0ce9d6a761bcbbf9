"""Out-of-fold logits: each article is scored by a network that never saw it."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.examples import split_by_group
from training.fine_tune import Prepared, fit_network, is_main_process, predict_logits
from training.fit_lexicon import fit_lexicon
from training.settings import TrainSettings
from training.whole_files import write_whole

OUT_OF_FOLD_FILE = "out_of_fold.jsonl"


def out_of_fold_logits(paragraphs: Prepared, phrases: Prepared, settings: TrainSettings, folder: Path) -> np.ndarray:
    """Return logits (paragraphs, topics), each from a network and a lexicon that saw no paragraph of the same group.

    The networks' logits of finished folds are kept in `folder`, and they are not trained again.

    Args:
        paragraphs: what is split.
        phrases: examples that every fold trains on.
        settings: of the training, and the number of folds.
        folder: of this run.
    """
    examples = paragraphs.examples
    logits = np.empty(examples.labels.shape, np.float32)
    for number, (train, held_out) in enumerate(split_by_group(examples, settings.n_folds, settings.seed), start=1):
        path = folder / f"fold-{number}.json"
        known = paragraphs.take(train).joined(phrases)
        if path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            logits[held_out] = [kept[examples.ids[place]] for place in held_out]
        else:
            print(f"fold {number} of {settings.n_folds}: {len(train)} paragraphs to train on, {len(held_out)} held out")
            network = fit_network(known, settings, folder / f"fold-{number}")
            logits[held_out] = predict_logits(network, paragraphs.take(held_out))
            if is_main_process():
                write_whole(path, json.dumps({examples.ids[place]: logits[place].tolist() for place in held_out}))
        logits[held_out] += fit_lexicon(known.examples).logits(examples.take(held_out).texts)
    return logits


def write_out_of_fold(folder: Path, ids: Sequence[str], logits: np.ndarray) -> None:
    """Keep the logits (paragraphs, topics) in an artifact folder."""
    with (folder / OUT_OF_FOLD_FILE).open("w", encoding="utf-8") as file:
        for example_id, row in zip(ids, logits, strict=True):
            file.write(json.dumps({"id": example_id, "logits": [round(float(x), 5) for x in row]}) + "\n")


def read_out_of_fold(folder: Path, ids: Sequence[str]) -> np.ndarray:
    """Return the logits (paragraphs, topics) that the training kept for these paragraphs.

    Raises:
        FileNotFoundError: the artifact keeps none.
        ValueError: it keeps none of some paragraph.
    """
    path = folder / OUT_OF_FOLD_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path}: missing, so nothing can be said of unseen articles; train again")
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    kept = {row["id"]: row["logits"] for row in rows}
    missing = [example_id for example_id in ids if example_id not in kept]
    if missing:
        raise ValueError(f"{path}: holds nothing for {missing[0]}; the annotations changed since, so train again")
    return np.array([kept[example_id] for example_id in ids], dtype=np.float32)
