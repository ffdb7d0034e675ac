"""Lesson 00, what did it cost: counting parameters, memory and operations, and what part of their peak GPUs reached."""
