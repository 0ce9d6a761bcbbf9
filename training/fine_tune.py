"""Fit the network on the base, and fine-tune it with transformers' Trainer where that pays (needs torch).

The head is fitted to be the best on the frozen encoder (`training.head`). Beside the
lexicon nothing is won by fine-tuning then, but where each text has one topic it is: there
the encoder is tuned on single texts and on pairs, and the head fitted once more on what came of it.
Embeddings and lower layers stay as the base has them, so each text goes through them once. The layers
above compute with rounded weights while they are tuned: rounded afterwards they lose what they have learnt.
"""

import math
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.utils import parametrize
from transformers import BertModel, Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from models.base import load_base
from models.network import TopicNetwork, snap_weights, snapped, topic_loss
from training.contrast import contrastive_loss, cut_stretch, draw_partners
from training.examples import Examples
from training.head import batches_by_length, encode, fit_exclusive_head, fit_head, lower_states, pad, unit_states
from training.settings import TrainSettings

WARMUP_SHARE = 0.1
# A small set is gone through more often, until the network has had so many steps.
MIN_STEPS = 60
# Where the topics exclude each other. In an epoch each text is read about twice, once as another's partner.
EXCLUSIVE_EPOCHS = 3
# Share of the encoder's depth that stays frozen there; elsewhere it is all below the features.
EXCLUSIVE_LOWER_DEPTH = 1 / 3


@lru_cache(maxsize=1)
def _base_weights(base: str) -> tuple[Any, dict[str, Tensor], Tokenizer]:
    encoder, tokenizer = load_base(base)
    # Snapped here, so that the features a head is fitted on are those of the network that ships.
    snap_weights(encoder)
    return encoder.config, encoder.state_dict(), tokenizer


def new_network(base: str, n_topics: int, exclusive: bool = False) -> TopicNetwork:
    """Return an untrained network on a fresh copy of the base."""
    config, weights, _ = _base_weights(base)
    # Dropout on attention costs a third of a training step on a CPU.
    config.attention_probs_dropout_prob = 0.0
    encoder = BertModel(config, add_pooling_layer=False)
    encoder.load_state_dict(weights)
    return TopicNetwork(encoder, n_topics, EXCLUSIVE_LOWER_DEPTH) if exclusive else TopicNetwork(encoder, n_topics)


def tokenizer_of(base: str) -> Tokenizer:
    """Return the base's tokenizer."""
    return _base_weights(base)[2]


def has_bf16() -> bool:
    """Whether the device that training runs on computes in bfloat16 natively."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False


def is_main_process() -> bool:
    """Whether this process writes the files; under torchrun only the first does."""
    return int(os.environ.get("RANK", "0")) == 0


def leave_other_processes() -> None:
    """End the connection to the processes that torchrun started beside this one, if any: its threads outlive no exit."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@dataclass(frozen=True)
class Prepared:
    """Examples with what the frozen lower layers make of them; computed once, used by every fold."""

    examples: Examples
    lower: list[Tensor]
    """bfloat16 (tokens, hidden) of each text."""
    units: list[Tensor]
    """bfloat16 (tokens, width) of each text: the frozen encoder's features before centring."""

    def take(self, places: np.ndarray | list[int]) -> "Prepared":
        """Return what is at these places."""
        return Prepared(
            self.examples.take(places),
            [self.lower[place] for place in places],
            [self.units[place] for place in places],
        )

    def joined(self, other: "Prepared") -> "Prepared":
        """Return these followed by others.

        Raises:
            ValueError: only one of both is exclusive, so they stop at different layers.
        """
        if self.examples.exclusive != other.examples.exclusive:
            raise ValueError("exclusive examples and others cannot be joined: their lower states differ")
        return Prepared(self.examples.joined(other.examples), self.lower + other.lower, self.units + other.units)


def prepare(examples: Examples, settings: TrainSettings) -> Prepared:
    """Run the frozen base over the examples; a text beyond `max_length` tokens is cut."""
    network = new_network(settings.base, examples.labels.shape[1], examples.exclusive)
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    encoded = encode(tokenizer_of(settings.base), list(examples.texts), settings.max_length)
    lower = lower_states(network, encoded, has_bf16())
    return Prepared(examples, lower, unit_states(network, lower, has_bf16()))


class _Snapped(torch.nn.Module):
    """Snaps a weight on its way forwards and lets gradients through (Bengio et al. 2013, arXiv 1308.3432, section 2.1)."""

    def forward(self, weight: Tensor) -> Tensor:
        with torch.no_grad():
            change = snapped(weight) - weight
        return weight + change


class _Upper(torch.nn.Module):
    """What the Trainer trains: the layers above the frozen ones, and the head."""

    def __init__(self, network: TopicNetwork, exclusive: bool) -> None:
        super().__init__()
        self.network = network
        self.exclusive = exclusive
        layers = network.encoder.encoder.layer
        for part in (network.encoder.embeddings, *layers[: network.n_lower_layers]):
            part.requires_grad_(False)
        tuned = layers[network.n_lower_layers :].modules()
        self.snapped = [part for part in tuned if isinstance(part, torch.nn.Linear)]
        for part in self.snapped:
            parametrize.register_parametrization(part, "weight", _Snapped())

    def finish(self) -> None:
        """Leave the network with the snapped weights, as plain ones."""
        for part in self.snapped:
            parametrize.remove_parametrizations(part, "weight", leave_parametrized=True)

    def forward(self, lower_states: Tensor, attention_mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
        units = self.network.unit_states(lower_states, attention_mask)
        logits = self.network.from_units(units, attention_mask)["logits"]
        loss = topic_loss(logits, labels, self.exclusive)
        if self.exclusive:
            loss = loss + contrastive_loss(self.network.last_means(units, attention_mask), labels.argmax(1))
        return {"loss": loss, "logits": logits}


def fit_on_frozen(prepared: Prepared, settings: TrainSettings) -> TopicNetwork:
    """Return a network whose encoder is the base and whose head is the best for it, on the CPU."""
    examples = prepared.examples
    network = new_network(settings.base, examples.labels.shape[1], examples.exclusive)
    # The fused kernel is fast forwards, but on a CPU its backward pass takes half of a training step.
    network.encoder.set_attn_implementation("eager")
    _fit_head(network, prepared.units, examples, settings)
    return network.eval()


def _fit_head(network: TopicNetwork, units: list[Tensor], examples: Examples, settings: TrainSettings) -> None:
    """Fit the head on features before centring, a tensor (tokens, width) for each example."""
    if examples.exclusive:
        fit_exclusive_head(network, units, examples.labels, examples.weights())
    else:
        fit_head(network, units, examples.labels, settings.seed, has_bf16())


def epochs_of(examples: Examples, settings: TrainSettings) -> int:
    """Return how many epochs of fine-tuning these examples get; 0 if the base stays as it is."""
    return max(settings.num_train_epochs, EXCLUSIVE_EPOCHS if examples.exclusive else 0)


def fit_network(prepared: Prepared, settings: TrainSettings, folder: Path) -> TopicNetwork:
    """Return the network that ships, its weights snapped: fine-tuned in `folder`, or with the base as it is."""
    tuned = epochs_of(prepared.examples, settings) > 0
    network = fine_tune(prepared, settings, folder) if tuned else fit_on_frozen(prepared, settings)
    snap_weights(network)
    return network


def fine_tune(prepared: Prepared, settings: TrainSettings, folder: Path) -> TopicNetwork:
    """Train a network on these examples and return it on the CPU in float32.

    Checkpoints go to `folder` after each epoch; if it holds some already, training goes
    on from the last. The same seed, data and machine give the same network.
    """
    set_seed(settings.seed)
    last = _last_checkpoint(folder)
    # The state of the random generators decides dropout, so the head is fitted when going on too.
    network = fit_on_frozen(prepared, settings)
    upper = _Upper(network, prepared.examples.exclusive)
    dataset = Dataset.from_dict(
        {"place": range(len(prepared.lower)), "input_ids": [[0] * len(row) for row in prepared.lower]}
    )
    labels, exclusive = torch.from_numpy(prepared.examples.labels), prepared.examples.exclusive
    topics = labels.argmax(1)

    def collate(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        places = [row["place"] for row in rows]
        if exclusive:
            places += draw_partners(places, topics)
        chosen = [prepared.lower[place] for place in places]
        states, mask = pad([cut_stretch(states) for states in chosen] if exclusive else chosen)
        return {"lower_states": states, "attention_mask": mask, "labels": labels[places]}

    steps_of_epoch = math.ceil(len(prepared.lower) / settings.batch_size)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=max(epochs_of(prepared.examples, settings), math.ceil(MIN_STEPS / steps_of_epoch)),
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=WARMUP_SHARE,
        per_device_train_batch_size=settings.batch_size,
        train_sampling_strategy="group_by_length",
        bf16=has_bf16(),
        use_cpu=not torch.cuda.is_available(),
        save_strategy="epoch",
        save_total_limit=1,
        logging_strategy="epoch",
        report_to="none",
        seed=settings.seed,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    trainer = Trainer(model=upper, args=arguments, train_dataset=dataset, data_collator=collate)
    trainer.train(resume_from_checkpoint=last)
    upper.finish()
    network.eval().float().cpu()
    if exclusive:
        units = unit_states(network, prepared.lower, has_bf16())
        _fit_head(network, units, prepared.examples, settings)
    return network


def _last_checkpoint(folder: Path) -> str | None:
    if not folder.is_dir():
        return None
    return cast("str | None", get_last_checkpoint(str(folder)))  # type: ignore[no-untyped-call]


@torch.inference_mode()
def predict_logits(network: TopicNetwork, prepared: Prepared) -> np.ndarray:
    """Return logits, float32 (examples, topics), of a network whose lower layers are the base's."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network.to(device).eval()
    logits = np.empty(prepared.examples.labels.shape, np.float32)
    for places in batches_by_length(prepared.lower):
        states, mask = pad([prepared.lower[place] for place in places])
        with torch.autocast(device, torch.bfloat16, enabled=has_bf16()):
            output = network.from_lower(states.to(device), mask.to(device))
        logits[places] = output["logits"].float().cpu().numpy()
    network.cpu()
    return logits
