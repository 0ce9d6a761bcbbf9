import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertModel, BertTokenizer

from models.base import load_base


def copy_of(base: Path, folder: Path) -> Path:
    return Path(shutil.copytree(base, folder / "base"))


def test_a_folder_is_loaded_and_tokenizes(tiny_base: Path) -> None:
    encoder, tokenizer = load_base(str(tiny_base))
    assert encoder.config.hidden_size == 32
    assert encoder.pooler is None
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    assert tokenizer.encode("党建ab1，😀").tokens == ["[CLS]", "党", "建", "a", "##b", "##1", "[UNK]", "[UNK]", "[SEP]"]


def test_weights_and_tokens_are_those_of_transformers(tiny_base: Path) -> None:
    encoder, tokenizer = load_base(str(tiny_base))
    theirs = BertModel.from_pretrained(tiny_base, add_pooling_layer=False).state_dict()
    assert all(torch.equal(weights, theirs[name]) for name, weights in encoder.state_dict().items())
    text = "近日，全市安全生产工作会议召开。"
    assert tokenizer.encode(text).ids == BertTokenizer.from_pretrained(tiny_base)(text)["input_ids"]


def test_long_texts_are_neither_cut_nor_padded(tiny_base: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_base, tmp_path)
    settings = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    settings["truncation"] = {"max_length": 8, "stride": 0, "strategy": "LongestFirst", "direction": "Right"}
    settings["padding"] = {
        "strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(settings), encoding="utf-8")
    _, tokenizer = load_base(str(folder))
    assert [len(encoding.ids) for encoding in tokenizer.encode_batch(["党" * 600, "党"])] == [602, 3]


def test_another_architecture_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_base, tmp_path)
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ValueError) as error:
        load_base(str(folder))
    assert str(error.value) == f"{folder}: a 'gpt2' model; BASE= takes a BERT"


@pytest.mark.parametrize("base", ["/no/such/folder", "./none", "../none", "a/b/c"])
def test_a_missing_folder_is_refused(base: str) -> None:
    with pytest.raises(FileNotFoundError) as error:
        load_base(base)
    assert str(error.value).startswith(f"{base}: no such folder; BASE= takes a folder, ")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_refused(name: str, tiny_base: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_base, tmp_path)
    (folder / name).unlink()
    with pytest.raises(
        ValueError, match=r"give a folder with config\.json, model\.safetensors and tokenizer files"
    ) as error:
        load_base(str(folder))
    assert str(error.value).startswith(f"{folder}: ")


def test_pickled_weights_are_refused(tiny_base: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_base, tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_base(str(folder))


def test_missing_tokenizer_files_are_refused(tiny_base: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_base, tmp_path)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(ValueError) as error:
        load_base(str(folder))
    n_rows = json.loads((folder / "config.json").read_text())["vocab_size"]
    assert str(error.value) == (
        f"{folder}: the tokenizer has 5 tokens, the model {n_rows}; give the model's own tokenizer"
    )


def test_incomplete_weights_are_refused(tiny_base: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_base, tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError) as error:
        load_base(str(folder))
    assert str(error.value) == (
        f"{folder}: model.safetensors lacks encoder.layer.1.output.dense.weight; give the whole encoder"
    )


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_refused(name: str, tiny_base: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_base, tmp_path)
    (folder / name).write_bytes(b"{ damaged")
    with pytest.raises(ValueError) as error:
        load_base(str(folder))
    assert str(error.value).startswith(f"{folder}: ")
