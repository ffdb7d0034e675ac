"""Folders in transformers' format, written and read."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from mini_moe import Transformer
from mini_moe.config import deepseek_v3, tiny
from mini_moe.hf import config_from_hf, config_to_hf, load_pretrained, save_pretrained

CONFIG = tiny().replace(
    vocab_size=64, hidden_size=32, num_hidden_layers=3, kv_lora_rank=16, q_lora_rank=24, initializer_range=0.2,
    n_routed_experts=8, n_group=2, topk_group=1, routed_scaling_factor=2.5, num_experts_per_tok=2,
)  # fmt: skip


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(0)
    model = Transformer(CONFIG)
    for block in model.layers:
        if block.sparse:
            block.mlp.gate.e_score_correction_bias.normal_(std=0.1)
    return model


@pytest.fixture
def folder(model, tmp_path):
    save_pretrained(model, tmp_path / "model")
    return tmp_path / "model"


def test_reading_gives_back_every_bit(model, folder):
    again = load_pretrained(folder)
    assert again.config == model.config
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    assert all(parameter.requires_grad for parameter in again.parameters())


def test_transformers_opens_the_folder_and_gives_our_logits(model, folder):
    oracle, tokens = AutoModelForCausalLM.from_pretrained(folder), torch.randint(64, (2, 11))
    assert (oracle(tokens).logits - model(tokens).logits).abs().max() < 1e-4


def test_we_read_what_transformers_saved(model, folder, tmp_path):
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(tmp_path / "theirs")
    again = load_pretrained(tmp_path / "theirs")
    assert again.config == model.config
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))


def test_the_published_configuration_survives_the_round_trip():
    assert config_from_hf(config_to_hf(deepseek_v3())) == deepseek_v3()


def change_weights(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_wrong_tensors_are_named(folder):
    name = "model.layers.1.mlp.experts.3.up_proj.weight"
    change_weights(folder, lambda tensors: tensors.update({name: torch.zeros(3, 3)}))
    with pytest.raises(ValueError, match=rf"{name} must be of shape \(64, 32\), got \(3, 3\)"):
        load_pretrained(folder)
    change_weights(folder, lambda tensors: tensors.pop(name))
    with pytest.raises(ValueError, match=f"1 missing: {name}"):
        load_pretrained(folder)
    change_weights(folder, lambda tensors: tensors.update({name: torch.zeros(64, 32), "extra": torch.zeros(1)}))
    with pytest.raises(ValueError, match="1 unexpected: extra"):
        load_pretrained(folder)


def change_config(folder, **fields):
    path = folder / "config.json"
    path.write_text(
        json.dumps({name: value for name, value in (json.loads(path.read_text()) | fields).items() if value})
    )


def test_a_configuration_that_does_not_fit_is_named(folder):
    change_config(folder, model_type="llama")
    with pytest.raises(ValueError, match="model_type must be 'deepseek_v3', got 'llama'"):
        load_pretrained(folder)
    change_config(folder, model_type="deepseek_v3", rope_parameters={"rope_type": "yarn", "rope_theta": 1e4})
    with pytest.raises(ValueError, match="rope_type must be 'default'"):
        load_pretrained(folder)
    change_config(folder, rope_parameters={"rope_type": "default", "rope_theta": 1e4}, kv_lora_rank=None)
    with pytest.raises(ValueError, match="must have the fields kv_lora_rank"):
        load_pretrained(folder)


def test_a_missing_or_truncated_file_is_named(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    with pytest.raises(ValueError, match=r"model\.safetensors must be a whole safetensors file"):
        load_pretrained(folder)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        load_pretrained(folder)
