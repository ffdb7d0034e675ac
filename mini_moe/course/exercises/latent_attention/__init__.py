"""Lesson 02, why is a long context cheap: what a cache costs, and attention that remembers one small latent per token."""
