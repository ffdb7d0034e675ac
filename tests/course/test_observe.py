"""What is seen of a call."""

import numpy as np
import pytest
import torch

from mini_moe.course.checking.observe import close, observe

# Observation


def test_an_observation_repeats_even_for_a_function_that_draws_random_numbers():
    state = torch.random.get_rng_state()
    draws = [observe(lambda x: x + torch.rand(2), (torch.ones(2),)).outputs for _ in range(2)]
    assert torch.equal(*draws)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("got", "expected", "agree"),
    [
        (torch.tensor([1.0]), torch.tensor([1.0 + 1e-6]), True),
        (torch.tensor([1.0]), torch.tensor([1.001]), False),
        (torch.tensor([1.0]).bfloat16(), torch.tensor([1.004]), True),
        (torch.tensor([float("nan")]), torch.tensor([float("nan")]), True),
        (torch.tensor([-torch.inf, 1]), torch.tensor([-torch.inf, 1]), True),
        (torch.tensor([-torch.inf, 1]), torch.tensor([0.0, 1]), False),
        (torch.tensor([1]), torch.tensor([1.0]), False),
        (torch.tensor([], dtype=torch.float32), torch.tensor([]), True),
        (torch.ones(2).to(torch.float8_e4m3fn), torch.ones(2).to(torch.float8_e4m3fn), True),
        (3, 3.0, True),
        (3, 4, False),
        ("a", "a", True),
        ("1", 1, False),
        (np.ones(2), np.ones(2), False),
        (torch.ones(2).to(torch.float8_e4m3fnuz), torch.ones(2), True),
    ],
)
def test_values_agree_within_the_rounding_of_their_dtype(got, expected, agree):
    assert close(got, expected) is agree


@pytest.mark.parametrize(
    ("given", "write"),
    [
        ([1, 2], lambda numbers: numbers.__setitem__(0, 5)),
        ([torch.ones(2)], lambda tensors: tensors.__setitem__(0, None)),
        ([torch.ones(2)], lambda tensors: tensors[0].add_(1)),
        ([None], lambda things: things.__setitem__(0, 1)),
        ([abs], lambda functions: functions.clear()),
    ],
)
def test_what_was_written_to_is_seen_whatever_stood_there(given, write):
    assert observe(lambda things: write(things), (given,)).changed == ("[0][0]",)
    assert observe(lambda things: None, (given,)).changed == ()
