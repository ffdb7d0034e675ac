"""With drafts or without: the same text, token for token, or drawn from the same distribution; and what it took."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_model import BASE, CONFIGS
from test_mtp import with_modules

from mini_moe import Transformer, data
from mini_moe.course import checkpoint
from mini_moe.generate import Gate, Stats, generate, overhead, stream
from mini_moe.mtp import accepted
from mini_moe.speculative import Choice, residual, speculate, speedup, verify_greedy, verify_sampled

PROMPTS, NEW = 200, 20
TIE = 1e-4  # in float32, two tokens so near to each other may change places


@pytest.fixture(scope="module")
def deep():
    model, tokenizer = checkpoint("deep")
    return model.eval().requires_grad_(False), tokenizer


@pytest.fixture(scope="module")
def prompts(deep, shared_home):
    """The beginnings of 200 windows of held-out code, (200, 32)."""
    _, tokenizer = deep
    text = data.load(vocab_size=1024, progress=False).heldout_text.decode()[: 8 * 32 * PROMPTS]
    ids = torch.tensor(tokenizer.encode(text).ids)
    starts = torch.linspace(0, len(ids) - 33, PROMPTS).long()
    return torch.stack([ids[start : start + 32] for start in starts])


@pytest.fixture(scope="module")
def plain(deep, prompts):
    """What the model writes after each prompt, in float64: no ties but true ones."""
    return torch.cat([generate(deep[0].double(), rows, NEW) for rows in prompts.split(8)])


@pytest.mark.parametrize("drafter", ["module", "ngram"])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_greedy_text_over_200_held_out_prompts_is_the_same_token_for_token(deep, prompts, plain, drafter, batch_size):
    model, acceptances = deep[0].double(), set()
    for rows, expected in zip(prompts.split(batch_size), plain.split(batch_size), strict=True):
        text, stats = generate(model, rows, NEW, speculative=True, drafter=drafter, return_stats=True)
        assert torch.equal(text, expected)
        acceptances.add(stats.acceptance)
    assert len(acceptances) > 5, "rows must not all be alike"


def test_in_float32_the_texts_part_only_where_two_tokens_are_equally_likely(deep, prompts):
    model = deep[0].float()
    for rows in prompts[:64].split(8):
        text, drafted = generate(model, rows, NEW), generate(model, rows, NEW, speculative=True)
        for one, other in zip(text, drafted, strict=True):
            if not torch.equal(one, other):
                place = int((one != other).nonzero()[0])
                logits = model(one[None, :place]).logits[0, -1]
                assert (logits[one[place]] - logits[other[place]]).abs() < TIE


@pytest.mark.parametrize("name", CONFIGS, ids=lambda name: name.replace(" ", "-"))
@pytest.mark.parametrize("drafter", ["module", "ngram"])
def test_the_text_is_the_same_in_every_configuration_whatever_is_drafted(name, drafter):
    """With random weights nearly every draft is wrong; with few tokens n-grams are sometimes right."""
    model = with_modules(CONFIGS[name].replace(vocab_size=7)).double()
    for batch_size, new in ((1, 1), (1, 2), (3, 19)):
        tokens = torch.randint(7, (batch_size, 4))
        drafted = generate(model, tokens, new, speculative=True, drafter=drafter)
        assert torch.equal(drafted, generate(model, tokens, new))


def test_generate_equals_the_loop_written_out(deep, prompts):
    model = deep[0].double()
    cache = model.new_cache(1, 128)

    @torch.inference_mode()
    def extend(tokens, start):
        for layer in cache:
            layer.length = start
        return model(torch.tensor([tokens]), cache, absorbed=start > 0).logits[0]

    @torch.inference_mode()
    def draft(text):
        tokens = torch.tensor([text])
        return int(model.predict_further(model(tokens).hidden, tokens)[0].logits[0, -2].argmax())

    for rows in prompts[:3]:
        written = speculate(extend, draft, rows.tolist(), NEW)
        text, stats = generate(model, rows[None], NEW, speculative=True, return_stats=True)
        assert written == text[0, 32:].tolist()
        guessed = torch.tensor([[*rows.tolist(), *written]])
        output = model(guessed)
        right = accepted(output.logits, model.predict_further(output.hidden, guessed)[0].logits)[0, 31:]
        passes, place = 0, 1  # by the rule alone: where a draft is right, two tokens a pass
        while place < NEW:
            place += 2 if right[place - 1] else 1
            passes += 1
        assert stats.passes == passes


# --- sampling: the distribution, not the text


CHAINS = 20_000


@pytest.fixture(scope="module")
def small_vocabulary():
    """Four tokens, whose odds depend on those before; a module that drafts badly, but not hopelessly."""
    torch.manual_seed(5)
    return Transformer(BASE.replace(vocab_size=4, num_nextn_predict_layers=1, initializer_range=0.25)).eval()


@torch.inference_mode()
def odds_of_texts(model, prompt, new, temperature):
    """The probability of each of the 4 ** new texts that may follow the prompt."""
    texts = torch.tensor(list(itertools.product(range(4), repeat=new)))
    tokens = torch.cat((prompt.expand(len(texts), -1), texts), dim=1)
    log_odds = (model(tokens).logits / temperature).log_softmax(-1)[:, prompt.shape[1] - 1 : -1]
    return log_odds.gather(2, texts[..., None]).sum(dim=(1, 2)).exp().double()


def chi_square(texts, expected):
    """Of the texts that were drawn; the statistic less its mean, in standard deviations of a true sample."""
    places = torch.tensor([4**n for n in reversed(range(texts.shape[1]))])
    counts = (texts * places).sum(dim=1).bincount(minlength=len(expected)).double()
    expected = len(texts) * expected
    likely = expected >= 5
    rest = torch.stack((counts[~likely].sum(), expected[~likely].sum()))
    counts, expected = (
        torch.cat((part[likely], extra[None])) for part, extra in zip((counts, expected), rest, strict=True)
    )
    keep = expected > 0
    freedom = keep.sum() - 1
    return (((counts - expected)[keep] ** 2 / expected[keep]).sum() - freedom) / math.sqrt(2 * freedom)


def drawn(model, prompt, new, temperature, **drafting):
    generator = torch.Generator().manual_seed(0)
    rows = prompt.expand(CHAINS, -1)
    return generate(model, rows, new, temperature=temperature, generator=generator, **drafting)[:, prompt.shape[1] :]


@pytest.mark.parametrize("drafting", [{}, {"speculative": True}, {"speculative": True, "drafter": "ngram"}])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_drawn_texts_have_the_odds_of_the_model(small_vocabulary, drafting, temperature):
    prompt = torch.tensor([[1, 2, 3, 1, 2]])
    expected = odds_of_texts(small_vocabulary, prompt, 4, temperature)
    assert chi_square(drawn(small_vocabulary, prompt, 4, temperature, **drafting), expected) < 4


WRONG = {
    "a draft always stays": lambda p, q, draft, chance: (torch.ones_like(draft) > 0, p[:, 1]),
    "it stays where it is the likeliest": lambda p, q, draft, chance: (
        (right := p[:, 0].argmax(-1) == draft),
        torch.where(right[:, None], p[:, 1], p[:, 0]),
    ),
    "after a rejection, p in place of the residual": lambda p, q, draft, chance: (
        (right := verify_sampled(p, q, draft, chance)[0]),
        torch.where(right[:, None], p[:, 1], p[:, 0]),
    ),
    "p alone decides": lambda p, q, draft, chance: (
        (right := chance < p[:, 0].gather(1, draft[:, None])[:, 0]),
        torch.where(right[:, None], p[:, 1], residual(p[:, 0], q)),
    ),
}


@pytest.mark.parametrize("rule", WRONG)
def test_the_same_test_finds_a_wrong_rule(small_vocabulary, monkeypatch, rule):
    monkeypatch.setattr("mini_moe.speculative.verify_sampled", WRONG[rule])
    prompt = torch.tensor([[1, 2, 3, 1, 2]])
    expected = odds_of_texts(small_vocabulary, prompt, 4, 1.0)
    assert chi_square(drawn(small_vocabulary, prompt, 4, 1.0, speculative=True), expected) > 10


distributions = st.lists(st.integers(0, 5), min_size=3, max_size=3).filter(any)


@given(distributions, distributions)
def test_kept_drafts_and_residual_add_up_to_p_exactly(p, q):
    p, q = (torch.tensor([row], dtype=torch.float64) / sum(row) for row in (p, q))
    stays = torch.minimum(p, q)
    assert torch.allclose(stays + (1 - stays.sum()) * residual(p, q), p, atol=1e-12)


def test_a_draft_that_the_model_finds_impossible_never_stays():
    p, q = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]), torch.tensor([[1.0, 0.0]])
    stays, next_BV = verify_sampled(p, q, torch.tensor([0]), torch.zeros(1))
    assert not stays and torch.equal(next_BV, torch.tensor([[0.0, 1.0]]))


def test_the_choice_is_reproducible_and_at_almost_no_temperature_greedy():
    logits = torch.randn(5, 9)
    for temperature in (0.0, 1e-40):
        assert torch.equal(Choice(temperature).choose(logits)[0], logits.argmax(-1))
    one, two = (Choice(1.0, torch.Generator().manual_seed(2)).choose(logits)[0] for _ in range(2))
    assert torch.equal(one, two)


# --- what it took


def test_statistics_add_up(deep, prompts):
    model = deep[0].float()
    text, stats = generate(model, prompts[:1], NEW, speculative=True, return_stats=True)
    assert stats.new_tokens == NEW - 1
    assert stats.passes + stats.accepted - stats.new_tokens in (0, 1), "the last draft may be one token too many"
    assert stats.drafted == stats.passes and 0 < stats.acceptance <= 1
    assert 2 <= stats.distinct_experts <= 4 and stats.tokens_per_second > 0
    assert f"{stats.drafted} drafted, {stats.accepted} accepted" in str(stats)
    _, alone = generate(model, prompts[:1], NEW, return_stats=True)
    assert alone.passes == alone.new_tokens == NEW - 1 and alone.drafted == 0
    assert alone.distinct_experts == 2 and "drafted" not in str(alone)


def test_a_stream_gives_what_generate_gives_one_or_two_tokens_a_pass(deep, prompts):
    model, stats = deep[0].float(), Stats()
    passes = list(stream(model, prompts[:2], NEW, speculative=True, stats=stats))
    text = [[token for rows in passes for token in rows[row]] for row in range(2)]
    assert text == generate(model, prompts[:2], NEW, speculative=True)[:, 32:].tolist()
    assert {len(row) for rows in passes for row in rows} <= {0, 1, 2} and len(passes) == stats.passes + 1


def test_the_gate_rests_where_drafts_are_bad_and_the_text_stays_the_same():
    model = with_modules(BASE).double()
    tokens = torch.randint(64, (2, 4))
    text, stats = generate(model, tokens, 300, speculative=True, gate=0.9, return_stats=True)
    assert torch.equal(text, generate(model, tokens, 300))
    assert 0 < stats.drafted < 150 and stats.passes > 250


def test_the_gate_tries_again_and_rests_twice_as_long_each_time():
    gate, open_at = Gate(0.5), []
    for step in range(400):
        if gate.is_open():
            open_at.append(step)
            gate.note([False])
    rests = [b - a - 1 for a, b in itertools.pairwise(open_at) if b > a + 1]
    assert rests == [63, 127] and len(open_at) >= 3 * Gate.WINDOW


def test_an_open_gate_never_rests():
    gate = Gate(0.0)
    for _ in range(200):
        assert gate.is_open()
        gate.note([False, False])


def test_the_overhead_is_a_share_of_a_plain_pass():
    model = with_modules(BASE)
    assert 0 <= overhead(model, torch.randint(64, (1, 4)), passes=3) < 50
    assert 0 <= overhead(model, torch.randint(64, (3, 4)), drafter="ngram", passes=3) < 50


def test_the_speed_up_ends_at_two():
    assert speedup(1, 0) == 2 and speedup(0.3, 0.3) == 1
    for arguments, name in (((1.1, 0), "acceptance"), ((0.5, -0.1), "overhead"), ((math.nan, 0), "acceptance")):
        with pytest.raises(ValueError, match=name):
            speedup(*arguments)


def test_a_tie_goes_to_the_first():
    stays, token = verify_greedy(torch.zeros(1, 2, 5), torch.tensor([0]))
    assert stays and token == 0


def test_what_is_wrong_with_drafting_is_named():
    model, tokens = Transformer(BASE), torch.ones(1, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match="drafter must be 'ngram' for a model without a prediction module"):
        generate(model, tokens, 2, speculative=True)
    with pytest.raises(ValueError, match="drafter must be one of module, ngram, got 'medusa'"):
        generate(model, tokens, 2, speculative=True, drafter="medusa")
    with pytest.raises(ValueError, match="gate must be a number, at least 0, got nan"):
        generate(model, tokens, 2, gate=math.nan)
    assert torch.equal(generate(model, tokens, 0, speculative=True, drafter="ngram"), tokens)
