"""The network: a BERT, the mean of its token vectors, one linear output per topic (needs torch)."""

import math

import torch
from torch import Tensor, nn
from transformers import BertModel

# Weights are kept on a grid of 8-bit integers, one scale a row; see `snap_weights`.
GRID_STEPS = 127


class TopicNetwork(nn.Module):
    """Scores paragraphs for topics.

    The pooled vector is scaled to unit length, since the base encoder was trained under
    cosine similarity, and then centred and scaled so that the head sees features of
    about unit variance.
    """

    def __init__(self, encoder: BertModel, n_topics: int) -> None:
        super().__init__()
        self.encoder = encoder
        hidden = encoder.config.hidden_size
        self.feature_mean: Tensor
        self.feature_scale: Tensor
        self.register_buffer("feature_mean", torch.zeros(hidden))
        self.register_buffer("feature_scale", torch.full((1,), 1 / math.sqrt(hidden)))
        self.head = nn.Linear(hidden, n_topics)

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return unit vectors (batch, hidden): the mean over the tokens that the mask keeps."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1)
        return nn.functional.normalize(mean.float(), dim=-1)

    def features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the head's inputs (batch, hidden), float32."""
        return (self.pool(input_ids, attention_mask) - self.feature_mean) / self.feature_scale

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Return `logits` (batch, topics), float32, and `loss` where labels are given.

        Args:
            input_ids: token ids (batch, tokens).
            attention_mask: 1 for tokens, 0 for padding (batch, tokens).
            labels: multi-hot float (batch, topics).
        """
        features = self.features(input_ids, attention_mask)
        logits = nn.functional.linear(features, self.head.weight.float(), self.head.bias.float())
        if labels is None:
            return {"logits": logits}
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels.float())
        return {"loss": loss, "logits": logits}


@torch.no_grad()
def snap_weights(network: nn.Module) -> None:
    """Round every weight matrix to 8-bit steps, one scale a row, in place.

    The exported file then holds one byte a weight and is still this very network: what
    was calibrated and tested here is what ships. The base's own weights have 4 bits.
    """
    for parameter in network.parameters():
        if parameter.ndim == 2:
            scale = parameter.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / GRID_STEPS
            parameter.copy_(torch.round(parameter / scale) * scale)
