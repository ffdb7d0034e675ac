"""The prediction module against transformers' MtpModel, on random weights; its loss against one written by hand."""

import math

import pytest
import torch
from oracles.deepseek_v3 import oracle_of
from oracles.mtp import module_of
from safetensors.torch import load_file, save_file
from test_model import BASE, CONFIGS
from transformers import AutoModelForCausalLM
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3PreTrainedModel

from mini_moe import Transformer
from mini_moe.config import deepseek_v3
from mini_moe.data import document_ids
from mini_moe.generate import generate
from mini_moe.hf import load_pretrained, save_pretrained
from mini_moe.mtp import MTPModule, accepted, mtp_loss, shifted_targets
from mini_moe.train import TrainConfig, losses, make_optimizer, train


def with_modules(config, n=1) -> Transformer:
    """A model with modules, none of whose vectors is all ones or zeros."""
    torch.manual_seed(3)
    model = Transformer(config.replace(num_nextn_predict_layers=n))
    for name, tensor in model.state_dict().items():
        if tensor.ndim == 1:
            tensor.normal_(std=0.1) if name.endswith("bias") else tensor.uniform_(0.5, 1.5)
    return model


@pytest.mark.parametrize("name", CONFIGS, ids=lambda name: name.replace(" ", "-"))
@pytest.mark.parametrize("n", [1, 2])
@torch.no_grad()
def test_hidden_states_and_draft_logits_equal_transformers(name, n):
    model = with_modules(CONFIGS[name], n)
    oracle, tokens = oracle_of(model), torch.randint(model.config.vocab_size, (2, 12))
    theirs, output = module_of(model, oracle), model(tokens)
    hidden = oracle.model(tokens).last_hidden_state
    assert (output.hidden - hidden).abs().max() < 1e-4
    positions = torch.arange(12)[None]
    for k, ours in enumerate(model.predict_further(output.hidden, tokens)):
        later = torch.cat((tokens[:, k + 1 :], tokens.new_zeros(2, k + 1)), dim=1)
        hidden = theirs.forward_layer(k, hidden, positions, None, input_ids=later)
        assert (ours.hidden - hidden).abs().max() < 1e-4
        assert (ours.logits - theirs.shared_head(hidden)).abs().max() < 1e-4


def test_gradients_equal_transformers():
    model = with_modules(CONFIGS["as published, in small"])
    oracle, tokens = oracle_of(model), torch.randint(64, (2, 12))
    theirs = module_of(model, oracle)
    later = torch.cat((tokens[:, 1:], tokens.new_zeros(2, 1)), dim=1)
    hidden = theirs.forward_layer(
        0, oracle.model(tokens).last_hidden_state, torch.arange(12)[None], None, input_ids=later
    )
    mtp_loss(theirs.shared_head(hidden), tokens).backward()
    mtp_loss(model.predict_further(model(tokens).hidden, tokens)[0].logits, tokens).backward()
    pairs = [
        (model.mtp[0].eh_proj, theirs.layers[0].eh_proj),
        (model.mtp[0].enorm, theirs.layers[0].enorm),
        (model.mtp[0].self_attn.o_proj, theirs.layers[0].mtp_block.self_attn.o_proj),
        (model.embed_tokens, oracle.model.embed_tokens),
        (model.lm_head, oracle.lm_head),
        (model.layers[0].self_attn.o_proj, oracle.model.layers[0].self_attn.o_proj),
    ]
    for ours, oracles in pairs:
        assert (ours.weight.grad - oracles.weight.grad).abs().max() < 1e-5 + 1e-4 * oracles.weight.grad.abs().max()


def loss_by_hand(logits, tokens, depth, documents):
    """Position by position, in Python."""
    nats = []
    for row in range(len(tokens)):
        for i in range(tokens.shape[1] - depth - 1):
            if documents[row][i] == documents[row][i + depth + 1]:
                scores = [math.exp(x) for x in logits[row, i].tolist()]
                nats.append(-math.log(scores[tokens[row, i + depth + 1]] / sum(scores)))
    return sum(nats) / len(nats)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_loss_equals_one_written_by_hand_with_boundaries(depth):
    torch.manual_seed(depth)
    tokens = torch.randint(1, 9, (3, 14))
    tokens[0, 5] = tokens[1, 9] = tokens[1, 12] = tokens[2, 0] = 0  # a new document begins
    documents, logits = document_ids(tokens), torch.randn(3, 14, 9, dtype=torch.float64)
    loss = mtp_loss(logits, tokens, depth=depth, document_ids_BT=documents)
    assert loss.item() == pytest.approx(loss_by_hand(logits, tokens, depth, documents.tolist()), abs=1e-12)
    assert loss.dtype == torch.float64
    assert mtp_loss(logits, tokens, depth=depth) != loss, "without boundaries there are other targets"


def test_where_nothing_is_to_be_predicted_the_loss_is_zero_and_teaches_nothing():
    logits = torch.randn(2, 3, 5, requires_grad=True)
    loss = mtp_loss(logits, torch.ones(2, 3, dtype=torch.int64), depth=2)
    loss.backward()
    assert loss.item() == 0 and logits.grad.abs().max() == 0


def test_the_loss_of_a_step_adds_the_mean_over_depths_times_lambda():
    model, tokens = with_modules(BASE, 2), torch.randint(1, 64, (2, 12))
    tokens[0, 4] = 0
    output = model(tokens)
    further = model.predict_further(output.hidden, tokens)
    made = losses(output, further, tokens, shifted_targets(tokens, 0), TrainConfig(steps=1, mtp_lambda=0.5))
    documents = document_ids(tokens).tolist()
    by_hand = [loss_by_hand(ahead.logits, tokens, k, documents) for k, ahead in enumerate(further, 1)]
    assert made.mtp.item() == pytest.approx(0.5 * sum(by_hand) / 2, rel=1e-5)


def test_a_step_trains_the_module_and_balances_its_router():
    config = BASE.replace(num_nextn_predict_layers=1, initializer_range=0.05)
    torch.manual_seed(0)
    model = Transformer(config)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    settings = TrainConfig(steps=2, batch_size=2, context=16)
    told = list(train(model, make_optimizer(model, settings), torch.randint(1, 64, (400,)), settings))
    assert all(step.mtp == pytest.approx(0.3 * math.log(64), rel=0.3) for step in told)
    unchanged = [name for name, tensor in model.state_dict().items() if torch.equal(tensor, before[name])]
    assert unchanged == []


def test_the_first_weights_of_the_model_do_not_depend_on_the_module():
    plain, more = (
        (torch.manual_seed(0), Transformer(BASE.replace(num_nextn_predict_layers=n)))[1].state_dict() for n in (0, 1)
    )
    assert all(torch.equal(tensor, more[name]) for name, tensor in plain.items())


def test_the_published_module_has_as_many_parameters_as_its_weights_file_says():
    """README_WEIGHTS.md of the published model: 11.5 billion of its own; it does not count the joining matrix."""
    with torch.device("meta"):
        module = MTPModule(deepseek_v3())
    own = sum(parameter.numel() for parameter in module.parameters())
    assert (own - module.eh_proj.weight.numel()) / 1e9 == pytest.approx(11.5, abs=0.05)


def test_a_module_trained_on_shifted_targets_is_hardly_ever_accepted():
    """Control: the same module, the same steps, but each target one place too far, on a text that is easy to learn."""
    text = torch.tensor([1, 2, 3, 4, 5, 6, 7] * 60)
    shares = {}
    for off in (0, 1):
        torch.manual_seed(0)
        model = Transformer(BASE.replace(num_nextn_predict_layers=1, initializer_range=0.08))
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for step in range(60):
            tokens = text[step % 7 :][:256].view(4, 64)
            output = model(tokens)
            (further,) = model.predict_further(output.hidden, tokens)
            loss = mtp_loss(output.logits, tokens, depth=0) + mtp_loss(further.logits, tokens, depth=1 + off)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        with torch.inference_mode():
            output = model(tokens)
            (further,) = model.predict_further(output.hidden, tokens)
            shares[off] = accepted(output.logits, further.logits)[:, 8:-2].float().mean().item()
    assert shares[0] > 0.95 and shares[1] < 0.05


# --- folders


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A folder with a module, as transformers finds it: it knows only the module of the model with 61 layers."""
    model = with_modules(CONFIGS["as published, in small"])
    save_pretrained(model, tmp_path / "model")
    last = model.config.num_hidden_layers
    monkeypatch.setattr(DeepseekV3PreTrainedModel, "_keys_to_ignore_on_load_unexpected", [rf"model\.layers\.{last}.*"])
    return model, tmp_path / "model"


def test_transformers_reads_the_module_and_writes_the_same_text_with_it(published):
    model, folder = published
    theirs, tokens = AutoModelForCausalLM.from_pretrained(folder), torch.randint(1, 64, (1, 9))
    settings = {"max_new_tokens": 20, "min_new_tokens": 20, "do_sample": False, "pad_token_id": 0, "eos_token_id": -1}
    given = {"attention_mask": torch.ones_like(tokens)}
    drafted = theirs.generate(tokens, use_mtp=True, **given, **settings)
    assert torch.equal(drafted, theirs.generate(tokens, **given, **settings))
    assert torch.equal(drafted, generate(model, tokens, 20, speculative=True))


def test_the_module_that_transformers_reads_gives_our_drafts(published):
    model, folder = published
    oracle, tokens = AutoModelForCausalLM.from_pretrained(folder), torch.randint(1, 64, (2, 9))
    theirs = type(module_of(model, oracle)).from_pretrained(oracle)
    with torch.no_grad():
        later = torch.cat((tokens[:, 1:], tokens.new_zeros(2, 1)), dim=1)
        hidden = oracle.model(tokens).last_hidden_state
        hidden = theirs.forward_layer(0, hidden, torch.arange(9)[None], None, input_ids=later)
        ours = model.predict_further(model(tokens).hidden, tokens)[0]
    assert (ours.logits - theirs.shared_head(hidden)).abs().max() < 1e-4


def test_reading_gives_back_every_bit_of_the_module(published):
    model, folder = published
    again = load_pretrained(folder).state_dict()
    assert again.keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in model.state_dict().items())


def test_what_transformers_saves_is_without_the_module_and_is_read_with_a_warning(published, tmp_path):
    model, folder = published
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(tmp_path / "theirs")
    with pytest.warns(UserWarning, match="holds no prediction module, though num_nextn_predict_layers = 1"):
        again = load_pretrained(tmp_path / "theirs")
    assert len(again.mtp) == 0
    tokens = torch.randint(1, 64, (1, 9))
    assert torch.equal(generate(model, tokens, 9), generate(again, tokens, 9))


def test_a_copy_of_the_embedding_that_is_none_is_named(published):
    _, folder = published
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("3.embed_tokens.weight"))
    tensors[name] = tensors[name] + 1
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=f"{name} must equal model.embed_tokens.weight"):
        load_pretrained(folder)
