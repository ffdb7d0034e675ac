"""Rebuild the techniques of efficient language models, join them to one trainable model, and measure it."""

from mini_moe.config import ModelConfig
from mini_moe.model import Transformer

__all__ = ["ModelConfig", "Transformer"]
