"""How much work the network has with each paragraph."""

from pathlib import Path

from bench.corpus import load_texts
from bench.reference import Windows
from models.artifact import read_artifact
from models.base import load_base
from models.network import TopicNetwork


def measure(model: str) -> list[tuple[int, int]]:
    """Return the tokens of each paragraph, and the operations of the network's matrix products on it.

    A multiplication and an addition are two operations. Embeddings, normalizations and softmax are not counted.
    """
    artifact, windows = read_artifact(Path(model)), Windows(Path(model))
    network = TopicNetwork(load_base(artifact.base)[0], len(artifact.topics))
    config = network.encoder.config
    of_token = sum(layer.weight.numel() for layer in (network.head, network.token_layer, network.token_head))
    of_paragraph = sum(layer.weight.numel() for layer in (network.paragraph_layer, network.paragraph_head))
    hidden, forward, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers

    def of_window(tokens: int) -> int:
        projections = 4 * hidden * hidden + 2 * hidden * forward
        attention = 2 * tokens * hidden
        return 2 * tokens * (layers * (projections + attention) + of_token) + 2 * of_paragraph

    lengths = [[len(window) for window in windows.cut(text)] for text in load_texts()]
    return [(sum(row), sum(map(of_window, row))) for row in lengths]
