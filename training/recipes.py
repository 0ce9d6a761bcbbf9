"""The recipes that `make compare` sets against each other, all on the same frozen lower layers.

Each takes training examples and returns logits for validation examples. The one that
ships is `fine_tuned_and_lexicon`; `training.fine_tune` has it with checkpoints.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from data.topics import Topic
from models.network import FAR_BELOW, TopicNetwork, topic_loss
from training import baselines
from training.examples import Examples
from training.fine_tune import Prepared, fit_on_frozen, has_bf16, predict_logits, prepare
from training.fit_lexicon import fit_lexicon
from training.head import fit_head, pad, unit_states
from training.settings import TrainSettings

# Made-up examples of the augmentations, as a share of the training examples.
AUGMENTED_SHARE = 0.3
# How much of a tell-tale word's occurrences the masking takes out.
MASKED_SHARE = 0.7
R_DROP_WEIGHT = 1.0
LAYER_DECAY = 0.8
AVERAGE_DECAY = 0.98
CONTRASTIVE_EPOCHS = 1


@dataclass(frozen=True)
class Task:
    """One comparison: what to learn from and what to score."""

    train: Prepared
    phrases: Prepared
    validation: Prepared
    topics: tuple[Topic, ...]
    settings: TrainSettings

    @property
    def known(self) -> Prepared:
        """Training examples and phrases."""
        return self.train.joined(self.phrases)


Recipe = Callable[[Task], np.ndarray]


def keywords(task: Task) -> np.ndarray:
    """Give a topic where one of its keywords stands."""
    return baselines.keyword_decisions(task.validation.examples.texts, task.topics) * 2.0 - 1


def tfidf(task: Task) -> np.ndarray:
    """Logistic regression on TF-IDF of 1 to 3 characters."""
    shares = baselines.tfidf_probabilities(task.known.examples, task.validation.examples.texts)
    return np.log((shares + 1e-6) / (1 - shares + 1e-6))


def frozen_mean(task: Task) -> np.ndarray:
    """Logistic head on the mean of the frozen encoder's last states."""
    return _mean_head(task, task.train)


def frozen_mean_phrases(task: Task) -> np.ndarray:
    """The same, with the topics' phrases as examples."""
    return _mean_head(task, task.known)


def _mean_head(task: Task, known: Prepared) -> np.ndarray:
    width = known.lower[0].shape[1]

    def means(prepared: Prepared) -> np.ndarray:
        rows = torch.stack([row[:, -width:].float().mean(0) for row in prepared.units])
        return nn.functional.normalize(rows, dim=-1).numpy()

    train, validation = means(known), means(task.validation)
    centre, scale = train.mean(0), (train - train.mean(0)).std()
    columns = []
    for truth in (known.examples.labels > 0.5).T:
        if truth.all() or not truth.any():
            columns.append(np.full(len(validation), 1.0 if truth.all() else -1.0))
            continue
        fitted = LogisticRegression(C=0.3, max_iter=2000).fit((train - centre) / scale, truth)
        columns.append(fitted.decision_function((validation - centre) / scale))
    return np.stack(columns, axis=1)


def soft_maximum_frozen(task: Task) -> np.ndarray:
    """Soft maximum over token scores on three layers of the frozen encoder, with phrases."""
    return predict_logits(fit_on_frozen(task.known, task.settings), task.validation)


def soft_maximum_last_layer(task: Task) -> np.ndarray:
    """The same on the last layer alone."""
    network = fit_on_frozen(_last_layer_only(task.known), task.settings)
    return predict_logits(network, task.validation)


def _last_layer_only(prepared: Prepared) -> Prepared:
    width = prepared.lower[0].shape[1]
    return replace(
        prepared, units=[torch.cat([torch.zeros_like(row[:, :-width]), row[:, -width:]], 1) for row in prepared.units]
    )


def mean_fine_tuned(task: Task) -> np.ndarray:
    """Fine-tuned with the mean of the token scores for a logit, from the logistic head."""
    return _tuned(task, task.known, pooling=_Mean)


def soft_maximum_fine_tuned(task: Task) -> np.ndarray:
    """Fine-tuned with the soft maximum, from its head on the frozen encoder."""
    return _tuned(task, task.known)


def frozen_and_lexicon(task: Task) -> np.ndarray:
    """Soft maximum on the frozen encoder, its logits added to those of the lexicon."""
    total: np.ndarray = soft_maximum_frozen(task) + _lexicon(task)
    return total


def fine_tuned_and_lexicon(task: Task) -> np.ndarray:
    """Fine-tuned with the soft maximum, its logits added to those of the lexicon: what ships."""
    total: np.ndarray = soft_maximum_fine_tuned(task) + _lexicon(task)
    return total


def _lexicon(task: Task) -> np.ndarray:
    return fit_lexicon(task.known.examples).logits(task.validation.examples.texts)


def label_attention(task: Task) -> np.ndarray:
    """Label-wise attention whose queries start from the topics' descriptions (Mullenbach et al. 2018, 3.2)."""
    return _tuned(task, task.known, pooling=_LabelAttention)


def spliced(task: Task) -> np.ndarray:
    """`soft_maximum_fine_tuned` with pairs of paragraphs joined and the union of their labels."""
    rng = np.random.default_rng(task.settings.seed)
    examples = task.train.examples
    pairs = rng.integers(len(examples), size=(int(AUGMENTED_SHARE * len(examples)), 2))
    texts = tuple(examples.texts[a] + examples.texts[b] for a, b in pairs)
    labels = np.maximum(examples.labels[pairs[:, 0]], examples.labels[pairs[:, 1]])
    return _tuned(task, task.known.joined(prepare(_made_up(texts, labels), task.settings)))


def masked(task: Task) -> np.ndarray:
    """`soft_maximum_fine_tuned` with copies of paragraphs that lost most of their tell-tale words."""
    rng = np.random.default_rng(task.settings.seed)
    examples = task.train.examples
    words = sorted({word for topic in task.topics for word in topic.keywords}, key=len, reverse=True)
    telling = [place for place, text in enumerate(examples.texts) if any(word in text for word in words)]
    chosen = rng.choice(telling, int(AUGMENTED_SHARE * len(examples)))
    texts = []
    for place in chosen:
        text = examples.texts[place]
        for word in words:
            if word in text and rng.random() < MASKED_SHARE:
                text = text.replace(word, "")
        texts.append(text or examples.texts[place])
    return _tuned(task, task.known.joined(prepare(_made_up(tuple(texts), examples.labels[chosen]), task.settings)))


def _made_up(texts: tuple[str, ...], labels: np.ndarray) -> Examples:
    names = tuple(f"made-up#{place}" for place in range(len(texts)))
    return Examples(names, texts, labels, names, ("made up",) * len(texts))


def r_drop(task: Task) -> np.ndarray:
    """`soft_maximum_fine_tuned` with two passes under different dropout that must agree (R-Drop, arXiv 2106.14448)."""
    return _tuned(task, task.known, r_drop=True)


def averaged(task: Task) -> np.ndarray:
    """`soft_maximum_fine_tuned` with a running average of the weights (Izmailov et al. 2018, with exponential decay)."""
    return _tuned(task, task.known, average=True)


def layer_rates(task: Task) -> np.ndarray:
    """`soft_maximum_fine_tuned` with a learning rate that falls by a fifth from each layer to the one below (ULMFiT, 3.2)."""
    return _tuned(task, task.known, layer_decay=LAYER_DECAY)


def contrastive(task: Task) -> np.ndarray:
    """Encoder tuned on pairs (SetFit, arXiv 2209.11055), then the soft maximum head on it."""
    network = fit_on_frozen(task.known, task.settings)
    _train(network, task.known, task.settings, _pair_loss, epochs=CONTRASTIVE_EPOCHS)
    known = task.known
    units = unit_states(network, known.lower, has_bf16())
    fit_head(network, units, known.examples.labels, known.examples.exclusive)
    return predict_logits(network, task.validation)


class _Mean(TopicNetwork):
    def pool(self, token_scores: Tensor, attention_mask: Tensor) -> Tensor:
        mask = attention_mask.unsqueeze(-1).float()
        return (token_scores * mask).sum(1) / mask.sum(1) + self.head.bias.float()


class _LabelAttention(TopicNetwork):
    queries: nn.Parameter

    def from_lower(self, lower_states: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        units = self.unit_states(lower_states, attention_mask)
        features = (units - self.feature_mean) / self.feature_scale
        with torch.autocast(features.device.type, enabled=False):
            attention = features @ self.queries.T / features.shape[-1] ** 0.5
            attention = torch.softmax(attention + (1 - attention_mask[..., None].float()) * FAR_BELOW, dim=1)
            scores = nn.functional.linear(features, self.head.weight)
        return {"logits": (attention * scores).sum(1) + self.head.bias, "token_shares": attention}


def _tuned(
    task: Task,
    known: Prepared,
    pooling: type[TopicNetwork] = TopicNetwork,
    r_drop: bool = False,
    average: bool = False,
    layer_decay: float = 1.0,
) -> np.ndarray:
    network = fit_on_frozen(known, task.settings)
    network.__class__ = pooling
    if isinstance(network, _LabelAttention):
        _start_queries(network, task.phrases)
    loss = _agreeing_loss if r_drop else _plain_loss
    _train(network, known, task.settings, loss, average=average, layer_decay=layer_decay)
    return predict_logits(network, task.validation)


def _start_queries(network: _LabelAttention, phrases: Prepared) -> None:
    means = torch.stack([row.float().mean(0) for row in phrases.units])
    features = (means - network.feature_mean) / network.feature_scale
    labels = torch.from_numpy(phrases.examples.labels)
    network.queries = nn.Parameter(labels.T @ features / labels.sum(0)[:, None])


def _plain_loss(network: TopicNetwork, states: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
    return topic_loss(network.from_lower(states, mask)["logits"], labels, exclusive=False)


def _agreeing_loss(network: TopicNetwork, states: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
    first, second = (network.from_lower(states, mask)["logits"] for _ in range(2))
    loss = (topic_loss(first, labels, False) + topic_loss(second, labels, False)) / 2
    divergence = (first - second) * (torch.sigmoid(first) - torch.sigmoid(second))
    return loss + R_DROP_WEIGHT * divergence.sum(1).mean()


def _pair_loss(network: TopicNetwork, states: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
    units = network.unit_states(states, mask)[..., -states.shape[-1] :]
    weights = mask.unsqueeze(-1).float()
    means = nn.functional.normalize((units * weights).sum(1) / weights.sum(1), dim=-1)
    shared = labels @ labels.T
    either = labels.sum(1)[:, None] + labels.sum(1)[None] - shared
    target = torch.where(either == 0, 1.0, shared / either.clamp_min(1))
    return (means @ means.T - target).pow(2).mean()


Loss = Callable[[TopicNetwork, Tensor, Tensor, Tensor], Tensor]


def _train(
    network: TopicNetwork,
    known: Prepared,
    settings: TrainSettings,
    loss_of: Loss,
    epochs: int | None = None,
    average: bool = False,
    layer_decay: float = 1.0,
) -> None:
    torch.manual_seed(settings.seed)
    shuffle = random.Random(settings.seed)
    labels = torch.from_numpy(known.examples.labels)
    epochs = epochs or settings.num_train_epochs
    batches = [batch for _ in range(epochs) for batch in _batches(known.lower, settings.batch_size, shuffle)]
    optimizer = torch.optim.AdamW(_rates(network, settings, layer_decay), weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _linear(len(batches)))
    mean_weights: dict[str, Tensor] = {}
    network.train()
    for places in batches:
        states, mask = pad([known.lower[place] for place in places])
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()):
            loss = loss_of(network, states, mask, labels[places])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if average:
            for name, value in network.state_dict().items():
                kept = mean_weights.setdefault(name, value.clone().float())
                kept.mul_(AVERAGE_DECAY).add_(value.float(), alpha=1 - AVERAGE_DECAY)
    if average:
        network.load_state_dict(mean_weights)
    network.eval()


def _rates(network: TopicNetwork, settings: TrainSettings, layer_decay: float) -> list[dict[str, object]]:
    upper = network.encoder.encoder.layer[network.feature_layers[0] :]
    groups: list[dict[str, object]] = [
        {"params": list(layer.parameters()), "lr": settings.learning_rate * layer_decay ** (len(upper) - 1 - number)}
        for number, layer in enumerate(upper)
    ]
    head = [parameter for name, parameter in network.named_parameters() if not name.startswith("encoder.")]
    return [*groups, {"params": head, "lr": settings.learning_rate}]


def _linear(n_steps: int) -> Callable[[int], float]:
    warmup = max(1, n_steps // 10)
    return lambda step: (step + 1) / warmup if step < warmup else max(0.0, (n_steps - step) / max(1, n_steps - warmup))


def _batches(rows: list[Tensor], size: int, shuffle: random.Random) -> list[list[int]]:
    """Return batches of like length in random order."""
    places = list(range(len(rows)))
    shuffle.shuffle(places)
    batches = []
    for start in range(0, len(places), size * 12):
        chunk = sorted(places[start : start + size * 12], key=lambda place: len(rows[place]))
        batches += [chunk[first : first + size] for first in range(0, len(chunk), size)]
    shuffle.shuffle(batches)
    return batches


RECIPES: dict[str, Recipe] = {
    recipe.__name__: recipe
    for recipe in (
        keywords,
        tfidf,
        frozen_mean,
        frozen_mean_phrases,
        soft_maximum_last_layer,
        soft_maximum_frozen,
        mean_fine_tuned,
        soft_maximum_fine_tuned,
        contrastive,
        label_attention,
        spliced,
        masked,
        r_drop,
        averaged,
        layer_rates,
        frozen_and_lexicon,
        fine_tuned_and_lexicon,
    )
}
