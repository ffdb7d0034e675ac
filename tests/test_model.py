"""The whole model against transformers' DeepseekV3ForCausalLM, on random float32 weights."""

import pytest
import torch
from oracles.deepseek_v3 import names, oracle_of

from mini_moe import Transformer
from mini_moe.config import Yarn, deepseek_v3, small, tiny
from mini_moe.dispatch import grouped, loop
from mini_moe.generate import generate, stream

BASE = tiny().replace(vocab_size=64, hidden_size=32, num_hidden_layers=3, kv_lora_rank=16, initializer_range=0.2)
CONFIGS = {
    "plain": BASE,
    "query compression": BASE.replace(q_lora_rank=24),
    "groups": BASE.replace(n_routed_experts=16, n_group=4, topk_group=2, num_experts_per_tok=4),
    "no shared expert": BASE.replace(n_shared_experts=0),
    "two shared experts, scaled by 2.5": BASE.replace(n_shared_experts=2, routed_scaling_factor=2.5),
    "no dense layer": BASE.replace(first_k_dense_replace=0),
    "two dense layers": BASE.replace(first_k_dense_replace=2),
    "weights not normalised": BASE.replace(norm_topk_prob=False),
    "value width of its own": BASE.replace(v_head_dim=24),
    "as published, in small": BASE.replace(
        q_lora_rank=24, n_routed_experts=16, n_group=4, topk_group=2, num_experts_per_tok=4, routed_scaling_factor=2.5
    ),
    "stretched": BASE.replace(  # the tests below go beyond the original length; pairs are fast, between, and slow
        rope_theta=100.0,
        max_position_embeddings=12 * 40,
        rope_scaling=Yarn(factor=40, original_max_position_embeddings=12),
    ),
    "stretched, with a scale for each kind of features": BASE.replace(
        rope_theta=100.0,
        max_position_embeddings=12 * 4,
        rope_scaling=Yarn(
            factor=4, original_max_position_embeddings=12, beta_fast=1.2, beta_slow=0.3, mscale=0.7, mscale_all_dim=1.3
        ),
    ),
}


@pytest.fixture(params=CONFIGS, ids=lambda name: name.replace(" ", "-"))
def model(request) -> Transformer:
    torch.manual_seed(len(request.param))
    model = Transformer(CONFIGS[request.param])
    for block in model.layers:
        if block.sparse:  # the oracle must see that the bias chooses, and that norms have weights
            block.mlp.gate.e_score_correction_bias.normal_(std=0.1)
        torch.nn.init.uniform_(block.input_layernorm.weight, 0.5, 1.5)
        torch.nn.init.uniform_(block.self_attn.kv_a_layernorm.weight, 0.5, 1.5)
    return model


def random_tokens(model: Transformer, length: int) -> torch.Tensor:
    return torch.randint(model.config.vocab_size, (2, length))


@pytest.mark.parametrize("dispatch", [loop, grouped])
def test_logits_and_gradients_equal_the_oracle(model, dispatch):
    for block in model.layers:
        if block.sparse:
            block.mlp.dispatch = dispatch
    oracle, tokens = oracle_of(model), random_tokens(model, 19)
    logits, expected = model(tokens).logits, oracle(tokens).logits
    assert (logits - expected).abs().max() < 1e-4
    direction = torch.randn_like(logits)
    (logits * direction).sum().backward()
    (expected * direction).sum().backward()
    ours = names({name: p.grad for name, p in model.named_parameters()}, model)
    for name, parameter in oracle.named_parameters():
        if parameter.numel():
            torch.testing.assert_close(
                ours[name], parameter.grad, rtol=1e-3, atol=1e-3, msg=lambda m, n=name: f"{n}: {m}"
            )


@pytest.mark.parametrize("absorbed", [False, True], ids=["naive", "absorbed"])
@torch.no_grad()
def test_prefill_and_cached_decoding_equal_the_oracle(model, absorbed):
    oracle, tokens = oracle_of(model), random_tokens(model, 16)
    cache = model.new_cache(batch_size=2, capacity=16)
    pieces = tokens.split([7, 3, 1, 1, 4], dim=1)
    past, ours, theirs = None, [], []
    for piece in pieces:
        ours.append(model(piece, cache, absorbed=absorbed).logits)
        output = oracle(piece, past_key_values=past, use_cache=True)
        past = output.past_key_values
        theirs.append(output.logits)
    assert (torch.cat(ours, 1) - torch.cat(theirs, 1)).abs().max() < 1e-4
    assert (torch.cat(ours, 1) - model(tokens).logits).abs().max() < 1e-4


LONG = BASE.replace(
    num_hidden_layers=2,
    max_position_embeddings=64 * 40,
    rope_scaling=Yarn(factor=40, original_max_position_embeddings=64),
)


@torch.no_grad()
def test_far_beyond_the_original_length_decoding_equals_the_oracle():
    """From a cache at the last positions that there are, in both forms."""
    torch.manual_seed(0)
    model = Transformer(LONG)
    oracle, tokens = oracle_of(model), torch.randint(64, (1, LONG.max_position_embeddings))
    expected = oracle(tokens, logits_to_keep=8).logits
    past, rest = tokens[:, :-8], tokens[:, -8:]
    for absorbed in (False, True):
        cache = model.new_cache(1, tokens.shape[1])
        model(past, cache)
        ours = torch.cat([model(token, cache, absorbed=absorbed).logits for token in rest.split(1, dim=1)], dim=1)
        assert (ours - expected).abs().max() < 1e-4


@pytest.mark.parametrize("name", [name for name in CONFIGS if name.startswith("stretched")])
@torch.no_grad()
def test_in_float64_a_stretched_model_equals_the_oracle_more_closely(name):
    """As closely as the oracle's norms and angles let it, which are float32 always."""
    torch.manual_seed(0)
    model = Transformer(CONFIGS[name]).double()
    oracle, tokens = oracle_of(model, _experts_implementation="eager").double(), random_tokens(model, 40)
    assert (model(tokens).logits - oracle(tokens).logits).abs().max() < 1e-5


@torch.no_grad()
def test_greedy_generation_equals_the_oracle(model):
    tokens = random_tokens(model, 5)
    expected = oracle_of(model).generate(
        tokens, max_new_tokens=12, min_new_tokens=12, do_sample=False, attention_mask=torch.ones_like(tokens),
        pad_token_id=0, eos_token_id=-1,
    )  # fmt: skip
    assert torch.equal(generate(model, tokens, 12), expected)


def test_sampling_follows_the_models_distribution():
    torch.manual_seed(0)
    model = Transformer(BASE.replace(vocab_size=8))
    tokens = torch.ones(4000, 1, dtype=torch.int64)
    drawn = generate(model, tokens, 1, temperature=0.7, generator=torch.Generator().manual_seed(1))[:, 1]
    expected = (model(tokens[:1]).logits[0, -1] / 0.7).softmax(-1)
    assert (drawn.bincount(minlength=8) / 4000 - expected).abs().max() < 0.03


def test_the_same_generator_draws_the_same_tokens():
    model, tokens = Transformer(BASE), torch.ones(1, 3, dtype=torch.int64)
    one, two = (
        generate(model, tokens, 8, temperature=1.0, generator=torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(one, two)


def test_generate_names_what_is_wrong_with_its_arguments():
    model, tokens = Transformer(BASE.replace(max_position_embeddings=8)), torch.ones(1, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match="max_new_tokens must be from 0 to 5"):
        generate(model, tokens, 6)
    with pytest.raises(ValueError, match="at least one token"):
        generate(model, tokens[:, :0], 1)
    with pytest.raises(ValueError, match="temperature"):
        next(stream(model, tokens, 1, temperature=-1.0))
    with pytest.raises(ValueError, match="max_position_embeddings"):
        model(torch.ones(1, 9, dtype=torch.int64))
    with pytest.raises(ValueError, match="cache capacity"):
        model(tokens, model.new_cache(1, 2))


def test_presets_have_the_sizes_they_claim():
    def total(config):
        with torch.device("meta"):
            return sum(p.numel() for p in Transformer(config).parameters())

    assert total(tiny()) == pytest.approx(1.2e6, rel=0.1)
    assert total(small()) == pytest.approx(11.2e6, rel=0.1)
    assert total(deepseek_v3()) == 671_026_404_352
