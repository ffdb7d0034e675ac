"""Folders in transformers' format, written and read: weights, configuration, tokenizer."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, DeepseekV3Config

from mini_moe import Transformer, config, data, hf, moe, run
from mini_moe.cli import main
from mini_moe.config import Yarn, deepseek_v3, tiny
from mini_moe.generate import write_text
from mini_moe.hf import config_from_hf, config_to_hf, load_pretrained, load_tokenizer, save_pretrained
from mini_moe.train import TrainConfig

CONFIG = tiny().replace(
    vocab_size=300, hidden_size=32, num_hidden_layers=3, kv_lora_rank=16, q_lora_rank=24, initializer_range=0.2,
    n_routed_experts=8, n_group=2, topk_group=1, routed_scaling_factor=2.5, num_experts_per_tok=2,
)  # fmt: skip


STRETCHED = CONFIG.replace(
    rope_theta=100.0, max_position_embeddings=48,
    rope_scaling=Yarn(factor=4, original_max_position_embeddings=12, mscale=0.7, mscale_all_dim=1.3),
)  # fmt: skip
PUBLISHED = Path(__file__).parent / "oracles/deepseek_v3_config.json"  # from huggingface.co/deepseek-ai/DeepSeek-V3
YARN = json.loads(PUBLISHED.read_text())["rope_scaling"]


def model_of(shape: config.ModelConfig) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(shape)
    for block in model.layers:
        if block.sparse:
            block.mlp.gate.e_score_correction_bias.normal_(std=0.1)
    return model


@pytest.fixture
def model() -> Transformer:
    return model_of(CONFIG)


@pytest.fixture(scope="module")
def tokenizer():
    return data.train_tokenizer([Path(hf.__file__).read_text()], 300)


@pytest.fixture
def folder(model, tokenizer, tmp_path) -> Path:
    save_pretrained(model, tmp_path / "model", tokenizer)
    return tmp_path / "model"


def assert_same_weights(ours: Transformer, theirs: Transformer):
    assert ours.config == theirs.config
    for name, tensor in ours.state_dict().items():
        other = theirs.state_dict()[name]
        assert tensor.dtype == other.dtype and torch.equal(tensor, other), name


# --- weights


def test_reading_gives_back_every_bit(model, folder):
    again = load_pretrained(folder)
    assert_same_weights(model, again)
    assert all(parameter.requires_grad for parameter in again.parameters())


def test_a_model_that_was_read_does_not_hang_on_the_file(model, folder):
    again = load_pretrained(folder)
    (folder / "model.safetensors").write_bytes(b"")  # in place, as other programs write
    assert_same_weights(model, again)


def test_transformers_opens_the_folder_and_gives_our_logits(model, folder):
    oracle, tokens = AutoModelForCausalLM.from_pretrained(folder), torch.randint(300, (2, 11))
    assert (oracle(tokens).logits - model(tokens).logits).abs().max() < 1e-4


@pytest.mark.parametrize("shards", [{}, {"max_shard_size": "40KB"}], ids=["one file", "shards"])
def test_ours_to_transformers_to_ours_is_bit_identical(model, folder, tmp_path, shards):
    theirs = tmp_path / "theirs"
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(theirs, **shards)
    assert (len(list(theirs.glob("*.safetensors"))) > 3) == bool(shards)
    again = load_pretrained(theirs)
    assert_same_weights(model, again)
    save_pretrained(again, tmp_path / "ours")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "ours" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_without_shared_experts_the_round_trip_is_bit_identical_too(tmp_path):
    """transformers then keeps matrices of inner width 0."""
    model = model_of(CONFIG.replace(n_shared_experts=0))
    save_pretrained(model, tmp_path / "ours")
    AutoModelForCausalLM.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    assert_same_weights(model, load_pretrained(tmp_path / "theirs"))


def test_a_stretched_context_survives_the_way_to_transformers_and_back(tmp_path):
    """So do its logits, beyond the original length."""
    model, tokens = model_of(STRETCHED), torch.randint(300, (2, 40))
    save_pretrained(model, tmp_path / "ours")
    oracle = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    assert (oracle(tokens).logits - model(tokens).logits).abs().max() < 1e-4
    oracle.save_pretrained(tmp_path / "theirs")
    again = load_pretrained(tmp_path / "theirs")
    assert_same_weights(model, again)
    save_pretrained(again, tmp_path / "again")
    assert (tmp_path / "again/config.json").read_bytes() == (tmp_path / "ours/config.json").read_bytes()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_weights_are_widened_to_float32_exactly(folder, tmp_path, dtype):
    oracle = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    oracle.save_pretrained(tmp_path / "narrow")
    again = load_pretrained(tmp_path / "narrow")
    assert {tensor.dtype for tensor in again.state_dict().values()} == {torch.float32}
    assert_same_weights(again, load_pretrained(tmp_path / "narrow"))
    theirs = oracle.state_dict()
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, theirs[name if name == "lm_head.weight" else f"model.{name}"].float()), name


# --- the published model


def read_published(**changes) -> config.ModelConfig:
    with pytest.warns(UserWarning, match="Not read yet"):
        return config_from_hf(json.loads(PUBLISHED.read_text()) | changes)


def test_the_published_file_is_the_preset_stretched():
    assert read_published() == deepseek_v3().replace(
        max_position_embeddings=163_840,
        rope_scaling=Yarn(factor=40, original_max_position_embeddings=4096),
        initializer_range=0.02,  # the preset has the one of the paper, by which the training began
        num_nextn_predict_layers=1,  # the preset is the model alone, of 671 billion parameters
    )


def test_the_published_configuration_survives_the_round_trip():
    for shape in (deepseek_v3(), read_published()):
        assert config_from_hf(config_to_hf(shape)) == shape


def test_transformers_reads_the_published_file_as_we_do():
    def fields_of(shape: DeepseekV3Config) -> dict:
        names = {field.name for field in dataclasses.fields(config.ModelConfig)} - {"rope_theta", "rope_scaling"}
        return {name: getattr(shape, name) for name in names} | {**shape.rope_parameters, "type": "yarn"}

    ours, theirs = DeepseekV3Config(**config_to_hf(read_published())), AutoConfig.from_pretrained(PUBLISHED)
    assert fields_of(ours) == fields_of(theirs)


def test_what_transformers_takes_where_nothing_is_said_may_be_said():
    assert read_published(rope_scaling=YARN | {"truncate": True, "attention_factor": None}) == read_published()


def test_the_base_among_the_rope_parameters_counts_before_one_beside_them_as_in_transformers():
    fields = config_to_hf(tiny()) | {"rope_theta": 5.0}
    assert config_from_hf(fields).rope_theta == DeepseekV3Config(**fields).rope_parameters["rope_theta"] == 10_000


def test_what_the_published_file_has_and_nobody_reads_yet_is_told_by_name():
    fields = json.loads(PUBLISHED.read_text())
    with pytest.warns(UserWarning, match=re.escape(f"quantization_config = {fields['quantization_config']}")) as told:
        config_from_hf(fields)
    assert len(told) == 1
    config_from_hf({key: value for key, value in fields.items() if key != "quantization_config"})


def test_the_warning_shows_the_line_of_the_caller_of_any_function(folder):
    fields = json.loads((folder / "config.json").read_text()) | {"quantization_config": {"fmt": "e4m3"}}
    (folder / "config.json").write_text(json.dumps(fields))
    for read in (
        lambda: config_from_hf(fields),
        lambda: load_pretrained(folder),
        lambda: main(["generate", "--from", str(folder), "--tokens", "1"]),
    ):
        with pytest.warns(UserWarning, match="quantization_config = ") as told:
            read()
        assert (told[0].filename, told[0].lineno) == (__file__, read.__code__.co_firstlineno)


@pytest.mark.parametrize("name", ["model.safetensors.index.json", "model.safetensors"])
def test_published_tensors_that_nobody_reads_yet_are_named_before_any_shard_is_read(folder, name):
    unread = "model.layers.1.self_attn.o_proj.weight_scale_inv"
    if name == "model.safetensors":
        change_weights(folder, lambda tensors: tensors.update({unread: torch.zeros(1)}))
    else:
        (folder / "model.safetensors").unlink()
        (folder / name).write_text(json.dumps({"weight_map": {unread: "missing.safetensors"}}))
    told = rf"must hold no weights in 8 bits \({unread}\)"
    with pytest.raises(ValueError, match=f"{told}: they are not read yet"):
        load_pretrained(folder)


# --- tokenizer


@pytest.fixture(scope="module")
def tokenizers(tokenizer, tmp_path_factory):
    """Ours, as transformers opens it, as transformers opens what it saved, as we read what it saved."""
    folder = tmp_path_factory.mktemp("tokenizer")
    save_pretrained(Transformer(CONFIG), folder / "ours", tokenizer)
    theirs = AutoTokenizer.from_pretrained(folder / "ours")
    theirs.save_pretrained(folder / "theirs")
    return tokenizer, theirs, AutoTokenizer.from_pretrained(folder / "theirs"), load_tokenizer(folder / "theirs")


@given(
    st.lists(st.text() | st.sampled_from([data.END, " ", " .", " ,", " 's", "\r\n", "def f(x):\n    "])).map("".join)
)
@example(f"{data.END}x = 1  , {data.END} do n't !\n")
def test_transformers_gives_our_tokens_and_our_text(tokenizers, text):
    ours, theirs, theirs_again, ours_again = tokenizers
    ids = ours.encode(text).ids
    assert theirs(text).input_ids == theirs_again(text).input_ids == ours_again.encode(text).ids == ids
    assert 0 not in ids  # a text that spells it out does not open a file
    assert theirs.decode(ids) == theirs_again.decode(ids) == ours_again.decode(ids) == text
    opened = ours.decode([0, *ids])
    assert theirs.decode([0, *ids]) == theirs_again.decode([0, *ids]) == ours_again.decode([0, *ids]) == opened
    assert theirs.decode([0, *ids], skip_special_tokens=True) == text


def test_token_0_opens_and_ends_a_text_in_transformers_too(tokenizers):
    for theirs in tokenizers[1:3]:
        assert theirs.bos_token_id == theirs.eos_token_id == 0
        assert theirs.bos_token == theirs.eos_token == data.END
        assert len(theirs) == 300


def test_our_tokenizer_is_read_as_it_was_written(tokenizer, folder):
    assert load_tokenizer(folder).to_str() == tokenizer.to_str()


def test_the_folder_of_a_run_opens_in_transformers(tmp_path):
    """The model goes on with a text in transformers as it does here."""
    (tmp_path / "corpus").mkdir()
    for module in (run, data, hf, moe, config):
        (tmp_path / "corpus" / Path(module.__file__).name).write_bytes(Path(module.__file__).read_bytes())
    settings = TrainConfig(steps=2, batch_size=2, context=64, warmup_steps=1)
    run.start(tmp_path / "run", CONFIG, settings, str(tmp_path / "corpus"), precision="float32", dispatch="loop")
    model, tokenizer = (auto.from_pretrained(tmp_path / "run") for auto in (AutoModelForCausalLM, AutoTokenizer))
    ids = torch.tensor([[0, *tokenizer("def f(x):\n").input_ids]])
    new = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=9, do_sample=False, pad_token_id=0)
    ours, ours_tokenizer = load_pretrained(tmp_path / "run"), load_tokenizer(tmp_path / "run")
    written = "".join(write_text(ours, ours_tokenizer, "def f(x):\n", 9, temperature=0, seed=0))
    decoded = tokenizer.decode(new[0, ids.shape[1] :], skip_special_tokens=True)
    assert written and decoded.rstrip("\ufffd") == written


# --- what is wrong is named


def change_weights(folder, change, name="model.safetensors"):
    tensors = load_file(folder / name)
    change(tensors)
    save_file(tensors, folder / name)


def test_wrong_tensors_are_named(folder):
    name = "model.layers.1.mlp.experts.3.up_proj.weight"
    change_weights(folder, lambda tensors: tensors.update({name: torch.zeros(3, 3)}))
    with pytest.raises(ValueError, match=rf"{name} must be of shape \(64, 32\), got \(3, 3\)"):
        load_pretrained(folder)
    change_weights(folder, lambda tensors: tensors.update({name: torch.zeros(64, 32).to(torch.float8_e4m3fn)}))
    with pytest.raises(ValueError, match=rf"{name} must be of a type in .* got torch.float8_e4m3fn"):
        load_pretrained(folder)
    change_weights(folder, lambda tensors: tensors.pop(name))
    with pytest.raises(ValueError, match=f"1 missing: {name}"):
        load_pretrained(folder)
    change_weights(folder, lambda tensors: tensors.update({name: torch.zeros(64, 32), "extra": torch.zeros(1)}))
    with pytest.raises(ValueError, match="1 unexpected: extra"):
        load_pretrained(folder)


@pytest.mark.parametrize(
    "fields, told",
    [
        ({"model_type": "llama"}, "model_type must be 'deepseek_v3', got 'llama'"),
        (
            {"rope_parameters": {"rope_type": "linear", "factor": 4}},
            "rope_type must be 'default' or 'yarn', got 'linear'",
        ),
        ({"rope_scaling": {"type": "dynamic", "factor": 4}}, "rope_type must be 'default' or 'yarn', got 'dynamic'"),
        ({"rope_scaling": "yarn"}, "rope_parameters must be an object, got 'yarn'"),
        (
            {"rope_scaling": {"type": "yarn", "factor": 40}},
            "'yarn' must have the fields original_max_position_emb.*, mscale",
        ),
        ({"rope_scaling": YARN | {"factor": "40"}}, "factor must be of type float, got '40'"),
        ({"rope_scaling": YARN | {"factor": 0.5}}, "factor must be a number of at least 1, got 0.5"),
        ({"rope_scaling": YARN | {"mscale": 0}}, "mscale must be a positive number, got 0"),
        ({"rope_scaling": YARN | {"attention_factor": 1.2}}, "'yarn' must come without attention_factor, got 1.2"),
        ({"rope_scaling": YARN | {"truncate": False}}, "'yarn' must come without truncate, got False"),
        ({"rope_scaling": YARN | {"truncate": None}}, "'yarn' must come without truncate, got None"),
        ({"rope_scaling": YARN | {"stretch": 2}}, "'yarn' must come without stretch, got 2"),
        ({"scoring_func": "softmax"}, "scoring_func must be 'sigmoid', got 'softmax'"),
        ({"kv_lora_rank": ...}, "must have the fields kv_lora_rank"),
        ({"n_group": ...}, "must have the fields n_group"),
        ({"rope_parameters": ...}, "must have the fields rope_theta"),
        ({"hidden_size": "32"}, "hidden_size must be of type int, got '32'"),
        ({"rms_norm_eps": None}, "rms_norm_eps must be of type float, got None"),
        ({"q_lora_rank": "24"}, r"q_lora_rank must be of type int \| None, got '24'"),
        ({"n_group": 3}, "n_group must be a divisor"),
        ({"vocab_size": 301}, r"weight must be of shape \(301, 32\), got \(300, 32\)"),
        ({"num_hidden_layers": 4}, "missing: model.layers.3"),
        ({"num_hidden_layers": 2}, "unexpected: model.layers.2"),
    ],
)
def test_a_configuration_that_does_not_fit_is_named(folder, fields, told):
    file = folder / "config.json"
    content = json.loads(file.read_text()) | fields
    file.write_text(json.dumps({name: value for name, value in content.items() if value is not ...}))
    with pytest.raises(ValueError, match=told):
        load_pretrained(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_or_damaged_file_is_named(folder, name):
    read = load_tokenizer if name == "tokenizer.json" else load_pretrained
    whole = (folder / name).read_bytes()
    for damaged in (whole[:-50], whole[:100], b"", b"\xff\xfe\x00", b"[]", b"null", b"\x05" + b"\x00" * 20):
        (folder / name).write_bytes(damaged)
        with pytest.raises(ValueError, match=f"model/{name} must be whole"):
            read(folder)
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"path must be a folder with {name}, got .*model"):
        read(folder)


def test_wrong_shards_are_named(folder, tmp_path):
    shards = tmp_path / "shards"
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(shards, max_shard_size="40KB")
    index = shards / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    name = "model.layers.1.mlp.experts.3.up_proj.weight"
    shard = content["weight_map"][name]
    for damaged in (b"", b"{", b"[]", b"{}", b'{"weight_map": 3}'):
        index.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"model\.safetensors\.index\.json must be whole"):
            load_pretrained(shards)
    renamed = {**content["weight_map"], "model.unknown": shard}
    index.write_text(json.dumps({"weight_map": renamed}))
    with pytest.raises(ValueError, match=f"{shard} must hold the tensors that .*index.json says, not so model.unknown"):
        load_pretrained(shards)
    index.write_text(json.dumps(content))
    change_weights(shards, lambda tensors: tensors.pop(name), shard)
    with pytest.raises(ValueError, match=f"{shard} must hold the tensors that .*index.json says, not so {name}"):
        load_pretrained(shards)
    (shards / shard).write_bytes((shards / shard).read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"{shard} must be whole"):
        load_pretrained(shards)
    (shards / shard).unlink()
    with pytest.raises(FileNotFoundError, match=f"path must be a folder with {shard}"):
        load_pretrained(shards)
