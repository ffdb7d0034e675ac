"""What a check finds out: who passes, and by what name a wrong answer is called."""

import dataclasses
import inspect
import math
import sys
from typing import NamedTuple

import pytest
import torch
from course.toy import reference, toy_like, verdict_on

from mini_moe.course.checking import examine as examine_module
from mini_moe.course.checking import guard
from mini_moe.course.checking.examine import examine, seed_of
from mini_moe.course.checking.exercise import Exercise, Illegal, Mistake, Property, agrees_with, refuses

# What passes


def test_the_reference_passes_its_own_exercise():
    verdict = verdict_on(reference)
    assert (verdict.status, verdict.failed, verdict.says) == ("passed", None, None)
    assert verdict.held == ("every row adds up to one", "results and gradients are the library's")


def test_a_right_answer_written_differently_passes():
    def normalise(x, eps):
        return torch.stack([row / (sum(row) + eps) for row in x])

    assert verdict_on(normalise).status == "passed"


def test_an_answer_more_exact_than_the_library_passes():
    def normalise(x, eps):
        return (x.double() / (x.double().sum(-1, keepdim=True) + eps)).float()

    assert verdict_on(normalise).status == "passed"


# What is named


def test_a_declared_mistake_is_named_with_the_smallest_failing_input():
    def normalise(x, eps):
        return torch.exp(x) / torch.exp(x).sum(1, keepdim=True)

    verdict = verdict_on(normalise)
    assert (verdict.status, verdict.mistake, verdict.says) == ("wrong", "softmax", "It is a softmax.")
    assert verdict.held == ("every row adds up to one",)
    assert verdict.failed == "results and gradients are the library's"
    assert verdict.case[0].shape == (1, 2)


def test_a_mistake_in_the_gradient_alone_is_named():
    def normalise(x, eps):
        return x / (x.detach().sum(-1, keepdim=True) + eps)

    assert verdict_on(normalise).mistake == "sum detached"


def test_an_unknown_mistake_is_told_by_what_the_property_says():
    def normalise(x, eps):
        return x + eps

    verdict = verdict_on(normalise)
    assert (verdict.mistake, verdict.says) == (None, "The rows do not add up to one.")
    assert verdict.failed == "every row adds up to one"
    assert verdict.expected.tolist() == [1.0]


def test_a_likeness_on_one_case_only_is_no_diagnosis():
    def normalise(x, eps):
        return x.softmax(-1) if x.numel() == 2 else x + eps

    assert verdict_on(normalise).mistake is None


def test_a_mistake_that_crashes_on_some_cases_is_still_recognised_on_the_others():
    def fragile(x):
        return x[:2] + 1

    double = Exercise(
        reference=lambda x: x * 2,
        name="double",
        cases=lambda generator: [(torch.rand(2, generator=generator),), (torch.rand(1),)],
        properties=(Property("agrees", agrees_with(lambda x: x * 2)),),
        mistakes=(Mistake("plus one", "", lambda x: x[[0, 1]] + 1),),
        hints=("", "", ""),
        difficulty=1,
        minutes=1,
    )
    assert examine(double, fragile).mistake == "plus one"


def test_the_gradient_that_differs_is_told_by_the_name_of_its_input():
    def mine(x, weight):
        return x * weight + (weight - weight.detach()) * 3

    verdict = examine(toy_like(lambda x, weight: x * weight, torch.ones(2), torch.ones(2)), mine)
    assert "gradient to `weight`" in verdict.says


class Pair(NamedTuple):
    value: torch.Tensor
    count: int


@pytest.mark.parametrize(
    ("mine", "mistake", "word"),
    [
        (lambda x, n: None, "returns None", "`return`"),
        (lambda x, n: x, "wrong type", "a tensor, where a tuple"),
        (lambda x, n: (x * 2,), "wrong number of results", "a tuple of 1, where one of 2"),
        (lambda x, n: (x.sum(), n), "wrong shape", "(), where (2,)"),
        (lambda x, n: ((x * 2).double(), n), "wrong dtype", "torch.float64, where torch.float32"),
        (lambda x, n: (x * 2, None), "returns None", "result 2 of 2"),
        (lambda x, n: (x * 2 / 0, n), "NaN or inf", "divides by zero"),
        (lambda x, n: (x.mul_(2), n), "changes its input", "`x`"),
        (lambda x, n: (x.detach() * 2, n), "gradient missing", "`x`"),
        (lambda x: (x * 2, 1), "raises TypeError", "positional argument"),
        (lambda x, n: (x @ torch.ones(3), n), "raises RuntimeError", "line"),
        (lambda x, n: exec("raise SystemExit"), "raises SystemExit", "stops"),
        (lambda x, n: {}, "wrong type", "`dict`"),
    ],
)
def test_a_built_in_diagnosis_has_a_name_and_a_sentence(mine, mistake, word):
    verdict = examine(toy_like(lambda x, n: Pair(x * 2, n), torch.ones(2), 3), mine)
    assert (verdict.status, verdict.mistake) == ("wrong", mistake)
    assert word in verdict.says


def scaled_and_shifted(x, weight, shift=1.0):
    return x * weight + shift


def writes_into_a_view(x, weight, shift=1.0):
    a, b = x.unbind(0)
    a += shift
    return torch.stack((a, b)) * weight


def remembers(x, weight, shift=1.0, seen=[]):  # noqa: B006
    seen.append(shift)
    return x * weight + sum(seen)


def refuses_two_rows(x, weight, shift=1.0):
    if len(x) == 2:
        raise ValueError(f"x must have one row, got {len(x)}.")
    return x * weight + shift


def first_row_for_all(x, weight, shift=1.0):
    return (x[:1] * weight + shift).expand_as(x)


@pytest.mark.parametrize(
    ("mine", "mistake", "word"),
    [
        (lambda x, weight, shift=1.0: x + shift, "input not used", "`weight` has no effect"),
        (lambda x, weight, shift=1.0: x * torch.ones_like(weight) + shift, "input not used", "`weight`"),
        (lambda x, weight, shift=1.0: x * weight + 1.0, "input not used", "`shift` has no effect"),
        (lambda x, weight, shift=1.0: x * weight.detach() + shift, "gradient missing", "`weight`"),
        (lambda x, weight, shift=1.0: torch.full((2, 2), 3.0), "the same for every input", "from the arguments"),
        (first_row_for_all, "part of an input not used", "Of `x` only index 0 of dimension 0"),
        (writes_into_a_view, "writes into a slice", "`a += shift`"),
        (remembers, "another result the second time", "from call to call"),
        (refuses_two_rows, "refuses a legal input", "`raise ValueError("),
        (lambda x, weight, shift=2.0: x * weight + shift, "another default", "must be 1.0; here the default is 2.0"),
        (lambda x, weight, shift: x * weight + shift, "another default", "here there is no default"),
    ],
)
def test_a_diagnosis_tells_what_the_function_does_with_its_inputs(mine, mistake, word):
    x, weight = torch.rand(2, 2), torch.rand(2, 2)
    exercise = dataclasses.replace(
        toy_like(scaled_and_shifted), cases=lambda generator: [(x, weight, 3.0), (x, weight), (2 * x, weight, 0.5)]
    )
    verdict = examine(exercise, mine)
    assert verdict.mistake == mistake
    assert word in verdict.says


def test_a_default_may_be_written_in_another_way():
    def mine(x, weight, shift=None):
        return x * weight + (1.0 if shift is None else shift)

    exercise = toy_like(scaled_and_shifted, torch.rand(2, 2), torch.rand(2, 2))
    assert examine(exercise, mine).status == "passed"
    off_by_one = examine(exercise, lambda x, weight, shift=None: 1 + mine(x, weight, shift))
    assert off_by_one.mistake is None, "its default is the right one"
    assert examine(exercise, lambda x, *more: 1 + mine(x, *more)).mistake is None, "so are none"


def writes_unless_it_learns(x, weight, shift=1.0):
    return x.mul_(weight) + shift if not x.requires_grad else x * weight + shift


def drops_out(x, weight, shift=1.0):
    return torch.nn.functional.dropout(x, 0.5) * 0.0 + x * weight + shift * torch.rand(())


@pytest.mark.parametrize(
    ("mine", "mistake"),
    [(writes_unless_it_learns, "changes its input"), (drops_out, "another result the second time")],
)
def test_a_call_that_records_no_gradients_is_looked_at_too(mine, mistake):
    assert examine(toy_like(scaled_and_shifted, torch.rand(2, 2), torch.rand(2, 2)), mine).mistake == mistake


KEPT = {}


def test_what_is_kept_by_its_shape_alone_is_found():
    def mine(x, weight, shift=1.0):
        kept = KEPT.setdefault(tuple(x.shape), x.detach())
        return (x - x.detach() + kept) * weight + shift

    verdict = examine(toy_like(scaled_and_shifted, torch.rand(2, 2), torch.rand(2, 2)), mine)
    assert verdict.mistake == "wrong in another order"


def test_through_a_constant_nothing_need_be_learned():
    exercise = toy_like(scaled_and_shifted, torch.rand(2, 2), torch.rand(2, 2))
    exercise = dataclasses.replace(
        exercise,
        constants=("weight",),
        properties=(Property("agrees", agrees_with(scaled_and_shifted, constants=("weight",))),),
    )
    assert examine(exercise, lambda x, weight, shift=1.0: x * weight.detach() + shift).status == "passed"
    assert examine(exercise, lambda x, weight, shift=1.0: x.detach() * weight + shift).mistake == "gradient missing"


def steps(x, floor):
    return x.sum(0) + floor


def by_floor(x, floor):
    return x.floor().sum(0) + floor


def test_a_function_that_moves_in_steps_is_not_told_that_it_ignores_what_it_steps_over():
    for mine in (by_floor, lambda x, floor: x.amax(0) + floor, lambda x, floor: x.clamp(0, 1.5).sum(0) + floor):
        verdict = examine(toy_like(steps, torch.tensor([[1.2, 3.4], [2.6, 0.3]]), torch.ones(2)), mine)
        assert verdict.status == "wrong" and "only index" not in verdict.says


def test_the_lines_of_a_decorated_function_are_its_own():
    @torch.no_grad()
    def mine(x, weight, shift=1.0):
        if len(x):
            raise ValueError("no")

    exercise = toy_like(torch.no_grad()(scaled_and_shifted), torch.rand(2, 2), torch.rand(2, 2))
    verdict = examine(exercise, mine)
    assert verdict.mistake == "refuses a legal input" and '`raise ValueError("no")`' in verdict.says


@dataclasses.dataclass(frozen=True)
class Sizes:
    height: int
    width: int


def empties_its_argument(sizes):
    return vars(sizes).pop("height") * sizes.width


def shortens_a_list(numbers):
    return numbers.pop() + sum(numbers)


@pytest.mark.parametrize(
    ("reference", "given", "mine"),
    [
        (lambda sizes: sizes.height * sizes.width, Sizes(2, 3), empties_its_argument),
        (lambda numbers: sum(numbers), [1, 2], shortens_a_list),
    ],
)
def test_what_is_no_tensor_must_be_left_alone_too(reference, given, mine):
    assert examine(toy_like(reference, given), mine).mistake == "changes its input"


@pytest.mark.parametrize("divisor", (1, 3, 5))
def test_a_field_of_an_argument_that_has_no_effect_is_told_but_one_that_is_divided_has_its_effect(divisor):
    exercise = toy_like(lambda sizes: sizes.height * sizes.width, Sizes(6, 30))
    assert "`sizes.height` has no effect" in examine(exercise, lambda sizes: sizes.width + 1).says
    assert "no effect" not in examine(exercise, lambda sizes: sizes.width + sizes.height // divisor).says


def test_the_result_of_the_example_written_down_is_told_as_such():
    exercise = dataclasses.replace(
        toy_like(scaled_and_shifted),
        cases=lambda generator: [(torch.full((2,), n), torch.ones(2), 3.0) for n in (1.0, 2.0)],
    )
    verdict = examine(exercise, lambda x, weight, shift=1.0: x.detach() * 0 + weight * 4)
    assert verdict.mistake == "the same for every input"
    assert "compute it from the arguments" in verdict.says


def test_what_is_infinite_has_no_slope_whichever_way_it_was_made():
    def closed(x, mask):
        return x.masked_fill(mask == 0, -math.inf)

    exercise = toy_like(closed, torch.rand(3), torch.tensor([1, 0, 1]))
    assert examine(exercise, lambda x, mask: x + mask.log()).status == "passed"
    assert examine(exercise, lambda x, mask: (x + mask.log()).detach()).mistake == "gradient missing"


def at_least_one(n):
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}.")
    return n


def without_the_value(n):
    if n < 1:
        raise ValueError("n is too small.")
    return n


def by_assertion(n):
    assert n >= 1
    return n


@pytest.mark.parametrize(
    ("mine", "mistake", "word"),
    [
        (at_least_one, None, None),
        (lambda n: n, "not refused", "`n = 0` must be refused: raise a ValueError. There is no such n."),
        (lambda n: at_least_one(n) if n else n, "not refused", "`n = 0`"),
        (lambda n: at_least_one(n) if n == 0 else n, "not refused", "`n = -3`"),
        (without_the_value, "error without the value", "`n = 0` ends in a ValueError that does not tell the value"),
        (by_assertion, "another error than documented", "not by AssertionError"),
    ],
)
def test_a_documented_error_is_asked_for_with_its_type_and_its_value(mine, mistake, word):
    illegal = [lambda n, bad=bad: Illegal((bad,), "n", bad, why="There is no such n.") for bad in (0, -3)]
    exercise = dataclasses.replace(toy_like(at_least_one, 2), properties=(Property("small n", refuses(*illegal)),))
    verdict = examine(exercise, mine)
    assert verdict.mistake == mistake
    assert word is None or word in verdict.says


def test_named_fields_may_be_returned_as_a_plain_tuple():
    exercise = toy_like(lambda x, n: Pair(x * 2, n), torch.ones(2), 3)
    assert examine(exercise, lambda x, n: (x + x, float(n))).status == "passed"


def test_a_crash_tells_the_line_of_the_learner():
    def helper(x):
        return x @ torch.ones(5, 5)

    def normalise(x, eps):
        return helper(x)

    verdict = verdict_on(normalise)
    line = inspect.getsourcelines(helper)[1] + 1
    assert f"line {line}, `return x @ torch.ones(5, 5)`, with RuntimeError: mat1" in verdict.says


def test_an_unwritten_body_is_open_and_not_wrong():
    def normalise(x, eps):
        # YOUR CODE HERE
        raise NotImplementedError()

    verdict = verdict_on(normalise)
    assert (verdict.status, verdict.mistake, verdict.case) == ("open", "not written yet", None)


def test_a_function_that_calls_an_unwritten_one_is_not_blamed_for_it():
    def root_mean_square(x):
        # YOUR CODE HERE
        raise NotImplementedError()

    def normalise(x, eps):
        return x / root_mean_square(x)

    verdict = verdict_on(normalise)
    assert (verdict.status, verdict.mistake) == ("wrong", "calls a stub")
    assert "`root_mean_square`, which is not written yet" in verdict.says


@pytest.mark.parametrize("eats", [Exception, BaseException])
def test_an_endless_loop_is_stopped_even_where_it_eats_exceptions(monkeypatch, eats):
    monkeypatch.setattr(guard, "LIMIT_SECONDS", 0.2)
    stops = []

    def normalise(x, eps):
        while len(stops) < 2:
            try:
                while True:
                    pass
            except eats:
                stops.append(1)
        while True:
            pass

    verdict = verdict_on(normalise)
    assert verdict.mistake == "takes too long"
    assert "loop that never ends" in verdict.says


def test_an_import_is_not_cut_in_the_middle(monkeypatch, tmp_path):
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(0.5)\nwhole = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(guard, "LIMIT_SECONDS", 0.1)

    def normalise(x, eps):
        import slow_to_import

        assert slow_to_import.whole
        while True:
            pass

    assert verdict_on(normalise).mistake == "takes too long"
    assert sys.modules.pop("slow_to_import").whole


def test_a_diagnosis_takes_no_longer_than_one_call_may(monkeypatch):
    monkeypatch.setattr(guard, "LIMIT_SECONDS", 0.5)
    diagnosing = []
    recognise = examine_module.recognise
    monkeypatch.setattr(examine_module, "recognise", lambda *of: diagnosing.append("begins") or recognise(*of))

    def normalise(x, eps):
        if diagnosing:
            diagnosing.append("called")
            while True:
                pass
        return x

    verdict = verdict_on(normalise)
    assert (verdict.status, verdict.says) == ("wrong", "The rows do not add up to one.")
    assert diagnosing == ["begins", "called"]


class Stubborn:
    def __eq__(self, other):
        raise RuntimeError("compared")


def test_a_result_that_cannot_be_compared_or_shown_stops_no_lesson(monkeypatch):
    verdict = examine(toy_like(lambda x: x, torch.ones(2)), lambda x: (Stubborn(), x.detach().numpy()))
    assert (verdict.status, verdict.mistake) == ("wrong", "wrong type")

    def fails(*_):
        raise KeyError("a fault of the diagnosis")

    monkeypatch.setattr(examine_module, "recognise", fails)
    verdict = verdict_on(lambda x, eps: x)
    assert (verdict.status, verdict.says) == ("wrong", "The rows do not add up to one.")


def test_a_function_that_changes_its_input_as_the_library_does_passes():
    assert examine(toy_like(lambda x: x.add_(1), torch.ones(2)), lambda x: x.add_(0.5).add_(0.5)).status == "passed"


def test_where_the_library_gives_no_gradient_the_learner_may():
    assert examine(toy_like(lambda x: x.detach() * 2, torch.ones(2)), lambda x: x + x).status == "passed"


# Fresh inputs


def test_another_attempt_meets_other_inputs_and_a_rerun_the_same():
    def first(x, eps):
        return x + eps

    def second(x, eps):
        return x - eps

    assert seed_of(first) == seed_of(first) != seed_of(second)
    assert str(verdict_on(first)) == str(verdict_on(first))
    assert not torch.equal(verdict_on(first).case[0], verdict_on(second).case[0])


def test_a_function_without_source_can_be_checked():
    assert examine(toy_like(lambda x: x.exp(), torch.ones(1)), torch.exp).status == "passed"
