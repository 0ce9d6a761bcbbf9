"""Supervised contrast: near is good for texts of one topic, far for others."""

import math

import pytest
import torch

from training.contrast import STRETCH, TEMPERATURE, contrastive_loss, cut_stretch, draw_partners


def test_the_loss_of_three_texts_by_hand() -> None:
    means = torch.tensor([[2.0, 0.0], [0.6, 0.8], [0.0, 0.5]])
    # Cosines: 0.6 between the two of one topic, 0 and 0.8 to the third.
    near, far = 0.6 / TEMPERATURE, (0.0, 0.8)
    expected = [math.log(math.exp(near) + math.exp(cosine / TEMPERATURE)) - near for cosine in far]
    found = contrastive_loss(means, torch.tensor([7, 7, 1]))
    assert float(found) == pytest.approx(sum(expected) / 2, rel=1e-5)


def test_it_falls_as_a_topic_comes_together() -> None:
    apart = torch.eye(4)
    together = apart.clone()
    together[1] = together[0] + 0.1 * together[1]
    topics = torch.tensor([0, 0, 1, 2])
    assert contrastive_loss(together, topics) < contrastive_loss(apart, topics)


def test_texts_that_are_all_of_other_topics_move_nothing() -> None:
    means = torch.randn(3, 4, requires_grad=True)
    loss = contrastive_loss(means, torch.arange(3))
    loss.backward()
    assert loss.item() == 0
    assert means.grad is not None
    assert not means.grad.any()


def test_a_partner_is_another_text_of_the_topic() -> None:
    topics = torch.tensor([0, 1, 0, 2, 0])
    drawn = {tuple(draw_partners([0, 1, 4], topics)) for _ in range(60)}
    assert drawn == {(first, 1, third) for first in (2, 4) for third in (0, 2)}


def test_a_long_text_is_read_in_stretches() -> None:
    torch.manual_seed(1)
    states = torch.arange(STRETCH + 2)[:, None]
    assert {tuple(cut_stretch(states).flatten().tolist()) for _ in range(40)} == {
        tuple(range(start, start + STRETCH)) for start in range(3)
    }
    assert cut_stretch(states[:5]).equal(states[:5])
