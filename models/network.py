"""The network: a BERT, a score for each token and topic, and their soft maximum (needs torch).

A paragraph is about a topic if one clause of it is. So each token is scored, and the
paragraph's logit is a soft maximum over its tokens' scores: one clause is enough, and the
tokens that made the logit are known without a second pass. What the paragraph as a whole
is about is added to it: fire engines in a flood are not there for an inspection.
"""

import math

import torch
from torch import Tensor, nn
from transformers import BertModel

# Weights are kept on a grid of 8-bit integers, one scale a row; see `snap_weights`.
GRID_STEPS = 127
# A token is scored on its states at these shares of the encoder's depth, side by side:
# the last layer alone has lost some of what the middle ones know of single words.
FEATURE_DEPTHS = (2 / 3, 5 / 6, 1)
# Width of the hidden layer that scores tokens, and of the one that sees the whole paragraph.
TOKEN_UNITS, PARAGRAPH_UNITS = 128, 64
# Of these layers' outputs, while the head is fitted.
HEAD_DROPOUT = 0.2
# The mean of a paragraph's features is smaller than the features; times this it is of their size.
MEAN_FACTOR = 3.0
# Where the soft maximum is nearly the mean all tokens would have the same share; below this sharpness the shares
# are those at this one, which still tell the tokens of high scores from the others.
LEAST_SHARPNESS_OF_SHARES = 0.25
# Added to what padding is scored: its exponential is 0.
FAR_BELOW = -1e9
# Label of a topic that nobody has judged for an example.
UNKNOWN = -1.0


class TopicNetwork(nn.Module):
    """Scores paragraphs, and each of their tokens, for topics.

    States are scaled to unit length, since the base encoder was trained under cosine
    similarity, and then centred and scaled so that the head sees features of about unit
    variance. The pooling is the normalized log-sum-exp with a learnt sharpness of each topic
    (Pinheiro & Collobert 2015, equation 3, there over the pixels of an image).

    The two hidden layers add nothing until they are fitted: what follows them is 0 at first.
    """

    def __init__(self, encoder: BertModel, n_topics: int, lower_depth: float = FEATURE_DEPTHS[0]) -> None:
        """Build a network on `encoder`; what lies below `lower_depth`, a share of its depth, can be run by itself.

        Args:
            encoder: the base.
            n_topics: outputs.
            lower_depth: 0 to `FEATURE_DEPTHS[0]`; it changes nothing in what the network answers.
        """
        super().__init__()
        self.encoder = encoder
        n_layers = len(encoder.encoder.layer)
        self.feature_layers = tuple(sorted({round(depth * n_layers) for depth in FEATURE_DEPTHS}))
        self.n_lower_layers = round(lower_depth * n_layers)
        width = encoder.config.hidden_size * len(self.feature_layers)
        self.feature_mean: Tensor
        self.feature_scale: Tensor
        self.register_buffer("feature_mean", torch.zeros(width))
        self.register_buffer("feature_scale", torch.full((1,), 1 / math.sqrt(encoder.config.hidden_size)))
        self.head = nn.Linear(width, n_topics)
        self.token_layer = nn.Linear(width, TOKEN_UNITS)
        self.token_head = nn.Linear(TOKEN_UNITS, n_topics, bias=False)
        self.paragraph_layer = nn.Linear(width, PARAGRAPH_UNITS)
        self.paragraph_head = nn.Linear(PARAGRAPH_UNITS, n_topics, bias=False)
        nn.init.zeros_(self.token_head.weight)
        nn.init.zeros_(self.paragraph_head.weight)
        self.dropout = nn.Dropout(HEAD_DROPOUT)
        self.raw_sharpness = nn.Parameter(torch.zeros(n_topics))

    def lower_states(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the states (batch, tokens, hidden) after the lower layers, of which none but the last gives features."""
        states: Tensor = self.encoder.embeddings(input_ids=input_ids)
        for layer in self.encoder.encoder.layer[: self.n_lower_layers]:
            states = _apply(layer, states, attention_mask)
        return states

    def unit_states(self, lower_states: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the feature layers' states, each of unit length, side by side, float32 (batch, tokens, width)."""
        states, first = lower_states, self.n_lower_layers
        kept = [states] if first in self.feature_layers else []
        for number, layer in enumerate(self.encoder.encoder.layer[first:], start=first + 1):
            states = _apply(layer, states, attention_mask)
            if number in self.feature_layers:
                kept.append(states)
        return torch.cat([nn.functional.normalize(state.float(), dim=-1) for state in kept], dim=-1)

    def last_means(self, unit_states: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the mean of each text's last states, float32 (batch, hidden), given what `unit_states` returned."""
        return _mean_of_tokens(unit_states[..., -self.encoder.config.hidden_size :], attention_mask).squeeze(1)

    def features(self, unit_states: Tensor) -> Tensor:
        """Return the features that the head sees, float32 (batch, tokens, width)."""
        return (unit_states - self.feature_mean) / self.feature_scale

    def token_scores(self, features: Tensor) -> Tensor:
        """Return the score of each token for each topic, float32 (batch, tokens, topics)."""
        hidden = self.dropout(nn.functional.gelu(self.token_layer(features)))
        scores: Tensor = nn.functional.linear(features, self.head.weight) + self.token_head(hidden)
        return scores.float()

    def pool(self, token_scores: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the log of the mean of the tokens' exponentials, and the bias, (batch, topics)."""
        sharpness = self.sharpness()
        unread = (1 - attention_mask.unsqueeze(-1).float()) * FAR_BELOW
        n_tokens = attention_mask.sum(1, keepdim=True).float()
        soft_maximum = torch.logsumexp(token_scores * sharpness + unread, 1) - n_tokens.log()
        return soft_maximum / sharpness + self.head.bias

    def paragraph_scores(self, features: Tensor, attention_mask: Tensor) -> Tensor:
        """Return what the mean of a paragraph's features adds to its logits, (batch, topics)."""
        mean = _mean_of_tokens(features, attention_mask)
        hidden = self.dropout(nn.functional.gelu(self.paragraph_layer(MEAN_FACTOR * mean)))
        scores: Tensor = self.paragraph_head(hidden)
        return scores.squeeze(1)

    def from_units(self, unit_states: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Return what `forward` returns, given what `unit_states` returned."""
        with torch.autocast(unit_states.device.type, enabled=False):
            return self.from_features(self.features(unit_states), attention_mask)

    def from_features(self, features: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Return what `forward` returns, given what `features` returned."""
        token_scores = self.token_scores(features)
        logits = self.pool(token_scores, attention_mask) + self.paragraph_scores(features, attention_mask)
        unread = (1 - attention_mask.unsqueeze(-1).float()) * FAR_BELOW
        sharpness = self.sharpness().clamp_min(LEAST_SHARPNESS_OF_SHARES)
        shares = torch.softmax(token_scores * sharpness + unread, dim=1)
        return {"logits": logits, "token_shares": shares}

    def sharpness(self) -> Tensor:
        """Return how far each topic's soft maximum leans from the mean (0) to the maximum (infinity), (topics,)."""
        return nn.functional.softplus(self.raw_sharpness)

    def from_lower(self, lower_states: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Return what `forward` returns, given what `lower_states` returned."""
        return self.from_units(self.unit_states(lower_states, attention_mask), attention_mask)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Return `logits` (batch, topics) and `token_shares` (batch, tokens, topics), float32.

        A token's share, 0 to 1, is the gradient of the topic's logit by the token's score, at a
        sharpness of `LEAST_SHARPNESS_OF_SHARES` or more: how much of the soft maximum is this
        token's. The shares of a topic sum to 1.

        Args:
            input_ids: token ids (batch, tokens).
            attention_mask: 1 for tokens, 0 for padding (batch, tokens).
        """
        return self.from_lower(self.lower_states(input_ids, attention_mask), attention_mask)


def _apply(layer: nn.Module, states: Tensor, attention_mask: Tensor) -> Tensor:
    unread = (1 - attention_mask[:, None, None, :].to(states.dtype)) * FAR_BELOW
    found: Tensor = layer(states, attention_mask=unread)
    return found


def _mean_of_tokens(states: Tensor, attention_mask: Tensor) -> Tensor:
    """Return the mean of each text's states, padding left out, (batch, 1, width)."""
    read = attention_mask.unsqueeze(-1).float()
    return (states * read).sum(1, keepdim=True) / read.sum(1, keepdim=True)


def topic_loss(logits: Tensor, labels: Tensor, exclusive: bool) -> Tensor:
    """Return the cross-entropy of logits (batch, topics), summed over the topics, mean over the batch.

    Args:
        logits: float (batch, topics).
        labels: multi-hot float (batch, topics); `UNKNOWN` entries do not count.
        exclusive: each text has exactly one topic, so that the topics compete.
    """
    if exclusive:
        return nn.functional.cross_entropy(logits, labels.argmax(1))
    each = nn.functional.binary_cross_entropy_with_logits(logits, labels.float().clamp_min(0), reduction="none")
    return (each * (labels != UNKNOWN)).sum() / len(labels)


@torch.no_grad()
def snap_weights(network: nn.Module) -> None:
    """Round every weight matrix to 8-bit steps, one scale a row, in place.

    The exported file then holds one byte a weight and is still this very network: what
    was calibrated and tested here is what ships. The base's own weights have 4 bits.
    """
    for parameter in network.parameters():
        if parameter.ndim == 2:
            parameter.copy_(snapped(parameter))


def snapped(weight: Tensor) -> Tensor:
    """Return a matrix rounded to 8-bit steps, one scale a row."""
    scale = weight.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / GRID_STEPS
    return torch.round(weight / scale) * scale
