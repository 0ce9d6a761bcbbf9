"""The head on the frozen encoder: a soft maximum where topics mix, a mean where each text has one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.network import UNKNOWN
from training import head
from training.fine_tune import new_network
from training.head import fit_exclusive_head, fit_head


def units(seed: int, n_texts: int, width: int) -> list[torch.Tensor]:
    torch.manual_seed(seed)
    rows = [torch.randn(4 + place % 5, width) for place in range(n_texts)]
    return [torch.nn.functional.normalize(row, dim=-1).bfloat16() for row in rows]


def fitted_logits(network: torch.nn.Module, rows: list[torch.Tensor]) -> torch.Tensor:
    one = torch.ones
    with torch.no_grad():
        return torch.cat(
            [network.from_units(row.float()[None], one(1, len(row), dtype=torch.int64))["logits"] for row in rows]
        )


def test_one_telling_token_is_found_among_others(tiny_base: Path) -> None:
    network = new_network(str(tiny_base), 2)
    rows = units(1, 60, 64)
    labels = np.zeros((60, 2), np.float32)
    telling = torch.nn.functional.normalize(torch.ones(64), dim=0).bfloat16()
    for place in range(0, 60, 2):
        rows[place][1], labels[place, 0] = telling, 1
    labels[:, 1] = UNKNOWN
    fit_head(network, rows, labels, seed=1, bf16=False)
    assert (((fitted_logits(network, rows)[:, 0] > 0).numpy() == (labels[:, 0] > 0)).mean()) > 0.95
    assert network.raw_sharpness.requires_grad
    # Trained again or gone on with, a model has the same bytes.
    for layer in (network.token_layer, network.token_head, network.paragraph_layer, network.paragraph_head):
        assert not any(parameter.any() for parameter in layer.parameters())


def test_where_each_text_has_one_topic_the_mean_decides(tiny_base: Path) -> None:
    network = new_network(str(tiny_base), 3)
    rows = units(2, 30, 64)
    labels = np.eye(3, dtype=np.float32)[np.arange(30) % 3]
    for row, label in zip(rows, labels, strict=True):
        row[:, :3] += 0.2 * torch.from_numpy(label).bfloat16()
    fit_exclusive_head(network, rows, labels, np.ones(30))
    logits = fitted_logits(network, rows)
    with torch.no_grad():
        means = (
            torch.stack([network.token_scores(network.features(row.float()[None]))[0].mean(0) for row in rows])
            + network.head.bias
        )
    assert torch.allclose(logits, means, atol=0.3)
    assert (logits.argmax(1).numpy() == labels.argmax(axis=1)).mean() > 0.95
    assert not network.raw_sharpness.requires_grad


def accuracy(network: torch.nn.Module, rows: list[torch.Tensor], labels: np.ndarray) -> float:
    return float(((fitted_logits(network, rows)[:, 0] > 0).numpy() == (labels[:, 0] > 0.5)).mean())


def test_with_enough_examples_a_word_may_mean_another_thing_beside_another(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Either of two tokens makes the topic, both together do not: no sum of scores says that.
    rows, labels = units(3, 240, 64), np.full((240, 2), UNKNOWN, np.float32)
    for place, row in enumerate(rows):
        for token in (0, 1):
            if place >> token & 1:
                row[token] = torch.nn.functional.one_hot(torch.tensor(token), 64).bfloat16()
        labels[place, 0] = place % 4 in (1, 2)
    monkeypatch.setattr(head, "EPOCHS", 60)
    found = {}
    for least in (240, 241, 240):
        monkeypatch.setattr(head, "MIN_EXAMPLES", least)
        network = new_network(str(tiny_base), 2)
        fit_head(network, rows, labels, seed=1, bf16=False)
        logits = fitted_logits(network, rows)
        assert least not in found or torch.equal(found[least], logits), "the same seed gives the same head"
        found[least] = logits
        assert (accuracy(network, rows, labels) > 0.95) == (least == 240)
