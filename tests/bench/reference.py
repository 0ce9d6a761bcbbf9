"""The artifact's network in float32, whatever engine `models.tagger` runs it on: the measure of that engine."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from tokenizers import Tokenizer

from models.artifact import LEXICON_FILE, MODEL_FILE, TOKENIZER_FILE, read_artifact
from models.decisions import Decisions, decide
from models.lexicon import Lexicon

OVERLAP = 64
"""Tokens that neighbouring windows of a long paragraph share."""


def without_rounding(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take out, in place, what rounds states to integers and back; weights stay as they are stored."""
    source_of = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    unrounded = {
        node.output[0]: source_of[node.input[0]]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in source_of
    }
    kept = [node for node in model.graph.node if not set(node.output) & {*source_of, *unrounded}]
    for node in kept:
        node.input[:] = [unrounded.get(name, name) for name in node.input]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


class Windows:
    """An artifact's tokenizer, and how it cuts a paragraph into windows."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._first, self._last = self._tokenizer.encode("").ids
        self._room = read_artifact(folder).max_length - 2

    def cut(self, text: str) -> list[list[int]]:
        """Return the token ids of each window, special tokens included."""
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        step = max(self._room - min(OVERLAP, self._room // 2), 1)
        starts = range(0, max(len(ids) - self._room + step, 1), step)
        return [[self._first, *ids[start : start + self._room], self._last] for start in starts]


class Reference:
    """The network in ONNX Runtime, float32 throughout, plus the lexicon."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Load an artifact; `threads` windows run side by side."""
        self.artifact = read_artifact(folder)
        self._windows = Windows(folder)
        self._lexicon = Lexicon.load(folder / LEXICON_FILE)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        # Without it the runtime computes with integers where weights are stored so.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        network = without_rounding(onnx.load(str(folder / MODEL_FILE))).SerializeToString()
        self._session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        self._pool = ThreadPoolExecutor(threads)

    def decide(self, texts: Sequence[str]) -> Decisions:
        """Decide on paragraphs; a long one's logit is the largest of its windows."""
        windows = [self._windows.cut(text) for text in texts]
        outputs = iter(self._pool.map(self._logits, [window for cut in windows for window in cut]))
        largest = np.array([np.max([next(outputs) for _ in cut], axis=0) for cut in windows])
        return decide(self.artifact.topics, largest + self._lexicon.logits(texts), self.artifact.exclusive)

    def _logits(self, window: list[int]) -> np.ndarray:
        ids = np.array([window], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        logits: np.ndarray = self._session.run(["logits"], inputs)[0][0]
        return logits
