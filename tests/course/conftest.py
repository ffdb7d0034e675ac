"""The course has one exercise, the toy, and a home of its own."""

import pytest
from course.toy import TOY

from mini_moe.course import exercises


@pytest.fixture(autouse=True)
def course(monkeypatch, tmp_path):
    monkeypatch.setattr(exercises, "EXERCISES", (TOY,))
    monkeypatch.setenv("MINI_MOE_HOME", str(tmp_path))
    monkeypatch.delenv("MINI_MOE_GRADING", raising=False)
    monkeypatch.delenv("MINI_MOE_BOOK", raising=False)
    return tmp_path
