"""Lesson 04, what keeps experts busy: counting their load, a loss within each sequence, and a bias that steers."""
