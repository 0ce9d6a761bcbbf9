"""Out-of-fold logits: each article is scored by a network that never saw it."""

import json
from pathlib import Path

import numpy as np

from training.examples import split_by_group
from training.fine_tune import Prepared, epochs_of, fit_network, is_main_process, predict_logits
from training.fit_lexicon import fit_lexicon
from training.frozen import head_logits
from training.settings import TrainSettings
from training.whole_files import write_whole


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
            # The base as it is has been over all paragraphs already.
            score = predict_logits if epochs_of(known.examples, settings) else head_logits
            logits[held_out] = score(network, paragraphs.take(held_out))
            if is_main_process():
                write_whole(path, json.dumps({examples.ids[place]: logits[place].tolist() for place in held_out}))
        logits[held_out] += fit_lexicon(known.examples).logits(examples.take(held_out).texts)
    return logits
