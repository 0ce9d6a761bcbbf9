"""Whether the tagger's engine decides as the network in float32 does."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from bench.corpus import TEST_FILE
from bench.reference import Reference
from data.annotations import load_annotation_files
from data.topics import load_topics
from models.tagger import Tagger
from training.examples import from_annotations
from training.metrics import macro_f1


def measure(model: str) -> dict[str, Any]:
    """Decide on the test paragraphs with both.

    Returns paragraphs, decisions (paragraphs times topics), flips (decisions that differ), and the
    macro F1 of both, 0 to 1.
    """
    topics = load_topics()
    examples = from_annotations(load_annotation_files([TEST_FILE], topics), topics)
    threads = len(os.sched_getaffinity(0))
    reference = Reference(Path(model), threads)
    ids = [topic.id for topic in reference.artifact.topics]
    labels = examples.labels[:, [[topic.id for topic in topics].index(name) for name in ids]]
    tags = Tagger(Path(model), threads=threads).tag(examples.texts)
    given = np.array([[name in one.topics for name in ids] for one in tags])
    expected = reference.decide(examples.texts).given
    return {
        "paragraphs": len(examples),
        "decisions": given.size,
        "flips": int((given != expected).sum()),
        "macro_f1": macro_f1(labels, given),
        "macro_f1_reference": macro_f1(labels, expected),
    }
