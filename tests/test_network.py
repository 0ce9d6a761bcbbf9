import math
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel

from models.base import load_base
from models.network import (
    GRID_STEPS,
    LEAST_SHARPNESS_OF_SHARES,
    MEAN_FACTOR,
    UNKNOWN,
    TopicNetwork,
    snap_weights,
    topic_loss,
)


@pytest.fixture
def network(tiny_base: Path) -> TopicNetwork:
    encoder, _ = load_base(str(tiny_base))
    torch.manual_seed(2)
    return TopicNetwork(encoder, 3).eval()


@pytest.fixture
def deep() -> TopicNetwork:
    """A network whose features come from several layers, 6, 8 and 9, and not from one between."""
    return TopicNetwork(encoder_of(9), 3).eval()


def encoder_of(n_layers: int) -> BertModel:
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=100,
        hidden_size=16,
        num_hidden_layers=n_layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
        # With larger weights the tokens' states would become all alike in so many layers.
        initializer_range=0.1,
    )
    return BertModel(config, add_pooling_layer=False).eval()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.tensor([[2, 50, 60, 70, 3], [2, 80, 3, 0, 0]])
    return ids, (ids != 0).long()


def sharpen(network: TopicNetwork, sharpness: float) -> None:
    # The inverse of the softplus; above 20 that is the identity.
    network.raw_sharpness.data.fill_(math.log(math.expm1(sharpness)) if sharpness < 20 else sharpness)


@pytest.mark.parametrize(
    ("n_layers", "layers"),
    [(1, (1,)), (2, (1, 2)), (3, (2, 3)), (4, (3, 4)), (6, (4, 5, 6)), (9, (6, 8, 9)), (12, (8, 10, 12))],
)
def test_features_come_from_two_thirds_five_sixths_and_the_whole_of_the_depth(
    n_layers: int, layers: tuple[int, ...]
) -> None:
    network = TopicNetwork(encoder_of(n_layers), 3)
    assert network.feature_layers == layers
    assert network.head.in_features == network.feature_mean.numel() == 16 * len(layers)


@torch.no_grad()
def test_states_are_the_encoders_own_and_of_unit_length(deep: TopicNetwork) -> None:
    ids, mask = batch()
    hidden = deep.encoder(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    assert len(hidden) == 10
    lower = deep.lower_states(ids, mask)
    units = deep.unit_states(lower, mask)
    assert (lower.shape, units.shape, units.dtype) == ((2, 5, 16), (2, 5, 48), torch.float32)
    # What stands at padding is read by nobody.
    read = mask.bool()
    assert torch.allclose(lower[read], hidden[6][read], atol=1e-5)
    for part, layer in zip(units.split(16, dim=-1), (6, 8, 9), strict=True):
        assert torch.allclose(part[read].norm(dim=-1), torch.ones(8))
        by_hand = hidden[layer][read] / hidden[layer][read].norm(dim=-1, keepdim=True)
        assert torch.allclose(part[read], by_hand, atol=1e-5)


@torch.no_grad()
def test_features_are_centred_and_scaled_states(deep: TopicNetwork) -> None:
    units = torch.randn(2, 5, 48)
    # 1 / sqrt(hidden) at first.
    assert deep.feature_scale.tolist() == [0.25]
    deep.feature_mean += torch.arange(48) / 48
    deep.feature_scale *= 2
    assert torch.allclose(deep.features(units), (units - torch.arange(48) / 48) / 0.5)


@torch.no_grad()
def test_token_scores_are_linear_until_the_hidden_layer_is_fitted(deep: TopicNetwork) -> None:
    features = torch.randn(2, 5, 48)
    scores = deep.token_scores(features)
    assert (scores.shape, scores.dtype) == ((2, 5, 3), torch.float32)
    assert torch.allclose(scores, features @ deep.head.weight.T, atol=1e-4)
    deep.token_head.weight[1] = 1.0
    hidden = torch.nn.functional.gelu(features @ deep.token_layer.weight.T + deep.token_layer.bias).sum(-1)
    expected = scores + torch.stack([torch.zeros_like(hidden), hidden, torch.zeros_like(hidden)], dim=-1)
    assert torch.allclose(deep.token_scores(features), expected, atol=1e-3)


@torch.no_grad()
def test_what_the_whole_paragraph_adds(deep: TopicNetwork) -> None:
    features = torch.randn(2, 5, 48)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    assert bool((deep.paragraph_scores(features, mask) == 0).all())
    deep.paragraph_head.weight[2] = 1.0
    means = torch.stack([features[0, :3].mean(0), features[1].mean(0)])
    hidden = torch.nn.functional.gelu(MEAN_FACTOR * means @ deep.paragraph_layer.weight.T + deep.paragraph_layer.bias)
    scores = deep.paragraph_scores(features, mask)
    assert torch.allclose(scores[:, 2], hidden.sum(-1), atol=1e-3)
    assert bool((scores[:, :2] == 0).all())
    before = deep.pool(deep.token_scores(features), mask)
    assert torch.allclose(deep.from_features(features, mask)["logits"], before + scores, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(
    ("sharpness", "expected"),
    [
        # log((1 + 3) / 2) and log((1 + 1 + 7) / 3)
        (1.0, (math.log(2), math.log(3))),
        # log((1 + 3**2) / 2) / 2 and log((1 + 1 + 7**2) / 3) / 2
        (2.0, (math.log(5) / 2, math.log(17) / 2)),
        # Nearly the mean, and nearly the maximum.
        (0.001, (math.log(3) / 2, math.log(7) / 3)),
        (1000.0, (math.log(3), math.log(7))),
    ],
)
def test_the_soft_maximum_by_hand(sharpness: float, expected: tuple[float, float], network: TopicNetwork) -> None:
    sharpen(network, sharpness)
    network.head.bias.copy_(torch.tensor([0.0, 10.0, -2.0]))
    # Two texts, of two and three tokens; the third of the first is padding.
    scores = torch.tensor([[0.0, math.log(3), 99.0], [0.0, 0.0, math.log(7)]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    logits = network.pool(scores.unsqueeze(-1).expand(2, 3, 3), mask)
    assert network.sharpness().tolist() == pytest.approx([sharpness] * 3, rel=1e-4)
    for row, value in zip(logits.tolist(), expected, strict=True):
        assert row == pytest.approx([value, value + 10, value - 2], abs=2e-3)


def test_token_shares_say_how_the_logit_follows_the_tokens_scores(
    network: TopicNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    sharpen(network, 2.0)
    ids, mask = batch()
    scores = torch.randn(2, 5, 3, requires_grad=True)
    scores.data[1, 1, 0], scores.data[1, 0, 0], scores.data[1, 2, 0] = math.log(3), 0.0, 0.0
    monkeypatch.setattr(network, "token_scores", lambda features: scores)
    output = network(ids, mask)
    shares = output["token_shares"]
    # exp(2 log 3) = 9 of 1 + 9 + 1, and nothing of the padding.
    assert torch.allclose(shares[1, :, 0], torch.tensor([1, 9, 1, 0, 0]) / 11, atol=1e-6)
    assert torch.allclose(shares.sum(1), torch.ones(2, 3))
    assert bool((shares[mask == 0] == 0).all())
    for topic in range(3):
        (gradient,) = torch.autograd.grad(output["logits"][:, topic].sum(), scores, retain_graph=True)
        assert torch.allclose(gradient[..., topic], shares[..., topic], atol=1e-6)


@torch.no_grad()
def test_where_the_mean_decides_the_shares_still_tell_tokens_apart(
    network: TopicNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    sharpen(network, 0.001)
    scores = torch.zeros(2, 5, 3)
    scores[1, 1, 0] = math.log(3) / LEAST_SHARPNESS_OF_SHARES
    monkeypatch.setattr(network, "token_scores", lambda features: scores)
    ids, mask = batch()
    shares = network(ids, mask)["token_shares"]
    assert torch.allclose(shares[1, :, 0], torch.tensor([1, 3, 1, 1, 1]) * mask[1] / (mask[1].sum() + 2), atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("which", ["network", "deep"])
def test_padding_changes_nothing(which: str, request: pytest.FixtureRequest) -> None:
    network: TopicNetwork = request.getfixturevalue(which)
    ids, mask = batch()
    together = network(ids, mask)
    assert set(together) == {"logits", "token_shares"}
    assert (together["logits"].shape, together["token_shares"].shape) == ((2, 3), (2, 5, 3))
    assert together["logits"].dtype == together["token_shares"].dtype == torch.float32
    alone = network(ids[1:, :3], mask[1:, :3])
    assert torch.allclose(together["logits"][1:], alone["logits"], atol=1e-5)
    assert torch.allclose(together["token_shares"][1:, :3], alone["token_shares"], atol=1e-5)
    assert bool((together["token_shares"][1, 3:] == 0).all())
    # And what is no padding does.
    assert not torch.allclose(together["logits"][0], together["logits"][1], atol=1e-2)


@torch.no_grad()
def test_kept_lower_states_give_the_same_answer(deep: TopicNetwork) -> None:
    ids, mask = batch()
    output, again = deep(ids, mask), deep.from_lower(deep.lower_states(ids, mask), mask)
    assert all(torch.equal(output[key], again[key]) for key in ("logits", "token_shares"))


@torch.no_grad()
@pytest.mark.parametrize("depth", [0, 1 / 3, 2 / 3])
def test_where_the_lower_layers_end_changes_nothing(deep: TopicNetwork, depth: float) -> None:
    ids, mask = batch()
    other = TopicNetwork(deep.encoder, 3, depth)
    other.load_state_dict(deep.state_dict())
    assert other.n_lower_layers == round(9 * depth)
    found, expected = other(ids, mask), deep(ids, mask)
    assert all(torch.equal(found[key], expected[key]) for key in ("logits", "token_shares"))


def test_loss_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3), 5.0], [0.0, 0.0, -math.log(4)]])
    labels = torch.tensor([[1.0, 0.0, UNKNOWN], [UNKNOWN, UNKNOWN, 1.0]])
    # Probabilities 1/2, 3/4, not judged; not judged, not judged, 1/5.
    expected = (math.log(2) + math.log(4) + math.log(5)) / 2
    assert topic_loss(logits, labels, exclusive=False).item() == pytest.approx(expected, rel=1e-5)


def test_loss_of_topics_that_exclude_each_other_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(2), 0.0], [math.log(6), 0.0, 0.0]])
    labels = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    # Probabilities 2/4 and 1/8.
    expected = (math.log(2) + math.log(8)) / 2
    assert topic_loss(logits, labels, exclusive=True).item() == pytest.approx(expected, rel=1e-5)


def test_a_topic_that_nobody_judged_teaches_nothing() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    topic_loss(logits, torch.tensor([[1.0, UNKNOWN, 0.0], [UNKNOWN] * 3]), exclusive=False).backward()
    assert logits.grad is not None
    assert (logits.grad != 0).tolist() == [[True, False, True], [False] * 3]


def test_the_loss_reaches_encoder_head_and_sharpness(deep: TopicNetwork) -> None:
    ids, mask = batch()
    for layer in (deep.token_head, deep.paragraph_head):
        torch.nn.init.normal_(layer.weight)
    labels = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    topic_loss(deep(ids, mask)["logits"], labels, exclusive=False).backward()
    layers = [layer.attention.self.query.weight for layer in deep.encoder.encoder.layer]
    head = [parameter for name, parameter in deep.named_parameters() if not name.startswith("encoder.")]
    assert len(head) == 9
    for parameter in (*layers, *head):
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0


def test_feature_statistics_and_sharpness_are_saved_with_the_weights(network: TopicNetwork) -> None:
    names = {"feature_mean", "feature_scale", "raw_sharpness", "head.weight", "head.bias"}
    assert names <= set(network.state_dict())


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
