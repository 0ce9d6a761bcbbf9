"""Fine-tune the network with transformers' Trainer (needs torch).

The head starts as a logistic regression on the frozen encoder: on a few hundred examples
that start is worth more than the fine-tuning after it.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import torch
from datasets import Dataset
from tokenizers import Tokenizer
from transformers import BertModel, Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from models.base import load_base
from models.network import TopicNetwork
from training.examples import Examples
from training.head import embed, encode, fit_head, pad
from training.settings import TrainSettings

WARMUP_SHARE = 0.1


@lru_cache(maxsize=1)
def _base_weights(base: str) -> tuple[Any, dict[str, torch.Tensor], Tokenizer]:
    encoder, tokenizer = load_base(base)
    return encoder.config, encoder.state_dict(), tokenizer


def new_network(base: str, n_topics: int) -> tuple["PartlyFrozen", Tokenizer]:
    """Return an untrained network on a fresh copy of the base, and the tokenizer."""
    config, weights, tokenizer = _base_weights(base)
    # Dropout inside attention keeps the fused kernel out: most of a CPU's forward pass.
    config.attention_probs_dropout_prob = 0.0
    encoder = BertModel(config, add_pooling_layer=False)
    encoder.load_state_dict(weights)
    return PartlyFrozen(encoder, n_topics), tokenizer


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


class PartlyFrozen(TopicNetwork):
    """A network whose lower layers neither learn nor drop out: their part of the work is one forward pass."""

    def freeze_below(self, n_trained_layers: int) -> None:
        """Train the upper layers and the head only."""
        layers = self.encoder.encoder.layer
        n_frozen = max(len(layers) - n_trained_layers, 0)
        self.frozen = [self.encoder.embeddings, *layers[:n_frozen]] if n_frozen else []
        for part in self.frozen:
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> "PartlyFrozen":
        """Switch to training mode, the frozen part aside."""
        super().train(mode)
        for part in getattr(self, "frozen", []):
            part.eval()
        return self


def _last_checkpoint(folder: Path) -> str | None:
    if not folder.is_dir():
        return None
    return cast("str | None", get_last_checkpoint(str(folder)))  # type: ignore[no-untyped-call]


def fine_tune(examples: Examples, settings: TrainSettings, folder: Path) -> TopicNetwork:
    """Train a network on these examples and return it on the CPU in float32.

    Checkpoints go to `folder` after each epoch; if it holds some already, training goes
    on from the last. The same seed, data and machine give the same network.
    """
    set_seed(settings.seed)
    network, tokenizer = new_network(settings.base, examples.labels.shape[1])
    encoded = encode(tokenizer, list(examples.texts), settings.max_length)
    if torch.cuda.is_available():
        network.to("cuda")
    last = _last_checkpoint(folder)
    if last is None:
        fit_head(network, embed(network, encoded, bf16=has_bf16()), examples.labels)
    network.freeze_below(settings.n_trained_layers)
    dataset = Dataset.from_dict({"input_ids": encoded, "labels": examples.labels.tolist()})
    pad_id = network.encoder.config.pad_token_id or 0

    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        tokens, mask = pad([row["input_ids"] for row in rows], pad_id)
        return {"input_ids": tokens, "attention_mask": mask, "labels": torch.tensor([row["labels"] for row in rows])}

    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.num_train_epochs,
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
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    trainer = Trainer(model=network, args=arguments, train_dataset=dataset, data_collator=collate)
    trainer.train(resume_from_checkpoint=last)
    # The Trainer has wrapped `forward` in bfloat16; what is exported must be plain float32.
    trained: TopicNetwork = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    return trained.eval().float().cpu()
