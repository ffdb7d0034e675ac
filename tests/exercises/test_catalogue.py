"""What holds of every exercise and every quiz, whatever it asks."""

from pathlib import Path

import pytest

from mini_moe.course import exercises

COURSE, TESTS = Path(exercises.__file__).parent, Path(__file__).parent
PLACES = sorted(
    path.relative_to(COURSE) for path in COURSE.glob("*/*.py") if "\nEXERCISE = " in path.read_text("utf-8")
)


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_an_exercise_bears_the_name_of_its_file_and_has_answers(place):
    assert exercises.find(place.stem).reference.__name__ == place.stem
    assert (TESTS / place.parent / f"test_{place.name}").exists()


def test_every_exercise_has_a_file_of_its_own():
    assert sorted(exercise.name for exercise in exercises.EXERCISES) == sorted(place.stem for place in PLACES)


@pytest.mark.parametrize("folder", (COURSE, TESTS), ids=("course", "tests"))
def test_a_file_of_exercises_can_be_read_at_one_sitting(folder):
    lengths = {path.relative_to(folder): len(path.read_text("utf-8").splitlines()) for path in folder.rglob("*.py")}
    assert {path: lines for path, lines in lengths.items() if lines > 300} == {}


@pytest.mark.parametrize("quiz", exercises.QUIZZES, ids=lambda quiz: quiz.name)
def test_a_quiz_has_one_right_option_and_explains_each(quiz):
    assert [option.right for option in quiz.options].count(True) == 1
    assert len(quiz.options) >= 3
    for option in quiz.options:
        assert option.text.strip() and option.says.strip().endswith(".")
