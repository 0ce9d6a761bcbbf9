"""A tiny encoder and a tiny artifact, real in form and random in weights, made once a session."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from data.characters import count_han
from data.sources import read_source
from data.topics import Topic, load_topics
from models import store

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests" / "fixtures"


def _shipped_seeds() -> list[Path]:
    """The articles whose paragraphs were cut by hand: a checkout may hold others, as `make add` brings them."""
    rows = (FIXTURES / "seed_segmentation.jsonl").read_text(encoding="utf-8").splitlines()
    return sorted({ROOT / json.loads(row)["source"] for row in rows})


SEEDS = _shipped_seeds()


@pytest.fixture(scope="session", autouse=True)
def _compiled_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests compile out of the checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "COMPILED", tmp_path_factory.mktemp("compiled"))
        yield


# Short, so that ordinary paragraphs already need several windows.
TINY_MAX_LENGTH = 64


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face BERT folder: 2 layers, 32 wide, one WordPiece token a Chinese character."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("tiny_base")
    seen = {char for path in SEEDS for char in read_source(path) if count_han(char) or char.isascii()}
    chars = sorted(seen | {chr(code) for code in range(33, 127)})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary += [char for char in chars if not char.isspace()]
    vocabulary += [f"##{char}" for char in chars if char.isascii() and char.isalnum()]
    BertTokenizer(vocab={token: place for place, token in enumerate(vocabulary)}).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        # Large first weights, so that answers differ clearly between texts.
        initializer_range=0.5,
        pad_token_id=0,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_artifact(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact folder of the shipped topics, made of `tiny_base` with a random head."""
    return write_tiny_artifact(tmp_path_factory.mktemp("tiny_artifact"), tiny_base, load_topics())


def write_tiny_artifact(folder: Path, base: Path, topics: Sequence[Topic]) -> Path:
    """Fill an empty folder with an artifact of a random head on `base`."""
    import numpy as np
    import torch

    from models.artifact import LEXICON_FILE, MODEL_FILE, TOKENIZER_FILE, Artifact, TopicDecision, write_tagger_file
    from models.base import load_base
    from models.export import export_onnx
    from models.lexicon import Lexicon
    from models.network import TopicNetwork, snap_weights

    encoder, tokenizer = load_base(str(base))
    network = TopicNetwork(encoder, len(topics))
    # With some seeds the logits of two windows lie so near each other that rounding decides between them.
    torch.manual_seed(3)
    torch.nn.init.normal_(network.head.weight)
    snap_weights(network)
    export_onnx(network, folder / MODEL_FILE)
    tokenizer.save(str(folder / TOKENIZER_FILE))
    # Nothing that stands in other tests' texts, so that there the network alone decides.
    grams = ("甲乙", "丙丁", "戊己", "庚辛", "壬癸")
    weights = 20 * np.eye(len(grams), len(topics), dtype=np.float32)
    Lexicon(grams, np.ones(len(grams), np.float32), weights, np.zeros(len(topics), np.float32)).save(
        folder / LEXICON_FILE
    )
    decisions = tuple(
        TopicDecision(topic.id, topic.name, topic.definition, scale=0.5, offset=0.0, threshold=0.5, band=(0.45, 0.55))
        for topic in topics
    )
    artifact = Artifact(
        version="tiny-1",
        topics=decisions,
        base=base.name,
        max_length=TINY_MAX_LENGTH,
        created="2025-01-02T03:04:05Z",
    )
    write_tagger_file(artifact, folder)
    return folder
