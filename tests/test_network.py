from pathlib import Path

import pytest
import torch

from models.base import load_base
from models.network import GRID_STEPS, TopicNetwork, snap_weights


@pytest.fixture
def network(tiny_base: Path) -> TopicNetwork:
    encoder, _ = load_base(str(tiny_base))
    torch.manual_seed(2)
    return TopicNetwork(encoder, 3).eval()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.tensor([[2, 50, 60, 70, 3], [2, 80, 3, 0, 0]])
    return ids, (ids != 0).long()


@torch.no_grad()
def test_pooled_vectors_are_unit_means_over_the_tokens(network: TopicNetwork) -> None:
    ids, mask = batch()
    pooled = network.pool(ids, mask)
    states = network.encoder(input_ids=ids[1:, :3]).last_hidden_state[0]
    assert pooled.shape == (2, 32)
    assert torch.allclose(pooled.norm(dim=1), torch.ones(2))
    assert torch.allclose(pooled[1], torch.nn.functional.normalize(states.mean(0), dim=0), atol=1e-5)


@torch.no_grad()
def test_features_are_centred_and_scaled_and_the_head_is_linear(network: TopicNetwork) -> None:
    ids, mask = batch()
    network.feature_mean += 0.25
    network.feature_scale *= 2
    expected = (network.pool(ids, mask) - 0.25) / (2 / 32**0.5)
    assert torch.allclose(network.features(ids, mask), expected, atol=1e-6)
    logits = network(ids, mask)["logits"]
    assert logits.dtype == torch.float32
    assert torch.allclose(logits, expected @ network.head.weight.T + network.head.bias, atol=1e-5)


def test_loss_is_given_with_labels_and_reaches_the_encoder(network: TopicNetwork) -> None:
    ids, mask = batch()
    assert set(network(ids, mask)) == {"logits"}
    labels = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    output = network(ids, mask, labels)
    p = torch.sigmoid(output["logits"])
    by_hand = -(labels * p.log() + (1 - labels) * (1 - p).log()).mean()
    assert torch.allclose(output["loss"], by_hand, atol=1e-5)
    output["loss"].backward()
    gradient = network.encoder.encoder.layer[0].attention.self.query.weight.grad
    assert gradient is not None and gradient.abs().sum() > 0


def test_feature_statistics_are_saved_with_the_weights(network: TopicNetwork) -> None:
    assert {"feature_mean", "feature_scale", "head.weight", "head.bias"} <= set(network.state_dict())


def test_snapped_weights_are_whole_steps_near_the_old_ones(network: TopicNetwork) -> None:
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    snap_weights(network)
    for name, parameter in network.named_parameters():
        if parameter.ndim != 2:
            assert torch.equal(parameter, before[name])
            continue
        step = before[name].abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / GRID_STEPS
        steps = parameter / step
        assert torch.allclose(steps, steps.round(), atol=1e-3)
        assert steps.abs().max() <= GRID_STEPS + 1e-3
        assert bool(((parameter - before[name]).abs() <= 0.501 * step).all())


@torch.no_grad()
def test_snapping_twice_changes_nothing_and_zero_rows_stay(network: TopicNetwork) -> None:
    network.head.weight[1] = 0
    snap_weights(network)
    once = network.head.weight.detach().clone()
    snap_weights(network)
    assert torch.allclose(network.head.weight, once, atol=1e-7)
    assert bool((once[1] == 0).all())
