"""Fit the head on the frozen encoder: where fine-tuning starts from (needs torch)."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer

from models.network import TopicNetwork

# Inverse strength of the L2 penalty; features have unit variance on average.
INVERSE_PENALTY = 0.3


def pad(batch: list[list[int]], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token ids and mask, int64 (batch, tokens of the longest)."""
    longest = max(len(ids) for ids in batch)
    tokens = torch.full((len(batch), longest), pad_id)
    mask = torch.zeros_like(tokens)
    for row, ids in enumerate(batch):
        tokens[row, : len(ids)] = torch.tensor(ids)
        mask[row, : len(ids)] = 1
    return tokens, mask


def encode(tokenizer: Tokenizer, texts: list[str], max_length: int) -> list[list[int]]:
    """Return token ids with the special ones at both ends, cut to `max_length` tokens."""
    found = []
    for encoding in tokenizer.encode_batch(texts):
        ids = encoding.ids
        found.append(ids if len(ids) <= max_length else [*ids[: max_length - 1], ids[-1]])
    return found


@torch.inference_mode()
def embed(network: TopicNetwork, encoded: list[list[int]], batch_size: int = 16, bf16: bool = False) -> torch.Tensor:
    """Return the pooled unit vectors, float32 (texts, hidden), on the CPU."""
    network.eval()
    device = next(network.parameters()).device
    order = sorted(range(len(encoded)), key=lambda place: len(encoded[place]))
    vectors = torch.empty(len(encoded), network.head.in_features)
    pad_id = network.encoder.config.pad_token_id or 0
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        tokens, mask = pad([encoded[place] for place in places], pad_id)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            vectors[places] = network.pool(tokens.to(device), mask.to(device)).float().cpu()
    return vectors


def fit_head(network: TopicNetwork, vectors: torch.Tensor, labels: np.ndarray) -> None:
    """Set the network's centring and head to a logistic regression for each topic.

    Args:
        vectors: pooled unit vectors (texts, hidden).
        labels: multi-hot (texts, topics). A topic with one class only gets a constant.
    """
    mean = vectors.mean(0)
    scale = (vectors - mean).pow(2).mean().sqrt().clamp_min(1e-6)
    features = ((vectors - mean) / scale).numpy()
    weight = torch.zeros_like(network.head.weight)
    bias = torch.zeros_like(network.head.bias)
    for topic in range(labels.shape[1]):
        y = labels[:, topic] > 0.5
        if y.all() or not y.any():
            bias[topic] = 4.0 if y.all() else -4.0
            continue
        fitted = LogisticRegression(C=INVERSE_PENALTY, max_iter=2000).fit(features, y)
        weight[topic] = torch.from_numpy(fitted.coef_[0])
        bias[topic] = float(fitted.intercept_[0])
    with torch.no_grad():
        network.feature_mean.copy_(mean)
        network.feature_scale.fill_(float(scale))
        network.head.weight.copy_(weight)
        network.head.bias.copy_(bias)
