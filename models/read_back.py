"""Read a network back from its ONNX file, for a GPU to run (needs torch and onnx).

An artifact ships as ONNX alone. What `models.export` wrote is a `TopicNetwork`, so its weights
are found by the names that the export gave them; inputs that were rounded for a processor's
integer units are rounded no more.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from transformers import BertConfig, BertModel

from models.network import TopicNetwork
from models.quantize import module_of

_PREFIX = "network."
_HEAD = "/network/MatMul"
# Shape that a layer's states take for its attention: batch, tokens, as many heads as there are, width of a head.
_HEADS_SHAPE = "/network/layer.0/attention/self/Concat"


def read_network(path: Path) -> TopicNetwork:
    """Return the network of an ONNX file, float32, on the CPU.

    Raises:
        ValueError: it was not written by `models.export`; the message names the file.
    """
    try:
        graph = onnx.load(path).graph
        constants = _constants(graph)
        weights = _weights(graph, constants)
        encoder = BertModel(_config(graph, constants, weights), add_pooling_layer=False)
        network = TopicNetwork(encoder, len(weights["head.bias"]))
        network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    except Exception as error:
        raise ValueError(f"{path}: no network that can be read back ({error}); train again") from error
    return network.eval()


def _weights(graph: onnx.GraphProto, constants: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the weights under the names that they have in `TopicNetwork`."""
    named = {name: array for name, array in constants.items() if name.startswith(_PREFIX)}
    found = {name[len(_PREFIX) :]: array for name, array in named.items() if not name.endswith((".steps", ".scale"))}
    made_by = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in constants:
            module = _module_of(node)
            weight = constants[node.input[1]] * _smoothing(made_by.get(node.input[0]), made_by, constants)
            found[f"{module}.weight"] = weight.T
    # Copied: torch warns of arrays that cannot be written to.
    return {name: np.array(array, np.float32) for name, array in found.items()}


def _module_of(node: onnx.NodeProto) -> str:
    """Return the network's module that a product comes from: the linear head, another layer beside the encoder, or a part of it."""
    if node.name == _HEAD:
        return "head"
    _, _, *parts, _ = node.name.split("/")
    return parts[0] if len(parts) == 1 else f"encoder.{module_of(node)}"


def _constants(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Return all constants by name, those that are stored as integers as the numbers that they stand for."""
    found = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type == "Identity" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
        elif node.op_type == "DequantizeLinear" and node.input[0] in found:
            (axis,) = (one.i for one in node.attribute if one.name == "axis")
            scale = np.expand_dims(found[node.input[1]], 1 - axis)
            found[node.output[0]] = found[node.input[0]].astype(np.float32) * scale
    return found


def _smoothing(
    node: onnx.NodeProto | None, made_by: Mapping[str, onnx.NodeProto], constants: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Return what a product's input channels are multiplied with before they are rounded, (channels, 1); 1 if nothing."""
    while node is not None and node.op_type in ("DequantizeLinear", "QuantizeLinear"):
        node = made_by.get(node.input[0])
        if node is not None and node.op_type == "Mul" and node.name.endswith(".smoothing"):
            return constants[node.input[1]][:, None]
    return np.ones((1, 1), np.float32)


def _config(
    graph: onnx.GraphProto, constants: Mapping[str, np.ndarray], weights: Mapping[str, np.ndarray]
) -> BertConfig:
    (shape,) = (node for node in graph.node if node.name == _HEADS_SHAPE)
    epsilons = {
        one.f
        for node in graph.node
        if node.op_type == "LayerNormalization"
        for one in node.attribute
        if one.name == "epsilon"
    }
    width = weights["encoder.embeddings.word_embeddings.weight"].shape[1]
    embeddings: dict[str, Any] = {
        size: weights[f"encoder.embeddings.{name}_embeddings.weight"].shape[0]
        for size, name in (
            ("vocab_size", "word"),
            ("max_position_embeddings", "position"),
            ("type_vocab_size", "token_type"),
        )
    }
    return BertConfig(
        **embeddings,
        hidden_size=width,
        num_hidden_layers=sum(name.endswith(".intermediate.dense.bias") for name in weights),
        num_attention_heads=width // int(constants[shape.input[3]].item()),
        intermediate_size=len(weights["encoder.encoder.layer.0.intermediate.dense.bias"]),
        layer_norm_eps=epsilons.pop(),
    )
