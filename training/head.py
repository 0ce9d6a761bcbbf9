"""Fit the head on the frozen encoder: where fine-tuning starts from (needs torch)."""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer

from models.network import FAR_BELOW, UNKNOWN, TopicNetwork, topic_loss

# Penalty on the head's squared weights, against the loss summed over the examples. Means vary
# less than soft maxima and so need larger weights.
L2_PENALTY, L2_PENALTY_OF_MEANS = 20.0, 0.5
# Where each text has one topic, all of it is about that topic, and not one clause: there the
# sharpness stays so low that the soft maximum is the mean. Softplus of -4 is 0.018.
RAW_SHARPNESS_OF_MEANS = -4.0
# The linear start of the fit: inverse penalty, and its share in the first weights.
START_INVERSE_PENALTY, START_SHARE = 0.1, 0.3
# Stopped early: with 60 iterations the soft maximum grows sharper and held-out average precision falls.
MAX_ITERATIONS = 20
# The head is fitted on no more examples than these: their features are in memory, half a megabyte each.
MAX_EXAMPLES = 5000


def pad(batch: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows (tokens, …) of different lengths as one tensor filled up with zeros, and the mask, int64."""
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(row), dtype=torch.int64) for row in batch], batch_first=True)
    return torch.nn.utils.rnn.pad_sequence(batch, batch_first=True), mask


def encode(tokenizer: Tokenizer, texts: list[str], max_length: int) -> list[torch.Tensor]:
    """Return token ids with the special ones at both ends, cut to `max_length` tokens."""
    found = []
    for encoding in tokenizer.encode_batch(texts):
        ids = encoding.ids
        found.append(torch.tensor(ids if len(ids) <= max_length else [*ids[: max_length - 1], ids[-1]]))
    return found


def batches_by_length(rows: list[torch.Tensor], batch_size: int = 16) -> list[list[int]]:
    """Return the places of the rows in batches of like length, so that little is filled up."""
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def lower_states(network: TopicNetwork, encoded: list[torch.Tensor], bf16: bool) -> list[torch.Tensor]:
    """Return the network's lower states of each text, bfloat16 (tokens, hidden), on the CPU."""
    return _run_batches(network, network.lower_states, encoded, bf16)


def unit_states(network: TopicNetwork, lower: list[torch.Tensor], bf16: bool) -> list[torch.Tensor]:
    """Return the head's features before centring, bfloat16 (tokens, width), given the lower states."""
    return _run_batches(network, network.unit_states, lower, bf16)


@torch.inference_mode()
def _run_batches(
    network: TopicNetwork,
    part: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    rows: list[torch.Tensor],
    bf16: bool,
) -> list[torch.Tensor]:
    """Run a part of the network over rows (tokens, …); return what it makes of each, without padding."""
    network.eval()
    device = next(network.parameters()).device
    found = [torch.empty(0)] * len(rows)
    for places in batches_by_length(rows):
        batch, mask = pad([rows[place] for place in places])
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            states = part(batch.to(device), mask.to(device)).bfloat16().cpu()
        for place, row in zip(places, states, strict=True):
            found[place] = row[: len(rows[place])].clone()
    return found


def fit_head(network: TopicNetwork, units: list[torch.Tensor], labels: np.ndarray, exclusive: bool) -> None:
    """Set the network's centring, head and sharpness to the best for the frozen encoder.

    Starts from logistic regressions on the mean features and goes on with L-BFGS on the
    loss of the pooled logits, which is smooth in the few parameters that are fitted.

    Args:
        network: on the CPU; its encoder is left alone.
        units: features before centring, a tensor (tokens, width) for each text.
        labels: multi-hot (texts, topics); `UNKNOWN` where nobody has judged.
        exclusive: each text has exactly one topic.
    """
    if len(units) > MAX_EXAMPLES:
        chosen = np.random.default_rng(0).choice(len(units), MAX_EXAMPLES, replace=False)
        units, labels = [units[place] for place in chosen], labels[chosen]
    tokens = torch.cat(units).float()
    lengths = torch.tensor([len(row) for row in units])
    mean = tokens.mean(0)
    tokens -= mean
    scale = tokens.pow(2).mean().sqrt().clamp_min(1e-6)
    tokens /= scale
    with torch.no_grad():
        network.feature_mean.copy_(mean)
        network.feature_scale.copy_(scale)
        network.raw_sharpness.fill_(RAW_SHARPNESS_OF_MEANS if exclusive else 0.0)
    network.raw_sharpness.requires_grad_(not exclusive)
    texts = torch.repeat_interleave(torch.arange(len(units)), lengths)
    means = torch.zeros(len(units), tokens.shape[1]).index_add_(0, texts, tokens) / lengths[:, None]
    _start_head(network, means, labels)
    _improve_head(network, tokens, texts, lengths, torch.from_numpy(labels), exclusive)


def _start_head(network: TopicNetwork, means: torch.Tensor, labels: np.ndarray) -> None:
    scale = means.pow(2).mean().sqrt().clamp_min(1e-6)
    scaled = (means / scale).numpy()
    with torch.no_grad():
        network.head.weight.zero_()
        for topic in range(labels.shape[1]):
            known = labels[:, topic] != UNKNOWN
            truth = labels[known, topic] > 0.5
            if truth.all() or not truth.any():
                network.head.bias[topic] = 4.0 if truth.all() else -4.0
                continue
            fitted = LogisticRegression(C=START_INVERSE_PENALTY, max_iter=200).fit(scaled[known], truth)
            network.head.weight[topic] = torch.from_numpy(fitted.coef_[0]) * (START_SHARE / scale)
            network.head.bias[topic] = float(fitted.intercept_[0])


def _improve_head(
    network: TopicNetwork,
    tokens: torch.Tensor,
    texts: torch.Tensor,
    lengths: torch.Tensor,
    labels: torch.Tensor,
    exclusive: bool,
) -> None:
    parameters = [network.head.weight, network.head.bias]
    if not exclusive:
        parameters.append(network.raw_sharpness)
    penalty = L2_PENALTY_OF_MEANS if exclusive else L2_PENALTY
    optimizer = torch.optim.LBFGS(parameters, max_iter=MAX_ITERATIONS, line_search_fn="strong_wolfe")

    def total_loss() -> torch.Tensor:
        optimizer.zero_grad()
        sharpness = network.sharpness()
        scores = tokens @ network.head.weight.T * sharpness
        logits = _mean_of_exponentials(scores, texts, lengths) / sharpness + network.head.bias
        total = topic_loss(logits, labels, exclusive) * len(labels)
        total = total + penalty / 2 * network.head.weight.pow(2).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(total_loss)  # type: ignore[no-untyped-call]


def _mean_of_exponentials(scores: torch.Tensor, texts: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return the log of the mean exponential of each text's scores, (texts, topics), as the network pools."""
    n_texts, n_topics = len(lengths), scores.shape[1]
    highest = torch.full((n_texts, n_topics), FAR_BELOW)
    highest.scatter_reduce_(0, texts[:, None].expand_as(scores), scores.detach(), "amax")
    total = torch.zeros(n_texts, n_topics).index_add(0, texts, (scores - highest[texts]).exp())
    return total.log() + highest - lengths[:, None].log()
