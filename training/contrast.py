"""Texts of one topic are drawn together and others pushed apart: supervised contrast (needs torch).

Khosla et al. 2020, arXiv 2004.11362, equation 2. With a few examples a topic, pairs say
more than single texts: so the encoder is tuned on both, where the topics exclude each other.
"""

import torch
from torch import Tensor

from models.network import FAR_BELOW

# What similarities, cosines, are divided by.
TEMPERATURE = 0.05
# Tokens of a text that one step looks at; of a longer one it is another stretch each time.
STRETCH = 128


def contrastive_loss(means: Tensor, topics: Tensor) -> Tensor:
    """Return how far texts are from those of their own topic among all of a batch, mean over the pairs of one topic.

    Args:
        means: a vector of each text, float (texts, width).
        topics: the topic of each text, int64 (texts,).
    """
    directions = torch.nn.functional.normalize(means, dim=1)
    itself = torch.eye(len(means), dtype=torch.bool, device=means.device)
    similarities = (directions @ directions.T / TEMPERATURE).masked_fill(itself, FAR_BELOW)
    alike = (topics[:, None] == topics) & ~itself
    # A topic's only text in the batch has nothing to come near to.
    losses = -similarities.log_softmax(1)[alike]
    return losses.sum() / max(len(losses), 1)


def draw_partners(places: list[int], topics: Tensor) -> list[int]:
    """Return for each place that of another text of its topic, at random by torch's generator; itself if there is none."""
    partners = []
    for place in places:
        others = torch.nonzero(topics == topics[place]).flatten()
        others = others[others != place]
        partners.append(int(others[torch.randint(len(others), ())]) if len(others) else place)
    return partners


def cut_stretch(states: Tensor) -> Tensor:
    """Return at most `STRETCH` rows (tokens, hidden) of these, from a random one on."""
    start = torch.randint(max(len(states) - STRETCH, 0) + 1, ())
    return states[start : start + STRETCH]
