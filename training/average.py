"""Mean of the weights of several models of one shape (checkpoints of a run's last part, or runs from one start)."""

from pathlib import Path

import torch

from training.attention import MASKED
from training.hf_directory import read_weights, write_model
from training.model import HunyuanDense, ModelConfig


def average_models(folders: list[Path], out: Path) -> None:
    """Reads Hugging Face directories, writes their mean with the configuration and the tokenizer of the first."""
    config = ModelConfig.read(folders[0] / "config.json")
    with torch.device("meta"):
        parameters = dict(HunyuanDense(config, MASKED).named_parameters())
    total = {name: torch.zeros(parameter.shape) for name, parameter in parameters.items()}
    tokenizer = (folders[0] / "tokenizer.json").read_bytes()
    for folder in folders:
        if ModelConfig.read(folder / "config.json") != config:
            raise ValueError(f"{folder} has other sizes than {folders[0]}")
        if (folder / "tokenizer.json").read_bytes() != tokenizer:
            raise ValueError(f"{folder} has another tokenizer than {folders[0]}")
        for name, weight in read_weights(folder, parameters).items():
            total[name] += weight / len(folders)
    write_model(out, config, total, folders[0] / "tokenizer.json")
