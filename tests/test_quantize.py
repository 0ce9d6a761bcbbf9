"""The exported network with 8-bit inputs of its matrix products: still nearly what torch computes."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from bench.reference import without_rounding

from models.base import load_base
from models.export import export_onnx
from models.network import TopicNetwork, snap_weights
from models.quantize import input_ranges

TEXTS = ("政协委员提交提案", "检查消防隐患，责令整改", "村民种植果树", "今天天气晴朗，球队赢得比赛")


@pytest.fixture(scope="module")
def network(tiny_base: Path) -> TopicNetwork:
    torch.manual_seed(4)
    network = TopicNetwork(load_base(str(tiny_base))[0], 5).eval()
    # One channel far larger than the others, as a BERT has them.
    with torch.no_grad():
        network.encoder.embeddings.LayerNorm.weight[3] *= 30
    snap_weights(network)
    return network


@pytest.fixture(scope="module")
def samples(tiny_base: Path) -> list[torch.Tensor]:
    tokenizer = load_base(str(tiny_base))[1]
    return [torch.tensor(tokenizer.encode(text).ids) for text in TEXTS]


@pytest.fixture(scope="module")
def model(network: TopicNetwork, samples: list[torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rounded") / "model.onnx"
    export_onnx(network, path, samples)
    return path


def logits_of(model: onnx.ModelProto, samples: list[torch.Tensor]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = [{"input_ids": ids[None].numpy(), "attention_mask": np.ones((1, len(ids)), np.int64)} for ids in samples]
    return np.array([session.run(["logits"], one)[0][0] for one in inputs])


def test_ranges_are_those_of_the_inputs(network: TopicNetwork, samples: list[torch.Tensor]) -> None:
    ranges = input_ranges(network, samples)
    linear = [name for name, module in network.encoder.named_modules() if isinstance(module, torch.nn.Linear)]
    assert sorted(ranges) == sorted(linear)
    with torch.inference_mode():
        states = [network.encoder.embeddings(input_ids=ids[None])[0] for ids in samples]
    largest = torch.cat(states).abs().amax(0).numpy()
    assert np.allclose(ranges["encoder.layer.0.attention.self.query"], largest, rtol=1e-5)


def test_every_product_of_the_encoder_takes_integers(network: TopicNetwork, model: Path) -> None:
    nodes = onnx.load(str(model)).graph.node
    rounded = {node.output[0] for node in nodes if node.op_type == "DequantizeLinear"}
    products = [node for node in nodes if node.op_type == "MatMul" and node.input[1] in rounded]
    n_linear = sum(isinstance(module, torch.nn.Linear) for module in network.encoder.modules())
    assert sum(node.input[0] in rounded for node in products) == n_linear
    # Query, key and value share what they read.
    quantized = [node for node in nodes if node.op_type == "QuantizeLinear"]
    assert len(quantized) == n_linear - 2 * len(network.encoder.encoder.layer)


def test_logits_change_little(network: TopicNetwork, model: Path, samples: list[torch.Tensor]) -> None:
    with torch.inference_mode():
        exact = np.array([network(ids[None], torch.ones(1, len(ids)))["logits"][0].numpy() for ids in samples])
    rounded = logits_of(onnx.load(str(model)), samples)
    unrounded = logits_of(without_rounding(onnx.load(str(model))), samples)
    spread = exact.std(0).mean()
    assert 0 < np.abs(rounded - exact).mean() < 0.25 * spread
    # The weights are rounded anew after they took over the factors.
    assert np.abs(unrounded - exact).mean() < 0.2 * spread
