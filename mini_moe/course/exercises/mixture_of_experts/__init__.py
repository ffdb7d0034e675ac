"""Lesson 03, more parameters for the same work: affinities, choosing experts, their mixture, and splitting them."""
