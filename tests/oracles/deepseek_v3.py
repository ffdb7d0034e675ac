"""transformers' DeepseekV3ForCausalLM with the weights of a ``Transformer``."""

import warnings
from contextlib import contextmanager

import torch
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

from mini_moe import Transformer
from mini_moe.hf import config_to_hf


@contextmanager
def zero_widths():
    """Without shared experts the oracles initialise matrices of inner width 0, of which torch warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Initializing zero-element tensors")
        yield


def oracle_of(model: Transformer, **settings) -> DeepseekV3ForCausalLM:
    """The oracle for ``model``: same weights, so the same logits and gradients are expected."""
    with zero_widths():
        oracle = DeepseekV3ForCausalLM(DeepseekV3Config(**config_to_hf(model.config)))
    for name, value in settings.items():
        setattr(oracle.config, name, value)
    oracle.load_state_dict(names(model.state_dict(), model), strict=True)
    return oracle


def names(tensors: dict[str, torch.Tensor], model: Transformer) -> dict[str, torch.Tensor]:
    """Tensors of ``model`` (weights or gradients) under the oracle's names; it, too, stacks the experts."""
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("mtp.")}  # see ``mtp.py``
    renamed = {name if name.startswith("lm_head.") else f"model.{name}": tensor for name, tensor in tensors.items()}
    if model.config.n_shared_experts == 0:  # the oracle then keeps matrices of inner width 0
        width = model.config.hidden_size
        for layer in range(model.config.first_k_dense_replace, model.config.num_hidden_layers):
            stem = f"model.layers.{layer}.mlp.shared_experts"
            for part in ("gate_proj", "up_proj"):
                renamed[f"{stem}.{part}.weight"] = torch.empty(0, width)
            renamed[f"{stem}.down_proj.weight"] = torch.empty(width, 0)
    return renamed
