"""Trainings side by side, and the records of those that took longer than a lesson has."""
