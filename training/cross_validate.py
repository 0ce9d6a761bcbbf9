"""Out-of-fold logits: each article is scored by a network that never saw it."""

import json
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from models.network import TopicNetwork, snap_weights
from training.examples import Examples, split_by_group
from training.fine_tune import fine_tune, has_bf16, is_main_process, tokenizer_of
from training.head import encode, pad
from training.settings import TrainSettings


@torch.inference_mode()
def predict_logits(network: TopicNetwork, tokenizer: Tokenizer, texts: tuple[str, ...], max_length: int) -> np.ndarray:
    """Return logits, float32 (texts, topics); a text beyond `max_length` tokens is cut."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network.to(device).eval()
    encoded = encode(tokenizer, list(texts), max_length)
    order = sorted(range(len(encoded)), key=lambda place: len(encoded[place]))
    logits = np.empty((len(texts), network.head.out_features), np.float32)
    for start in range(0, len(order), 16):
        places = order[start : start + 16]
        tokens, mask = pad([encoded[place] for place in places], network.encoder.config.pad_token_id or 0)
        with torch.autocast(device, torch.bfloat16, enabled=has_bf16()):
            logits[places] = network(tokens.to(device), mask.to(device))["logits"].float().cpu().numpy()
    network.cpu()
    return logits


def out_of_fold_logits(examples: Examples, extra: Examples, settings: TrainSettings, folder: Path) -> np.ndarray:
    """Return logits (examples, topics), each from a network that saw no example of the same group.

    Finished folds are kept in `folder` and not trained again.

    Args:
        examples: what is split.
        extra: examples that every fold trains on (the topics' phrases).
    """
    logits = np.empty(examples.labels.shape, np.float32)
    for number, (train, held_out) in enumerate(split_by_group(examples, settings.n_folds, settings.seed)):
        path = folder / f"fold-{number}.json"
        if not path.exists():
            print(
                f"fold {number + 1} of {settings.n_folds}: {len(train)} paragraphs to train on, {len(held_out)} held out"
            )
            network = fine_tune(examples.take(train).joined(extra), settings, folder / f"fold-{number}")
            snap_weights(network)
            tokenizer = tokenizer_of(settings.base)
            found = predict_logits(network, tokenizer, examples.take(held_out).texts, settings.max_length)
            if is_main_process():
                _write_json(
                    path, {examples.ids[place]: row.tolist() for place, row in zip(held_out, found, strict=True)}
                )
            logits[held_out] = found
        else:
            kept = json.loads(path.read_text(encoding="utf-8"))
            logits[held_out] = [kept[examples.ids[place]] for place in held_out]
    return logits


def _write_json(path: Path, content: object) -> None:
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(content), encoding="utf-8")
    unfinished.replace(path)
