"""Weights, configuration and tokenizer in the format of transformers' ``DeepseekV3ForCausalLM``, both ways.

A folder holds ``config.json``, ``model.safetensors`` with the published tensor names, and, where there is a tokenizer,
``tokenizer.json`` and ``tokenizer_config.json``. ``AutoModelForCausalLM`` and ``AutoTokenizer`` open it. Here the
experts of a layer are stacked in two tensors; on disk each expert has three matrices of its own:

    model.layers.L.mlp.experts.E.{gate,up,down}_proj.weight   <->   layers.L.mlp.experts.{gate_up,down}_proj

A prediction module is a layer after the last, and brings copies of the embedding and the head, which it shares:

    model.layers.{last + 1 + K}.{enorm,hnorm,eh_proj,...}   <->   mtp.K.{enorm,hnorm,eh_proj,...}

transformers reads the module by ``generate(..., use_mtp=True)``, but looks for it in layer 61 only (version 5.23).
"""

import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from tokenizers import Tokenizer
from torch import Tensor

from mini_moe.config import ModelConfig, Yarn
from mini_moe.files import write_atomically, write_json
from mini_moe.model import Transformer
from mini_moe.warning import warn

_FIXED = {"model_type": "deepseek_v3", "hidden_act": "silu", "rope_interleave": True, "tie_word_embeddings": False,
          "attention_bias": False}  # fmt: skip

# The published file has these too; transformers' configuration does not, and always means these values.
_UNWRITTEN = {"scoring_func": "sigmoid", "topk_method": "noaux_tc", "moe_layer_freq": 1}

# What transformers takes where rope_parameters have other names than a ``Yarn``; for all but this it is None.
_USUAL = {"truncate": True}

# What a published folder has beyond a ``Transformer``: in ``config.json``, and by the end of a tensor's name.
_UNREAD_FIELDS = ("quantization_config",)
_UNREAD_TENSORS = {".weight_scale_inv": "weights in 8 bits"}
_SHARED = {"embed_tokens.weight": "model.embed_tokens.weight", "shared_head.head.weight": "lm_head.weight"}
_TYPES = (torch.float32, torch.bfloat16, torch.float16)  # of weights that are read


def config_to_hf(config: ModelConfig) -> dict:
    """The ``config.json`` of transformers' ``DeepseekV3Config``."""
    fields = dataclasses.asdict(config)
    yarn = fields.pop("rope_scaling")
    rope_type = "default" if yarn is None else "yarn"
    fields["rope_parameters"] = {"rope_type": rope_type, "rope_theta": fields.pop("rope_theta"), **(yarn or {})}
    return {
        "architectures": ["DeepseekV3ForCausalLM"],
        **_FIXED,
        **fields,
        "num_key_value_heads": config.num_attention_heads,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }


def config_from_hf(fields: dict) -> ModelConfig:
    """The inverse of ``config_to_hf``; reads the published file of DeepSeek-V3, too.

    Every field has to be there: transformers fills up what is missing with the sizes of the published model.

    Warns:
        UserWarning: the file tells of weights in 8 bits, which are not read yet.

    Raises:
        ValueError: a field is missing, of another type, or asks for what this library does not have.
    """
    for name, value in (_FIXED | _UNWRITTEN).items():
        if fields.get(name, value) != value:
            raise ValueError(f"{name} must be {value!r}, got {fields[name]!r}.")
    if unread := [name for name in _UNREAD_FIELDS if fields.get(name)]:
        told = ", ".join(f"{name} = {fields[name]}" for name in unread)
        warn(f"Not read yet, and left out of the configuration: {told}.")
    rope = fields.get("rope_scaling") or fields.get("rope_parameters") or {}
    if not isinstance(rope, dict):
        raise ValueError(f"rope_parameters must be an object, got {rope!r}.")
    rope_type = rope.get("rope_type", rope.get("type", "default"))
    if rope_type not in ("default", "yarn"):
        raise ValueError(f"rope_type must be 'default' or 'yarn', got {rope_type!r}.")
    theta = {"rope_theta": rope["rope_theta"]} if "rope_theta" in rope else {}
    yarn = _yarn_from_hf(rope) if rope_type == "yarn" else None
    return _filled(ModelConfig, {**fields, **theta, "rope_scaling": yarn}, "config.json")


def _yarn_from_hf(rope: dict) -> Yarn:
    known = {"type", "rope_type", "rope_theta"} | {field.name for field in dataclasses.fields(Yarn)}
    if unknown := sorted(name for name in rope.keys() - known if rope[name] != _USUAL.get(name)):
        raise ValueError(f"rope_type 'yarn' must come without {unknown[0]}, got {rope[unknown[0]]!r}.")
    return _filled(Yarn, rope, "rope_type 'yarn'")


def _filled(kind: type, fields: dict, owner: str) -> Any:
    """A dataclass with its fields from a JSON file, where each has to be."""
    needed = [field.name for field in dataclasses.fields(kind)]
    if missing := [name for name in needed if name not in fields]:
        raise ValueError(f"{owner} must have the fields {', '.join(missing)}.")
    return kind(**{name: fields[name] for name in needed})


def state_to_hf(state: dict[str, Tensor], n_layers: int) -> dict[str, Tensor]:
    """Tensors of a ``Transformer`` of so many layers under their published names, one matrix an expert."""
    published = {}
    for name, tensor in state.items():
        names = _names(name, tensor, n_layers)
        matrices = (tensor.flatten(0, 1) if tensor.ndim == 3 else tensor).chunk(len(names))
        published |= zip(names, (matrix.contiguous() for matrix in matrices), strict=True)
    for copy, name in _copies(published).items():
        published[copy] = published[name].clone()
    return published


def _copies(names: Iterable[str]) -> dict[str, str]:
    """What every prediction module brings again: the name of the copy -> the name of the tensor that it shares."""
    modules = [name.removesuffix("eh_proj.weight") for name in names if name.endswith(".eh_proj.weight")]
    return {module + end: name for module in modules for end, name in _SHARED.items()}


def _names(name: str, tensor: Tensor, n_layers: int) -> list[str]:
    """The published names of the matrices that a tensor is made of, in the order of its rows."""
    if name.startswith("mtp."):
        _, depth, rest = name.split(".", 2)
        name = f"layers.{n_layers + int(depth)}.{rest}"
    name = name if name.startswith("lm_head.") else f"model.{name}"
    stem, _, stack = name.rpartition(".experts.")
    if not stem:
        return [name]
    parts = ("gate_proj", "up_proj") if stack == "gate_up_proj" else ("down_proj",)
    return [f"{stem}.experts.{e}.{part}.weight" for e in range(len(tensor)) for part in parts]


def state_from_hf(published: dict[str, Tensor], expected: dict[str, Tensor], n_layers: int) -> dict[str, Tensor]:
    """The inverse of ``state_to_hf``.

    Args:
        published: tensors read from a folder.
        expected: the state of the model to fill; on any device, only names and shapes count.

    Returns:
        the state, widened to float32.

    Raises:
        ValueError: a tensor is missing, unexpected, of the wrong shape or type, or no copy where it should be one; it
            is named.
    """
    wanted = state_to_hf(expected, n_layers)
    nothing = {name for name in published if ".shared_experts." in name and not published[name].numel()}  # width 0
    published = {name: published[name] for name in published.keys() - (nothing - wanted.keys())}
    if missing := sorted(wanted.keys() - published.keys()):
        raise ValueError(f"the weights must hold every tensor of the model, {len(missing)} missing: {missing[0]}.")
    if extra := sorted(published.keys() - wanted.keys()):
        raise ValueError(f"the weights must hold no other tensor, {len(extra)} unexpected: {extra[0]}.")
    for name, tensor in published.items():
        if tensor.shape != wanted[name].shape:
            raise ValueError(f"{name} must be of shape {tuple(wanted[name].shape)}, got {tuple(tensor.shape)}.")
        if tensor.dtype not in _TYPES:
            raise ValueError(f"{name} must be of a type in {_TYPES}, got {tensor.dtype}.")
    for copy, name in _copies(wanted).items():
        if not torch.equal(published[copy], published[name]):
            raise ValueError(f"{copy} must equal {name}, which the prediction module shares.")
    parts = {
        name: [published[part].float() for part in _names(name, tensor, n_layers)] for name, tensor in expected.items()
    }
    return {name: torch.cat(parts[name]).view_as(tensor) for name, tensor in expected.items()}


def save_pretrained(model: Transformer, path: str | Path, tokenizer: Tokenizer | None = None) -> None:
    """Write the model, and its tokenizer if given, into the folder ``path``, made if need be.

    Token 0 opens and ends a text in transformers, too, and no text that spells it out becomes token 0. Nor is it put
    before a text: to open a file, begin with ``[0, *ids]``.
    """
    path = Path(path)
    write_json(path / "config.json", config_to_hf(model.config))
    if tokenizer is not None:
        settings = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": tokenizer.id_to_token(0),
            "eos_token": tokenizer.id_to_token(0),
            "split_special_tokens": True,  # where a text spells them out, it is text
            "clean_up_tokenization_spaces": False,  # decoding keeps every space
        }
        write_atomically(path / "tokenizer.json", tokenizer.to_str(pretty=True).encode())
        write_json(path / "tokenizer_config.json", settings)
    state = state_to_hf(model.state_dict(), model.config.num_hidden_layers)
    write_atomically(path / "model.safetensors", save(state, metadata={"format": "pt"}))


def load_pretrained(path: str | Path) -> Transformer:
    """The model in the folder ``path``, as ``save_pretrained`` or transformers wrote it, in one file or in shards.

    It is made in float32, to be trained; weights in bfloat16 or float16 are widened, which loses nothing.

    Warns:
        UserWarning: as ``config_from_hf``; or the configuration tells of prediction modules and there are none: what
            transformers saves is without, and the model goes without.

    Raises:
        FileNotFoundError: a file is missing; it is named.
        ValueError: a file is damaged, or does not fit this library or the others; file, field or tensor are named.
    """
    path = Path(path)
    config = _read(path / "config.json", lambda content: config_from_hf(json.loads(content)))
    published = _read_weights(path)
    if config.num_nextn_predict_layers and not any(name.endswith(".eh_proj.weight") for name in published):
        warn(f"{path} holds no prediction module, though num_nextn_predict_layers = {config.num_nextn_predict_layers}.")
        config = config.replace(num_nextn_predict_layers=0)
    with torch.device("meta"):
        model = Transformer(config)
    state = state_from_hf(published, model.state_dict(), config.num_hidden_layers)
    model.load_state_dict(state, assign=True)
    return model.requires_grad_()


def load_tokenizer(path: str | Path) -> Tokenizer:
    """The tokenizer in the folder ``path``, as ``save_pretrained`` or transformers wrote it.

    Raises:
        FileNotFoundError: ``tokenizer.json`` is missing.
        ValueError: it is damaged, or does not fit this library.
    """

    def parse(content):
        state = json.loads(content)
        known = state["model"]["vocab"]  # transformers adds token 0 to those that are looked for in texts
        state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] not in known]
        return Tokenizer.from_str(json.dumps(state))

    return _read(Path(path) / "tokenizer.json", parse)


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of ``model.safetensors`` or, where an index stands in its place, of the shards that this names."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").exists() or not index.exists():
        published = _read(folder / "model.safetensors", load)
        _refuse_unread(published, folder)
        return published
    shard_of = _read(index, lambda content: dict(json.loads(content)["weight_map"]))
    _refuse_unread(shard_of, folder)  # before hundreds of gigabytes are read
    published = {}
    for shard in sorted(set(shard_of.values())):
        tensors = _read(folder / shard, load)
        if wrong := sorted(tensors.keys() ^ {name for name in shard_of if shard_of[name] == shard}):
            raise ValueError(f"{folder / shard} must hold the tensors that {index.name} says, not so {wrong[0]}.")
        published |= tensors
    return published


def _refuse_unread(names: Iterable[str], folder: Path) -> None:
    """Name what no version of this library reads yet, one tensor of each kind."""
    found = {what: name for name in names for end, what in _UNREAD_TENSORS.items() if name.endswith(end)}
    if found:
        told = " or ".join(f"{what} ({name})" for what, name in sorted(found.items()))
        raise ValueError(f"{folder} must hold no {told}: they are not read yet.")


def _read(file: Path, parse: Callable[[bytes], Any]) -> Any:
    """What ``parse`` makes of the file. Whatever it finds wrong, and however it says so, the error names the file."""
    if not file.is_file():
        raise FileNotFoundError(f"path must be a folder with {file.name}, got {file.parent}.")
    content = file.read_bytes()
    try:
        return parse(content)
    except Exception as error:
        raise ValueError(f"{file} must be whole and fit this library, got {type(error).__name__}: {error}") from error
