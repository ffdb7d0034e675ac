"""What the tests of all exercises share: answers as learners write them, and what must hold of them.

An exercise's file makes an `Answers`, marks functions with its ``wrong`` and ``right``, and inherits `Claims`. Where a
file would grow long, further answers stand in another beside it, with an `Answers` of their own, and are added.
"""

import dataclasses
import functools

import pytest
import torch

from mini_moe.course.checking import diagnose
from mini_moe.course.checking.examine import card_of, examine
from mini_moe.course.checking.observe import same_outputs, unlike_gradients

SEEDS = (1, 20, 300)


class Answers:
    """Answers to one exercise."""

    def __init__(self, exercise, wrongs=(), rights=()):
        self.exercise = exercise
        self.wrongs = list(wrongs)  # (name of the mistake, function, id)
        self.rights = list(rights)  # (function, how it is written)

    def wrong(self, mistake, how=""):
        """Mark a function as an answer that makes ``mistake``; ``how`` tells it from others that make it, too."""
        label = mistake + (f", {how}" if how else "")
        return lambda function: self.wrongs.append((mistake, function, label))

    def right(self, how):
        """Mark a function as a right answer, written as ``how`` says."""
        return lambda function: self.rights.append((function, how))

    def making(self, mistake):
        """The first answer that makes ``mistake``."""
        return next(function for name, function, _ in self.wrongs if name == mistake)

    def __add__(self, other):
        return Answers(self.exercise, self.wrongs + other.wrongs, self.rights + other.rights)


class Claims:
    """Tests, to be inherited with ``answers`` set."""

    answers: Answers

    def pytest_generate_tests(self, metafunc):
        for name, values in ("wrong", self.answers.wrongs), ("right", self.answers.rights):
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, [pytest.param(value[:-1], id=value[-1]) for value in values])

    @pytest.fixture
    def exercise(self):
        return self.answers.exercise

    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch):
        """Do once what is the same for all answers, and on one thread, for the tensors are small."""
        monkeypatch.setattr(diagnose, "attempt", _attempt_once)
        # torch.manual_seed formats the whole stack for a CUDA that may yet start: half of the time of these tests.
        monkeypatch.setattr(torch, "manual_seed", torch.default_generator.manual_seed)
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    def test_a_wrong_answer_is_named(self, exercise, wrong):
        mistake, function = wrong
        verdict = examine(drawn(exercise, SEEDS[0]), function)
        assert (verdict.status, verdict.mistake) == ("wrong", mistake), str(card_of(verdict, ""))
        declared = {known.name: known.says for known in exercise.mistakes}
        assert verdict.says == declared.get(mistake, verdict.says)

    def test_a_right_answer_passes(self, exercise, right):
        (function,) = right
        verdict = examine(drawn(exercise, SEEDS[0]), function)
        assert verdict.status == "passed", str(card_of(verdict, ""))

    @pytest.mark.parametrize("seed", SEEDS[1:])
    def test_the_verdict_does_not_depend_on_the_inputs_drawn(self, exercise, seed):
        for mistake, function, label in self.answers.wrongs:
            assert examine(drawn(exercise, seed), function).mistake == mistake, label
        for function, label in self.answers.rights:
            assert examine(drawn(exercise, seed), function).status == "passed", label

    def test_no_two_mistakes_look_alike(self, exercise):
        for seed in SEEDS:
            cases = drawn(exercise, seed).cases(None)
            seen = [
                (mistake.name, [_attempt_once(mistake.function, case) for case in cases])
                for mistake in exercise.mistakes
            ]
            right = [_attempt_once(exercise.reference, case) for case in cases]
            for i, (name, one) in enumerate(seen):
                assert None in one or not _alike(one, right), f"{name} looks right, seed {seed}"
                for other_name, other in seen[:i]:
                    only_stops = any(None in mistake and _alike(mistake, right) for mistake in (one, other))
                    alike = _alike(one, other) and not (only_stops and _stops(one) != _stops(other))
                    assert name == other_name or not alike, f"{name} and {other_name}, seed {seed}"

    def test_an_exercise_has_enough_answers_and_each_of_its_mistakes_is_made(self, exercise):
        assert len(self.answers.wrongs) >= 5, "at least five wrong answers, each marked @wrong(name of its mistake)"
        assert len(self.answers.rights) >= 3, "at least three right answers, each written in another way, marked @right"
        made = {mistake for mistake, _, _ in self.answers.wrongs}
        assert {mistake.name for mistake in exercise.mistakes} - made == set()

    def test_a_diagnosis_is_a_sentence_that_fits_a_card(self, exercise):
        for mistake in exercise.mistakes:
            assert mistake.says[-1] in ".)" and mistake.says.count("`") % 2 == 0, mistake.says
            assert len(mistake.says) <= 240, mistake.says

    def test_its_hints_are_written(self, exercise):
        assert "..." not in exercise.hints, "three hints, each more direct than the one before"

    def test_a_card_shows_the_whole_of_a_small_input(self, exercise):
        assert exercise.mistakes, "the mistakes that people make, each a function and what to tell who made it"
        verdict = examine(drawn(exercise, SEEDS[0]), exercise.mistakes[0].function)
        assert verdict.case is not None
        card = str(card_of(verdict, ""))
        assert "..." not in card.replace(verdict.says, "")
        assert max(map(len, card.replace(verdict.says, "").splitlines())) <= 80


@functools.cache
def drawn(exercise, seed):
    """The exercise with cases drawn once, from ``seed`` and not from the source of the answer."""
    cases = list(exercise.cases(torch.Generator().manual_seed(seed)))
    return dataclasses.replace(exercise, cases=lambda generator: cases)


_attempt = diagnose.attempt
_attempted = {}


def _attempt_once(function, case):
    """What each function did on each case of `drawn`, which lives on: all answers are held against all mistakes."""
    if (function, id(case)) not in _attempted:
        _attempted[function, id(case)] = _attempt(function, case)
    return _attempted[function, id(case)]


def _alike(one, other):
    """Whether two functions cannot be told apart by any case on which both run."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a and b]
    return all(same_outputs(a, b) and not unlike_gradients(a, b) for a, b in pairs)


def _stops(observations):
    """The cases on which a function stops."""
    return [number for number, seen in enumerate(observations) if seen is None]
