"""The service of the usual tutorial: a BERT of 12 layers in a transformers pipeline, in a plain BentoML service.

The weights are random; the work is that of trained ones.
"""

from typing import Any

import bentoml
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer, pipeline

LABELS = 5
LONGEST = 512


def _vocabulary() -> list[str]:
    characters = [chr(code) for code in (*range(33, 127), *range(0x3000, 0x3040), *range(0x4E00, 0xA000))]
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters]


@bentoml.service
class Tutorial:
    """Classifies a text."""

    def __init__(self) -> None:
        vocabulary = _vocabulary()
        tokenizer = BertTokenizer(
            vocab={token: place for place, token in enumerate(vocabulary)}, model_max_length=LONGEST
        )
        torch.manual_seed(0)
        # The configuration's other defaults are those of BERT base: 12 layers, 768 wide.
        model = BertForSequenceClassification(BertConfig(vocab_size=len(vocabulary), num_labels=LABELS))
        self._classify = pipeline("text-classification", model=model.eval(), tokenizer=tokenizer)

    @bentoml.api
    def classify(self, text: str) -> list[dict[str, Any]]:
        """Return the labels with their scores."""
        found: list[dict[str, Any]] = self._classify(text, top_k=None, function_to_apply="sigmoid", truncation=True)
        return found
