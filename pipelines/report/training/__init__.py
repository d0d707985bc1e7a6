"""The page of a training: its curves, its measurements and its texts, at any time while it goes on."""

from pathlib import Path


def is_training(folder: Path) -> bool:
    """Whether a folder is a training's."""
    return (folder / "train.toml").is_file()  # `pretrain.order.plan.SETTINGS`, whose module takes seconds to import
