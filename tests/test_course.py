"""The notebook machinery: what a learner is told, kept and shown. The exercises here are toys."""

import base64
import functools
import gzip
import html
import inspect
import json
import os
import re
import textwrap
from typing import NamedTuple

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from mini_moe.course import Explore, check, exercises, hint, quiz
from mini_moe.course.check import ExerciseFailed
from mini_moe.course.checking import guard, portfolio
from mini_moe.course.checking.examine import examine, seed_of
from mini_moe.course.checking.exercise import Exercise, Mistake, Property, Wrong, agrees_with
from mini_moe.course.checking.observe import close, observe
from mini_moe.course.display.card import Blocks, Card, Claims, Says
from mini_moe.course.display.quiz import Option, Quiz


def normalise(x, eps):
    """Divide rows by their sum."""
    return x / (x.sum(-1, keepdim=True) + eps)


reference = normalise


def rows_add_up(function, x, eps):
    total = function(x, eps).sum(-1)
    if (total - 1).abs().max() > 1e-3:
        raise Wrong("The rows do not add up to one.", got=total, expected=torch.ones_like(total))


def cases(generator):
    for size in ((1, 2), (2, 3), (4, 4)):
        yield torch.rand(size, generator=generator) + 0.1, 1e-9


TOY = Exercise(
    reference=reference,
    cases=cases,
    properties=(
        Property("every row adds up to one", rows_add_up),
        Property("results and gradients are the library's", agrees_with(reference)),
    ),
    mistakes=(
        Mistake("columns", "It divides by the sum of a column.", lambda x, eps: x / (x.sum(0, keepdim=True) + eps)),
        Mistake("sum detached", "The sum is detached.", lambda x, eps: x / (x.sum(-1, keepdim=True).detach() + eps)),
        Mistake("softmax", "It is a softmax.", lambda x, eps: x.softmax(-1)),
    ),
    hints=("Think of `sum`.", "Over which dimension?", "`keepdim=True`"),
    difficulty=1,
    minutes=3,
)


@pytest.fixture(autouse=True)
def course(monkeypatch, tmp_path):
    monkeypatch.setattr(exercises, "EXERCISES", (TOY,))
    monkeypatch.setenv("MINI_MOE_HOME", str(tmp_path))
    monkeypatch.delenv("MINI_MOE_GRADING", raising=False)
    monkeypatch.delenv("MINI_MOE_BOOK", raising=False)
    return tmp_path


def verdict_on(function):
    return examine(TOY, function)


def toy_like(reference, *case, mistakes=()):
    """An exercise that only asks for agreement on one case."""
    return Exercise(
        reference=reference,
        cases=lambda generator: [case],
        properties=(Property("agrees", agrees_with(reference)),),
        mistakes=mistakes,
        hints=("", "", ""),
        difficulty=1,
        minutes=1,
    )


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


def test_a_function_that_changes_its_input_as_the_library_does_passes():
    assert examine(toy_like(lambda x: x.add_(1), torch.ones(2)), lambda x: x.add_(0.5).add_(0.5)).status == "passed"


def test_where_the_library_gives_no_gradient_the_learner_may():
    assert examine(toy_like(lambda x: x.detach() * 2, torch.ones(2)), lambda x: x + x).status == "passed"


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
    ],
)
def test_values_agree_within_the_rounding_of_their_dtype(got, expected, agree):
    assert close(got, expected) is agree


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


# check and hint


def test_check_returns_the_passing_function_and_keeps_it(capsys):
    def normalise(x, eps):
        return x / (x.sum(-1, keepdim=True) + eps)

    assert check(normalise) is normalise
    assert portfolio.kept() == ["normalise"]
    shown = capsys.readouterr().out
    assert "Passed: normalise" in shown
    assert "your portfolio" in shown


def test_check_falls_back_to_the_library_and_says_so(capsys):
    def normalise(x, eps):
        return x.softmax(-1)

    assert check(normalise) is reference
    assert portfolio.kept() == []
    shown = capsys.readouterr().out
    assert "Not right yet: normalise" in shown
    assert shown.index("It is a softmax.") < shown.index("every row")
    assert "the library's `normalise`" in shown


def test_the_librarys_own_function_does_not_count_as_the_learners(capsys, monkeypatch):
    assert check(reference) is reference
    assert "not yours" in capsys.readouterr().out
    assert portfolio.kept() == []
    monkeypatch.setenv("MINI_MOE_GRADING", "1")
    with pytest.raises(ExerciseFailed, match="not yours"):
        check(reference)


def test_grading_raises_the_text_of_the_card_and_keeps_nothing(monkeypatch):
    monkeypatch.setenv("MINI_MOE_GRADING", "1")

    def normalise(x, eps):
        return x.softmax(-1)

    with pytest.raises(ExerciseFailed, match="Not right yet: normalise\n\n  It is a softmax"):
        check(normalise)

    def normalise(x, eps):
        return x / (x.sum(-1, keepdim=True) + eps)

    assert check(normalise) is normalise
    assert portfolio.kept() == []


class Callable:
    def __call__(self, x, eps):
        return reference(x, eps)


def right_by_another_name(x, eps):
    return x / (x.sum(-1, keepdim=True) + eps)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (lambda x, eps: reference(x, eps), "a `lambda`"),
        (right_by_another_name, "is `right_by_another_name`"),
        (Callable(), "no function but <"),
        (functools.partial(reference, eps=1e-9), "no function but functools.partial"),
        (None, "no function but None"),
        (torch.ones(2), "no function but shape (2,)"),
    ],
)
def test_what_bears_another_name_is_told_the_right_one_and_the_lesson_goes_on(given, what, capsys, monkeypatch):
    normalise = given
    normalise = check(normalise)
    assert normalise is reference
    shown = capsys.readouterr().out
    assert "`def normalise(...)` is expected" in shown and what in shown and "library's `normalise`" in shown
    assert portfolio.kept() == []
    monkeypatch.setenv("MINI_MOE_GRADING", "1")
    normalise = given
    with pytest.raises(ExerciseFailed, match="is expected"):
        check(normalise)


def test_a_name_that_no_exercise_bears_stops_nobody_and_the_near_one_is_told(capsys, monkeypatch):
    def normalize(x, eps):
        return x

    assert check(normalize) is normalize
    assert "Did you mean `normalise`?" in capsys.readouterr().out
    monkeypatch.setenv("MINI_MOE_GRADING", "1")
    with pytest.raises(ExerciseFailed, match="Did you mean"):
        check(normalize)


def test_hints_grow_and_say_what_remains():
    assert "2 more" in str(hint("normalise"))
    assert "Over which dimension?" in str(hint("normalise", 2))
    assert "the last" in str(hint("normalise", 3))


@pytest.mark.parametrize("arguments", [("normalise", 0), ("normalise", 4), ("nothing", 1)])
def test_a_hint_that_does_not_exist_is_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        hint(*arguments)


def test_an_exercise_must_be_complete():
    with pytest.raises(ValueError, match="hints"):
        Exercise(**{**vars(TOY), "hints": ("one",)})
    with pytest.raises(ValueError, match="properties"):
        Exercise(**{**vars(TOY), "properties": ()})
    with pytest.raises(ValueError, match="difficulty"):
        Exercise(**{**vars(TOY), "difficulty": 4})


# Cards


def test_a_card_escapes_what_it_shows_and_says_its_status_in_words():
    card = Card("<b>", "wrong", (Says("`<i>`"), Claims((("<u>", "failed"),)), Blocks((("in", "<s>"),))))
    page = re.sub(r"<style>.*?</style>", "", card.html(), flags=re.DOTALL)
    assert not re.search(r"<[bius]>", page)
    assert "<code>&lt;i&gt;</code>" in page
    assert "Not right yet" in page
    assert "does not hold" in page
    assert set(card._repr_mimebundle_()) == {"text/plain", "text/html"}
    with pytest.raises(ValueError, match="status must be"):
        Card("", "fine")


# Quizzes


GUESS = Quiz("guess", "Is `1 < 2`?", (Option("yes", "So it is.", right=True), Option("<no>", "Look again.")))


def test_a_quiz_needs_no_script_and_its_text_gives_nothing_away(monkeypatch):
    monkeypatch.setattr(exercises, "QUIZZES", (GUESS,))
    shown = quiz("guess")._repr_mimebundle_()
    assert "<script" not in shown["text/html"]
    assert shown["text/html"].count('name="quiz-guess"') == 2
    assert "&lt;no&gt;" in shown["text/html"]
    assert shown["text/plain"] == "Is `1 < 2`?\n  (a) yes\n  (b) <no>"
    with pytest.raises(ValueError, match="Did you mean guess"):
        quiz("gues")


def test_a_quiz_has_exactly_one_right_option():
    with pytest.raises(ValueError, match="exactly one"):
        Quiz("guess", "?", (Option("a", ""), Option("b", "")))


# Explorers


def line(width, style):
    """A line."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([0, 1], linewidth=width, linestyle=style)
    return figure


def test_an_explorer_draws_every_state_once_and_closes_its_figures(monkeypatch):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    calls = []

    def counted(width):
        """A line."""
        calls.append(width)
        return line(width, "-")

    explorer = Explore(counted, width=(1, 2))
    first = explorer.draw(width=1)
    assert explorer.draw(width=1) == first == Explore(counted, width=(1,)).draw(width=1)
    assert 'alt="A line, width 1. ' in first
    assert calls == [1, 1]
    assert plt.get_fignums() == []


def test_an_explorer_without_a_kernel_holds_all_states_and_says_so(monkeypatch):
    monkeypatch.setenv("MINI_MOE_BOOK", "1")
    explorer = Explore(lambda n, name: f"<b>{n} {name}</b>", n=range(3), name=("a", "b"))
    page = explorer._repr_mimebundle_()["text/html"]
    assert page.count('type="range"') == 2
    assert "6 states" in page
    assert "computed when the book was built" in page
    (packed,) = re.findall(r'class="mm-states">([^<]*)<', page)
    states = json.loads(gzip.decompress(base64.b64decode(packed)))
    assert states == ["<b>0 a</b>", "<b>0 b</b>", "<b>1 a</b>", "<b>1 b</b>", "<b>2 a</b>", "<b>2 b</b>"]
    assert "http" not in page


def test_a_state_may_have_any_letters_in_its_name():
    odd = "<b>\"&'"
    page = Explore(lambda n: "", n=[odd]).static()
    (labels,) = re.findall(r"data-labels='([^']*)'", page)
    assert json.loads(html.unescape(labels)) == [odd]
    assert f"<output>{html.escape(odd)}</output>" in page


def test_an_explorer_that_cannot_draw_its_first_state_raises(monkeypatch):
    with pytest.raises(ZeroDivisionError):
        Explore(lambda n: 1 / n, n=[0]).live()
    with pytest.raises(ZeroDivisionError):
        Explore(lambda n: f"{1 / n}", n=[1, 0]).static()


def test_an_explorer_shows_what_went_wrong_behind_the_slider():
    widget = Explore(lambda n: f"{1 / n}", n=[2, 0]).live()
    slider, view = widget.children
    assert (slider.value, view.value) == (2, "0.5")
    slider.value = 0
    assert "ZeroDivisionError: division by zero" in view.value


def test_the_numbers_of_a_slider_stand_in_order_and_it_begins_at_the_first_given():
    slider, _ = Explore(lambda n: str(n), n=[2, 3, 1]).live().children
    assert [value for _, value in slider.options] == [1, 2, 3]
    assert slider.value == 2


def test_an_explorer_describes_its_state_and_its_figure():
    (described,) = re.findall(r'alt="([^"]*)"', Explore(line, width=[3], style=["-"]).draw(width=3, style="-"))
    assert described.startswith("A line, width 3, style -. ")
    assert "from 0 at 0" in described


@pytest.mark.parametrize("grid", [{}, {"width": []}, {"width": [1]}, {"width": [1], "style": ["-"], "colour": ["red"]}])
def test_a_grid_that_does_not_fit_the_function_is_refused(grid):
    with pytest.raises(ValueError, match="grid must"):
        Explore(line, **grid)


# In a real kernel


@pytest.mark.slow
def test_a_notebook_checks_keeps_and_explores(course):
    """Source of notebook cells, helpers and imports included, and an explorer's widget."""
    cells = [
        f"""
        import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
        import torch
        import torch.nn.functional as F
        from functools import partial as bind
        from test_course import TOY
        from mini_moe.course import Explore, check, exercises
        exercises.EXERCISES = (TOY,)
        SCALE = 1.0
        x = torch.ones(3)
        """,
        """
        def total(x: torch.Tensor):
            return bind(F.relu, x)().sum(-1, keepdim=True) * SCALE
        """,
        """
        def normalise(x, eps):
            return x / (total(x) + eps)
        normalise = check(normalise)
        """,
        """
        def normalise(x, eps):
            return x / (total(x)
                        + y)
        normalise = check(normalise)
        """,
        """Explore(lambda n: f"<b>{n}</b>", n=[1, 2])""",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    passed, crashed, explorer = (cell.outputs[0]["data"] for cell in notebook.cells[2:])
    assert "kept in your portfolio, for" in passed["text/plain"]
    assert "line 3, `+ y)`" in crashed["text/plain"]
    assert "NameError: name 'y' is not defined" in crashed["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in explorer
    assert "n: 1, 2" in explorer["text/plain"]

    text = (course / "portfolio" / "normalise.py").read_text()
    assert text.index("import torch\n") < text.index("SCALE = 1.0") < text.index("def total") < text.index("def norm")
    assert "x = " not in text.partition("def total")[0]
    normalise = portfolio.load("normalise")
    assert torch.equal(normalise(torch.ones(1, 2), 0.0), torch.full((1, 2), 0.5))
    assert "def normalise" in inspect.getsource(normalise)


# The portfolio


def test_a_function_that_no_file_can_hold_is_not_kept_and_says_why(capsys):
    exec("def normalise(x, eps): return x / (x.sum(-1, keepdim=True) + eps)", space := {})
    assert check(space["normalise"]) is space["normalise"]
    assert "has no source" in capsys.readouterr().out
    with pytest.raises(ValueError, match="uses the global `DEVICE`"):
        portfolio.keep(needs_an_object)
    assert portfolio.kept() == []


DEVICE = object()


def needs_an_object():
    return DEVICE


def test_loading_what_is_not_kept_is_refused():
    with pytest.raises(ValueError, match="none yet"):
        portfolio.load("route")
