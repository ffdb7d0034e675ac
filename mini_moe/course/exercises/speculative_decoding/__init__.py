"""Lesson 07, guess and verify: what drafts are worth, which of them stay, and how to draw in their place."""
