"""The tagger without fine-tuning: head and lexicon on the frozen base, fitted in seconds.

What asks how figures change with topics or labels trains it again and again.
"""

from collections.abc import Sequence

import numpy as np
import torch

from data.topics import Topic
from models.decisions import decide
from models.network import TopicNetwork
from training.calibrate import decide_topics
from training.examples import Examples
from training.fine_tune import Prepared, fit_on_frozen
from training.fit_lexicon import fit_lexicon
from training.head import batches_by_length, pad
from training.metrics import macro_f1
from training.settings import TrainSettings


def logits_on_frozen(known: Prepared, scored: Sequence[Prepared], settings: TrainSettings) -> list[np.ndarray]:
    """Fit head and lexicon on `known`; return logits, float32 (examples, topics), for each of `scored`."""
    network, lexicon = fit_on_frozen(known, settings), fit_lexicon(known.examples)
    return [head_logits(network, some) + lexicon.logits(some.examples.texts) for some in scored]


@torch.inference_mode()
def head_logits(network: TopicNetwork, prepared: Prepared) -> np.ndarray:
    """Return logits, float32 (examples, topics), of a network whose whole encoder is the base's."""
    logits = np.empty(prepared.examples.labels.shape, np.float32)
    for places in batches_by_length(prepared.units):
        units, mask = pad([prepared.units[place].float() for place in places])
        logits[places] = network.from_units(units, mask)["logits"].numpy()
    return logits


def f1_by_origin(
    examples: Examples, logits: np.ndarray, topics: tuple[Topic, ...], settings: TrainSettings
) -> dict[str, float]:
    """Return the macro F1 of the paragraphs of each origin, thresholds fitted on the same logits (examples, topics)."""
    decisions = decide_topics(topics, logits, examples.labels, examples.groups, settings.seed, examples.exclusive)
    given = decide(decisions, logits, examples.exclusive).given
    places = {origin: examples.of_origin(origin) for origin in sorted(set(examples.origins))}
    return {origin: macro_f1(examples.labels[some], given[some]) for origin, some in places.items()}
