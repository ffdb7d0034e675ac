"""Lesson 01, how well can a small model predict real code: the parts of a Transformer, and bits per byte."""
