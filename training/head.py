"""Fit the head on the frozen encoder: where fine-tuning starts from (needs torch)."""

import math
from collections.abc import Callable

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer
from tqdm import tqdm

from models.network import FAR_BELOW, UNKNOWN, TopicNetwork, topic_loss
from training.discriminant import fit_discriminant

# With fewer examples than these, phrases included, the linear part of the head alone is better: macro F1 from 7
# paragraphs 0.82 against 0.76, from 250 0.87 against 0.85, from 700 the same.
MIN_EXAMPLES = 800
# How all of the head is fitted.
EPOCHS = 6
BATCH_SIZE = 32
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 0.05
WARMUP_SHARE = 0.1
# Of the labels, so that the head does not grow sure of itself without end.
SMOOTHING = 0.02
# Batches hold texts of like length, but not always the same ones: lengths are drawn out by up to this share.
LENGTH_NOISE = 0.2
# How the linear part alone is fitted: the start's inverse penalty, and its share in the first weights.
START_INVERSE_PENALTY, START_SHARE = 0.1, 0.3
# Penalty on the squared weights, against the loss summed over the examples.
L2_PENALTY = 20.0
# Where each text has one topic, all of it is about that topic, and not one clause: there the
# sharpness stays so low that the soft maximum is the mean. Softplus of -6 is 0.0025.
RAW_SHARPNESS_OF_MEANS = -6.0
# Stopped early: with 60 iterations the soft maximum grows sharper and held-out average precision falls.
MAX_ITERATIONS = 20
# The linear part is fitted on no more examples than these: their features are in memory, half a megabyte each.
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


def fit_head(network: TopicNetwork, units: list[torch.Tensor], labels: np.ndarray, seed: int, bf16: bool) -> None:
    """Set the network's centring, head and sharpness to the best for the encoder as it is.

    Args:
        network: on the CPU; its encoder is left alone.
        units: features before centring, a tensor (tokens, width) for each text.
        labels: multi-hot (texts, topics); `UNKNOWN` where nobody has judged.
        seed: of the order of the texts, the first weights and the dropout.
        bf16: compute in bfloat16 where all of the head is fitted.
    """
    features = _centre(network, units)
    network.raw_sharpness.data.fill_(0.0)
    network.raw_sharpness.requires_grad_(True)
    if len(units) < MIN_EXAMPLES:
        _fit_linear(network, features, labels)
    else:
        _fit_all(network, features, torch.from_numpy(labels), seed, bf16)


def fit_exclusive_head(
    network: TopicNetwork, units: list[torch.Tensor], labels: np.ndarray, text_weights: np.ndarray
) -> None:
    """Set centring, head and sharpness where each text has exactly one topic: then its mean decides.

    Args:
        network: on the CPU; its encoder is left alone.
        units: features before centring, a tensor (tokens, width) for each text.
        labels: multi-hot (texts, topics).
        text_weights: how many texts each counts for, (texts,).
    """
    means = torch.stack([row.float().mean(0) for row in _centre(network, units)]).double().numpy()
    _clear_hidden_layers(network)
    weights, bias = fit_discriminant(means, labels.argmax(axis=1), labels.shape[1], text_weights)
    with torch.no_grad():
        network.raw_sharpness.fill_(RAW_SHARPNESS_OF_MEANS)
        network.head.weight.copy_(torch.from_numpy(weights))
        network.head.bias.copy_(torch.from_numpy(bias))
    network.raw_sharpness.requires_grad_(False)


@torch.no_grad()
def _centre(network: TopicNetwork, units: list[torch.Tensor]) -> list[torch.Tensor]:
    """Set the network's centring; return the features that the head sees, bfloat16 (tokens, width) for each text."""
    mean, scale = _mean_and_scale(units)
    network.feature_mean.copy_(mean)
    network.feature_scale.copy_(scale)
    return [network.features(row.float()).bfloat16() for row in units]


def _mean_and_scale(units: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean (width,) over all tokens, and the root mean square (1,) of what is left without it."""
    n_tokens = sum(len(row) for row in units)
    mean = torch.stack([row.float().sum(0) for row in units]).sum(0) / n_tokens
    squares = torch.stack([(row.float() - mean).pow(2).sum() for row in units]).sum()
    return mean, (squares / (n_tokens * len(mean))).sqrt().clamp_min(1e-6)[None]


def _clear_hidden_layers(network: TopicNetwork) -> None:
    """Set the head's hidden layers to 0, so that they add nothing and are the same each time."""
    for layer in (network.token_layer, network.token_head, network.paragraph_layer, network.paragraph_head):
        for parameter in layer.parameters():
            torch.nn.init.zeros_(parameter)


def _fit_linear(network: TopicNetwork, features: list[torch.Tensor], labels: np.ndarray) -> None:
    """Fit the linear part of the head.

    Starts from logistic regressions on the mean features and goes on with L-BFGS on the
    loss of the pooled logits, which is smooth in the few parameters that are fitted.
    """
    _clear_hidden_layers(network)
    if len(features) > MAX_EXAMPLES:
        chosen = np.random.default_rng(0).choice(len(features), MAX_EXAMPLES, replace=False)
        features, labels = [features[place] for place in chosen], labels[chosen]
    tokens = torch.cat(features).float()
    lengths = torch.tensor([len(row) for row in features])
    texts = torch.repeat_interleave(torch.arange(len(features)), lengths)
    means = torch.zeros(len(features), tokens.shape[1]).index_add_(0, texts, tokens) / lengths[:, None]
    _start_head(network, means, labels)
    _improve_head(network, tokens, texts, lengths, torch.from_numpy(labels))


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
) -> None:
    parameters = [network.head.weight, network.head.bias, network.raw_sharpness]
    optimizer = torch.optim.LBFGS(parameters, max_iter=MAX_ITERATIONS, line_search_fn="strong_wolfe")

    def total_loss() -> torch.Tensor:
        optimizer.zero_grad()
        sharpness = network.sharpness()
        scores = tokens @ network.head.weight.T * sharpness
        logits = _mean_of_exponentials(scores, texts, lengths) / sharpness + network.head.bias
        total = topic_loss(logits, labels, exclusive=False) * len(labels)
        total = total + L2_PENALTY / 2 * network.head.weight.pow(2).sum()
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


def _fit_all(network: TopicNetwork, features: list[torch.Tensor], labels: torch.Tensor, seed: int, bf16: bool) -> None:
    """Fit all of the head with AdamW and a rate that rises and falls (one cycle, Smith 2018)."""
    draw = np.random.default_rng(seed)
    targets = torch.where(labels == UNKNOWN, UNKNOWN, labels * (1 - 2 * SMOOTHING) + SMOOTHING)
    steps_of_epoch = math.ceil(len(features) / BATCH_SIZE)
    parameters = [parameter for name, parameter in network.named_parameters() if not name.startswith("encoder.")]
    optimizer = torch.optim.AdamW(parameters, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=EPOCHS * steps_of_epoch, pct_start=WARMUP_SHARE
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network.token_layer.reset_parameters()
        network.paragraph_layer.reset_parameters()
        torch.nn.init.zeros_(network.head.weight)
        torch.nn.init.zeros_(network.head.bias)
        network.train()
        for _ in tqdm(range(EPOCHS), desc="head", unit="epoch"):
            for places in _draw_batches(features, draw):
                rows, mask = pad([features[place] for place in places])
                with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                    logits = network.from_features(rows if bf16 else rows.float(), mask)["logits"]
                loss = topic_loss(logits, targets[places], exclusive=False)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    network.eval()


def _draw_batches(rows: list[torch.Tensor], draw: np.random.Generator) -> list[list[int]]:
    """Return the places of all texts in batches of like length, in random order."""
    noise = 1 + LENGTH_NOISE * draw.random(len(rows))
    order = np.argsort([len(row) for row in rows] * noise, kind="stable")
    batches = [order[start : start + BATCH_SIZE].tolist() for start in range(0, len(order), BATCH_SIZE)]
    return [batches[place] for place in draw.permutation(len(batches))]
