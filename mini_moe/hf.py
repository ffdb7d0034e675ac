"""Weights and configuration in the format of transformers' ``DeepseekV3ForCausalLM``, both ways.

A folder holds ``config.json`` and ``model.safetensors`` with the published tensor names. Here the experts of a layer
are stacked in two tensors; on disk each expert has three matrices of its own:

    model.layers.L.mlp.experts.E.{gate,up,down}_proj.weight   <->   layers.L.mlp.experts.{gate_up,down}_proj
"""

import dataclasses
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from mini_moe.config import ModelConfig
from mini_moe.files import write_atomically
from mini_moe.model import Transformer

_FIXED = {"model_type": "deepseek_v3", "hidden_act": "silu", "rope_interleave": True, "tie_word_embeddings": False,
          "attention_bias": False}  # fmt: skip


# The published file has these too; transformers' configuration does not, and always means these values.
_UNWRITTEN = {"scoring_func": "sigmoid", "topk_method": "noaux_tc", "moe_layer_freq": 1}


def config_to_hf(config: ModelConfig) -> dict:
    """The ``config.json`` of transformers' ``DeepseekV3Config``."""
    fields = dataclasses.asdict(config)
    fields["rope_parameters"] = {"rope_type": "default", "rope_theta": fields.pop("rope_theta")}
    return {
        "architectures": ["DeepseekV3ForCausalLM"],
        **_FIXED,
        **fields,
        "num_key_value_heads": config.num_attention_heads,
        "num_nextn_predict_layers": 0,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }


def config_from_hf(fields: dict) -> ModelConfig:
    """The inverse of ``config_to_hf``.

    Raises:
        ValueError: a field is missing, or asks for something this library does not have (a stretched context, say).
    """
    for name, value in (_FIXED | _UNWRITTEN).items():
        if fields.get(name, value) != value:
            raise ValueError(f"{name} must be {value!r}, got {fields[name]!r}.")
    rope = fields.get("rope_parameters") or {"rope_theta": fields.get("rope_theta", 10000.0)}
    if fields.get("rope_scaling") or rope.get("rope_type", "default") != "default":
        raise ValueError(f"rope_type must be 'default', got {fields.get('rope_scaling') or rope}.")
    fields = {**fields, "rope_theta": rope.get("rope_theta", 10000.0)}
    needed = dataclasses.fields(ModelConfig)
    missing = [f.name for f in needed if f.name not in fields and f.default is dataclasses.MISSING]
    if missing:
        raise ValueError(f"config.json must have the fields {', '.join(missing)}.")
    return ModelConfig(**{f.name: fields[f.name] for f in needed if f.name in fields})


def state_to_hf(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a ``Transformer`` under their published names, one matrix an expert."""
    published = {}
    for name, tensor in state.items():
        prefix = "" if name.startswith("lm_head.") else "model."
        stem, _, kind = name.rpartition(".experts.")
        if not stem:
            published[prefix + name] = tensor.contiguous()
            continue
        for expert, matrix in enumerate(tensor):
            parts = {"gate_proj": 0, "up_proj": 1} if kind == "gate_up_proj" else {"down_proj": 0}
            for part, matrix_of_part in zip(parts, matrix.chunk(len(parts)), strict=True):
                published[f"{prefix}{stem}.experts.{expert}.{part}.weight"] = matrix_of_part.contiguous()
    return published


def state_from_hf(published: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of ``state_to_hf``.

    Args:
        published: tensors read from a folder.
        expected: the state of the model to fill; on any device, only names and shapes count.

    Raises:
        ValueError: a tensor is missing, unexpected, or of the wrong shape; it is named.
    """
    wanted = state_to_hf(expected)
    if missing := sorted(wanted.keys() - published.keys()):
        raise ValueError(f"the weights must hold every tensor of the model, {len(missing)} missing: {missing[0]}, ...")
    if extra := sorted(published.keys() - wanted.keys()):
        raise ValueError(f"the weights must hold no other tensor, {len(extra)} unexpected: {extra[0]}, ...")
    for name, tensor in published.items():
        if tensor.shape != wanted[name].shape:
            raise ValueError(f"{name} must be of shape {tuple(wanted[name].shape)}, got {tuple(tensor.shape)}.")
    state = {}
    for name, tensor in expected.items():
        stem, _, kind = name.rpartition(".experts.")
        if not stem:
            state[name] = published[name if name.startswith("lm_head.") else "model." + name]
            continue
        parts = ("gate_proj", "up_proj") if kind == "gate_up_proj" else ("down_proj",)
        path = f"model.{stem}.experts."
        state[name] = torch.stack(
            [torch.cat([published[f"{path}{e}.{part}.weight"] for part in parts]) for e in range(len(tensor))]
        )
    return state


def save_pretrained(model: Transformer, path: str | Path) -> None:
    """Write ``config.json`` and ``model.safetensors`` into the folder ``path``, made if need be."""
    path = Path(path)
    write_atomically(path / "config.json", (json.dumps(config_to_hf(model.config), indent=2) + "\n").encode())
    write_atomically(path / "model.safetensors", save(state_to_hf(model.state_dict()), metadata={"format": "pt"}))


def load_pretrained(path: str | Path) -> Transformer:
    """The model in the folder ``path``, as ``save_pretrained`` or transformers wrote it.

    Raises:
        FileNotFoundError: no ``config.json`` or no ``model.safetensors`` there.
        ValueError: they do not fit this library or each other; the field, file or tensor is named.
    """
    path = Path(path)
    for name in ("config.json", "model.safetensors"):
        if not (path / name).is_file():
            raise FileNotFoundError(f"path must be a folder with {name}, got {path}.")
    config = config_from_hf(json.loads((path / "config.json").read_text()))
    try:
        published = load_file(path / "model.safetensors")
    except SafetensorError as error:
        raise ValueError(f"{path / 'model.safetensors'} must be a whole safetensors file: {error}.") from error
    with torch.device("meta"):
        model = Transformer(config)
    model.load_state_dict(state_from_hf(published, model.state_dict()), assign=True)
    return model.requires_grad_()
