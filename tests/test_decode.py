"""The decoder against the model that it was made from: every configuration, rows of unequal length, roll back."""

import pytest
import torch
from test_model import CONFIGS
from test_mtp import with_modules

from mini_moe.decode import Decoder, few, side_by_side, times, weighted_sums
from mini_moe.draft import Drafter

CLOSE = 2e-6  # the model's router computes in float32


@pytest.mark.parametrize("name", CONFIGS, ids=lambda name: name.replace(" ", "-"))
@pytest.mark.parametrize("batch_size", [1, 3])
@torch.inference_mode()
def test_rows_of_unequal_length_rolled_back_at_random_equal_the_model(name, batch_size):
    model = with_modules(CONFIGS[name]).double()
    torch.manual_seed(batch_size)
    prompt = torch.randint(64, (batch_size, 7))
    decoder = Decoder(model, batch_size, 40)
    logits, hidden = decoder.read(prompt)
    assert torch.equal(logits, model(prompt).logits[:, -1:]) and torch.equal(hidden, model(prompt).hidden)
    texts = prompt.tolist()
    for T in (1, 2, 1, 3, 2, 5):
        new = torch.randint(64, (batch_size, T))
        logits, hidden = decoder.extend(new)
        assert decoder.stack.length == [len(text) + T for text in texts]
        for row, text in enumerate(texts):
            text += new[row].tolist()
            expected = model(torch.tensor([text]))
            assert (expected.logits[0, -T:] - logits[row]).abs().max() < CLOSE
            assert (expected.hidden[0, -T:] - hidden[row]).abs().max() < CLOSE
            back = int(torch.randint(T, ()))  # tokens that are dropped
            decoder.stack.length[row] -= back
            del text[len(text) - back :]


@pytest.mark.parametrize("name", ["plain", "as published, in small"])
@torch.inference_mode()
def test_the_drafter_equals_the_module(name):
    model = with_modules(CONFIGS[name]).double()
    tokens = torch.randint(64, (2, 20))
    decoder = Decoder(model, 2, 30)
    output = model(tokens)
    expected = model.predict_further(output.hidden, tokens)[0].logits
    decoder.read(tokens[:, :8])
    drafter = Drafter(decoder, tokens[:, :8], output.hidden[:, :8], 30)
    place = 7  # the last position of the prompt waits for the token after it
    for T in (1, 2, 3, 1):
        outputs = drafter.extend(output.hidden[:, place : place + T], tokens[:, place + 1 : place + T + 1])
        assert (decoder.logits(outputs) - expected[:, place : place + T]).abs().max() < CLOSE
        place += T


@torch.inference_mode()
def test_the_experts_told_are_those_that_the_model_chose():
    model = with_modules(CONFIGS["groups"]).double()
    tokens = torch.randint(64, (2, 9))
    decoder = Decoder(model, 2, 9)
    decoder.read(tokens[:, :7])
    decoder.extend(tokens[:, 7:])
    for ours, routing in zip(decoder.stack.experts, model(tokens).routings, strict=True):
        chosen = routing.experts_BTK[:, -2:].flatten(0, 1)
        assert torch.equal(ours.sort().values, chosen.sort().values)


@torch.inference_mode()
def test_what_becomes_of_the_model_afterwards_does_not_matter():
    model = with_modules(CONFIGS["plain"])
    decoder, tokens = Decoder(model, 1, 9), torch.randint(64, (1, 4))
    decoder.read(tokens)
    before, _ = decoder.extend(tokens[:, :1])
    decoder.stack.length[0] -= 1
    for parameter in model.parameters():
        parameter.zero_()
    assert torch.equal(decoder.extend(tokens[:, :1])[0], before)


@torch.inference_mode()
def test_weights_in_bfloat16_are_computed_in_float32():
    model = with_modules(CONFIGS["plain"])
    for parameter in model.parameters():
        parameter.copy_(parameter.bfloat16())
    wide, narrow = (Decoder(each, 1, 9).stack(torch.ones(1, 2, 32)) for each in (model, model.bfloat16()))
    assert narrow.dtype == torch.float32 and torch.equal(wide, narrow)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_rows_side_by_side_or_together_give_the_same_products(rows):
    x, w, plus = torch.randn(1, rows, 6).double(), torch.randn(1, 6, 4).double(), torch.randn(1, rows, 4).double()
    for arranged in (lambda t: t, lambda t: t.view(rows, 1, -1), side_by_side):
        made = times(arranged(x), w, arranged(plus)).view(1, rows, 4)
        assert (made - (x @ w + plus)).abs().max() < 1e-12
    assert few() in (1, 2)


def test_weighted_sums_are_products_with_the_named_rows():
    table, rows, weights = torch.randn(12, 5).double(), torch.randint(12, (3, 4)), torch.randn(3, 4).double()
    expected = torch.einsum("bj,bjo->bo", weights, table[rows])
    assert (weighted_sums(table, rows, weights) - expected).abs().max() < 1e-12
