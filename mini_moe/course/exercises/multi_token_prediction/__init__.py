"""Lesson 06, guessing further: a module that predicts one token more, its loss, and when its guess is accepted."""
