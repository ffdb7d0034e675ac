"""Lesson 00, what did it cost: counting parameters, memory, operations and dollars."""
