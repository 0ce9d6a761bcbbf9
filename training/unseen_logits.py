"""What a model says of paragraphs as if it had never seen them, whether it was trained on them or not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from models.out_of_fold import kept_logits
from models.tagger import Tagger

TAGGED_AT_ONCE = 64


def unseen_logits(folder: Path, tagger: Tagger, ids: Sequence[str | None], texts: Sequence[str]) -> np.ndarray:
    """Return logits, float32 (paragraphs, topics): out of fold where the training kept them, else the model's own.

    Args:
        folder: the artifact folder.
        tagger: the artifact, loaded.
        ids: of the annotation of each paragraph; None where it has none.
        texts: of the paragraphs.
    """
    out_of_fold = kept_logits(folder)
    logits = np.zeros((len(texts), len(tagger.artifact.topics)), np.float32)
    unseen = []
    for row, annotation_id in enumerate(ids):
        if annotation_id in out_of_fold:
            logits[row] = out_of_fold[annotation_id]
        else:
            unseen.append(row)
    starts = range(0, len(unseen), TAGGED_AT_ONCE)
    for start in tqdm(starts, desc="tagging", unit="batch", disable=len(starts) < 2):
        rows = unseen[start : start + TAGGED_AT_ONCE]
        logits[rows] = tagger.logits(tagger.encode([texts[row] for row in rows]))
    return logits
