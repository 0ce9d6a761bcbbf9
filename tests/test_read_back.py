import random
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from models.artifact import MODEL_FILE
from models.base import load_base
from models.export import export_onnx
from models.network import TopicNetwork, snap_weights
from models.read_back import read_network

WINDOW = torch.tensor([[2, 9, 17, 30, 8, 3]])


@pytest.fixture(scope="module")
def network(tiny_base: Path) -> TopicNetwork:
    torch.manual_seed(2)
    network = TopicNetwork(load_base(str(tiny_base))[0], 3)
    for parameter in (network.head.weight, network.head.bias, network.token_head.weight, network.paragraph_head.weight):
        torch.nn.init.normal_(parameter)
    torch.nn.init.normal_(network.feature_mean)
    network.raw_sharpness.data.copy_(torch.tensor([0.5, 1.5, 2.5]))
    snap_weights(network)
    return network.eval()


def test_what_was_written_is_read_back(network: TopicNetwork, tmp_path: Path) -> None:
    export_onnx(network, tmp_path / MODEL_FILE)
    found, expected = read_network(tmp_path / MODEL_FILE).state_dict(), network.state_dict()
    assert found.keys() == expected.keys()
    for name, weight in found.items():
        assert weight.numpy() == pytest.approx(expected[name].numpy(), abs=1e-6), name


def test_products_of_integers_are_read_back_as_what_they_stand_for(network: TopicNetwork, tmp_path: Path) -> None:
    draw = random.Random(1)
    samples = [torch.tensor(draw.choices(range(5, 40), k=60)) for _ in range(20)]
    export_onnx(network, tmp_path / MODEL_FILE, samples)
    found = read_network(tmp_path / MODEL_FILE)
    with torch.inference_mode():
        one, other = (
            torch.cat([some(ids[None], torch.ones(1, 60, dtype=torch.int64))["logits"] for ids in samples])
            for some in (network, found)
        )
    # A network of random large weights: the logits of two texts differ by several whole numbers.
    assert (one - other).abs().mean().item() < 0.1 * one.std(dim=0).mean().item()


def test_it_says_what_the_file_says(tiny_artifact: Path) -> None:
    import onnxruntime

    inputs = {"input_ids": WINDOW.numpy(), "attention_mask": np.ones(WINDOW.shape, np.int64)}
    expected, shares = onnxruntime.InferenceSession(tiny_artifact / MODEL_FILE).run(["logits", "token_shares"], inputs)
    with torch.inference_mode():
        found = read_network(tiny_artifact / MODEL_FILE)(WINDOW, torch.ones_like(WINDOW))
    assert found["logits"].numpy() == pytest.approx(expected, abs=1e-3)
    assert found["token_shares"].numpy() == pytest.approx(shares, abs=1e-3)


def test_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / MODEL_FILE
    path.write_bytes(b"no network")
    with pytest.raises(ValueError, match="no network that can be read back"):
        read_network(path)
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"])], "other", [x], [y])
    onnx.save(onnx.helper.make_model(graph), path)
    with pytest.raises(ValueError, match="train again"):
        read_network(path)
