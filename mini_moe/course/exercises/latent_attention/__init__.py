"""Lesson 02, why is a long context cheap: what a cache costs, and attention that remembers a small latent per token."""
