"""Lesson 05, where does the speed go: asking each expert for its tokens, sorting, grouped products, tiles."""
