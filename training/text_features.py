"""What a paragraph is like, in a few dozen numbers: latent semantic analysis of its character sequences.

Deerwester et al. 1990. In the raw space of sequences all texts are about equally far from
each other; in the reduced one those of like matter and style lie together.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from models.lexicon import cut_grams

WIDTH = 64
# A sequence that stands in one text only makes it like no other.
MIN_TEXTS = 2


def describe_texts(texts: Sequence[str]) -> np.ndarray:
    """Return features, float32 (texts, width), rows of length 1; a text that shares nothing with the others has zeros."""
    try:
        counts = TfidfVectorizer(analyzer=cut_grams, min_df=MIN_TEXTS, sublinear_tf=True).fit_transform(texts)
    except ValueError:
        # No sequence stands in two texts.
        return np.zeros((len(texts), 1), np.float32)
    width = min(WIDTH, counts.shape[0] - 1, counts.shape[1] - 1)
    if width < 1:
        return np.zeros((len(texts), 1), np.float32)
    reduced = TruncatedSVD(width, random_state=0).fit_transform(counts.astype(np.float32))
    found: np.ndarray = normalize(reduced).astype(np.float32)
    return found
