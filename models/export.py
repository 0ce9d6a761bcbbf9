"""Write a network as ONNX with one byte a weight (needs torch and onnx)."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from models.network import GRID_STEPS, TopicNetwork
from models.quantize import input_ranges, round_inputs

OPSET = 18
# Matrices below this size stay in float32: they are few, and biases are not worth a scale.
MIN_ELEMENTS = 4096


class _Outputs(torch.nn.Module):
    def __init__(self, network: TopicNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        output = self.network(input_ids, attention_mask)
        return output["logits"], output["token_shares"]


def export_onnx(network: TopicNetwork, path: Path, samples: Sequence[torch.Tensor] = ()) -> None:
    """Write `network` (weights snapped, on the CPU) to an ONNX file.

    Inputs `input_ids` and `attention_mask`, int64 (batch, tokens); outputs `logits`,
    float32 (batch, topics), and `token_shares`, float32 (batch, tokens, topics). Weight
    matrices are stored as int8 with a float scale for each row of the original.

    Args:
        network: its weights snapped, on the CPU.
        path: of the new file.
        samples: token ids (tokens,) of texts. With some, the encoder's products take integers,
            in the range that these texts show; without, they stay what torch computes.
    """
    network = network.eval().float()
    network.encoder.set_attn_implementation("eager")
    tokens = torch.tensor([[0, 5, 6, 2], [0, 7, 2, 1]])
    mask = (tokens != 1).long()
    token_axes = {0: "batch", 1: "tokens"}
    dynamic = dict.fromkeys(("input_ids", "attention_mask", "token_shares"), token_axes) | {"logits": {0: "batch"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Outputs(network).eval(),
            (tokens, mask),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits", "token_shares"],
            dynamic_axes=dynamic,
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load(str(path))
    if samples:
        round_inputs(model, input_ranges(network, samples))
    _store_weights_as_integers(model)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _store_weights_as_integers(model: onnx.ModelProto) -> None:
    graph = model.graph
    nodes = []
    kept = []
    gathered = {node.input[0] for node in graph.node if node.op_type == "Gather"}
    for initializer in graph.initializer:
        array = numpy_helper.to_array(initializer)
        if array.ndim != 2 or array.dtype != np.float32 or array.size < MIN_ELEMENTS:
            kept.append(initializer)
            continue
        # Linear weights are stored (in, out), so a row of the original is a column here.
        axis = 0 if initializer.name in gathered else 1
        scale = np.abs(array).max(axis=1 - axis).clip(1e-12) / GRID_STEPS
        steps = np.round(array / np.expand_dims(scale, 1 - axis)).astype(np.int8)
        name = initializer.name
        kept += [
            numpy_helper.from_array(steps, f"{name}.steps"),
            numpy_helper.from_array(scale.astype(np.float32), f"{name}.scale"),
        ]
        inputs = [f"{name}.steps", f"{name}.scale"]
        nodes.append(helper.make_node("DequantizeLinear", inputs, [name], name=f"{name}.dequantize", axis=axis))
    del graph.initializer[:]
    graph.initializer.extend(kept)
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
