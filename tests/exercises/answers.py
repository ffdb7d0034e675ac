"""What the tests of all lessons' exercises share: answers as learners write them, and what must hold of them.

A lesson's file makes an `Answers`, marks functions with its ``wrong`` and ``right``, and inherits `Claims`.
"""

import dataclasses
import functools

import pytest
import torch

from mini_moe.course import diagnose
from mini_moe.course.check import card_of, examine
from mini_moe.course.observe import same_outputs, unlike_gradients

SEEDS = (1, 20, 300)


class Answers:
    """The answers to the exercises of one lesson, given as its module."""

    def __init__(self, lesson):
        self.exercises, self.quizzes = lesson.EXERCISES, lesson.QUIZZES
        self.wrongs, self.rights = [], []  # (exercise, name of the mistake or of the answer, function), then an id

    def wrong(self, exercise, mistake, how=""):
        """Mark a function as an answer that makes ``mistake``; ``how`` tells it from others that make it, too."""
        label = f"{exercise.name}-{mistake}" + (f", {how}" if how else "")
        return lambda function: self.wrongs.append((exercise, mistake, function, label))

    def right(self, exercise, how):
        """Mark a function as a right answer, written as ``how`` says."""
        return lambda function: self.rights.append((exercise, how, function, f"{exercise.name}-{how}"))


class Claims:
    """Tests, to be inherited with ``answers`` set."""

    answers: Answers

    def pytest_generate_tests(self, metafunc):
        named = {
            "wrong": [(answer[:3], answer[3]) for answer in self.answers.wrongs],
            "right": [(answer[:3], answer[3]) for answer in self.answers.rights],
            "exercise": [(exercise, exercise.name) for exercise in self.answers.exercises],
            "quiz": [(quiz, quiz.name) for quiz in self.answers.quizzes],
        }
        for name, values in named.items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, [pytest.param(value, id=label) for value, label in values])

    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch):
        """Do once what is the same for all answers, and on one thread, for the tensors are small."""
        monkeypatch.setattr(diagnose, "_survives", _survives_once)
        # torch.manual_seed formats the whole stack for a CUDA that may yet start: half of the time of these tests.
        monkeypatch.setattr(torch, "manual_seed", torch.default_generator.manual_seed)
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    def test_a_wrong_answer_is_named(self, wrong):
        exercise, mistake, function = wrong
        verdict = examine(drawn(exercise, SEEDS[0]), function)
        assert (verdict.status, verdict.mistake) == ("wrong", mistake), str(card_of(verdict, ""))
        declared = {known.name: known.says for known in exercise.mistakes}
        assert verdict.says == declared.get(mistake, verdict.says)

    def test_a_right_answer_passes(self, right):
        exercise, _, function = right
        verdict = examine(drawn(exercise, SEEDS[0]), function)
        assert verdict.status == "passed", str(card_of(verdict, ""))

    @pytest.mark.parametrize("seed", SEEDS[1:])
    def test_the_verdict_does_not_depend_on_the_inputs_drawn(self, exercise, seed):
        for other, mistake, function, label in self.answers.wrongs:
            if other is exercise:
                assert examine(drawn(exercise, seed), function).mistake == mistake, label
        for other, _, function, label in self.answers.rights:
            if other is exercise:
                assert examine(drawn(exercise, seed), function).status == "passed", label

    def test_no_two_mistakes_look_alike(self, exercise):
        for seed in SEEDS:
            cases = drawn(exercise, seed).cases(None)
            seen = [
                (mistake.name, [_survives_once(mistake.function, case) for case in cases])
                for mistake in exercise.mistakes
            ]
            right = [_survives_once(exercise.reference, case) for case in cases]
            for i, (name, one) in enumerate(seen):
                assert not _alike(one, right), f"{name} looks right, seed {seed}"
                for other_name, other in seen[:i]:
                    assert name == other_name or not _alike(one, other), f"{name} and {other_name}, seed {seed}"

    def test_an_exercise_has_enough_answers_and_each_of_its_mistakes_is_made(self, exercise):
        wrong = [mistake for other, mistake, _, _ in self.answers.wrongs if other is exercise]
        right = [how for other, how, _, _ in self.answers.rights if other is exercise]
        assert len(wrong) >= 5 and len(right) >= 2
        assert {mistake.name for mistake in exercise.mistakes} - set(wrong) == set()

    def test_a_diagnosis_is_a_sentence_that_fits_a_card(self, exercise):
        for mistake in exercise.mistakes:
            assert mistake.says[-1] in ".)" and mistake.says.count("`") % 2 == 0, mistake.says
            assert len(mistake.says) <= 240, mistake.says

    def test_a_card_shows_the_whole_of_a_small_input(self, exercise):
        verdict = examine(drawn(exercise, SEEDS[0]), exercise.mistakes[0].function)
        assert verdict.case is not None
        card = str(card_of(verdict, ""))
        assert "..." not in card.replace(verdict.says, "")
        assert max(map(len, card.replace(verdict.says, "").splitlines())) <= 80

    def test_a_quiz_has_one_right_option_and_explains_each(self, quiz):
        assert [option.right for option in quiz.options].count(True) == 1
        assert len(quiz.options) >= 3
        for option in quiz.options:
            assert option.text.strip() and option.says.strip().endswith(".")


@functools.cache
def drawn(exercise, seed):
    """The exercise with cases drawn once, from ``seed`` and not from the source of the answer."""
    cases = list(exercise.cases(torch.Generator().manual_seed(seed)))
    return dataclasses.replace(exercise, cases=lambda generator: cases)


_survives = diagnose._survives
_survived = {}


def _survives_once(function, case):
    """What each function did on each case of `drawn`, which lives on: all answers are held against all mistakes."""
    if (function, id(case)) not in _survived:
        _survived[function, id(case)] = _survives(function, case)
    return _survived[function, id(case)]


def _alike(one, other):
    """Whether two functions cannot be told apart by any case on which both run."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a and b]
    return all(same_outputs(a, b) and not unlike_gradients(a, b) for a, b in pairs)
