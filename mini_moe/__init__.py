"""Rebuild the techniques of efficient language models, join them to one trainable model, and measure it."""

from .config import ModelConfig
from .model import Transformer

__all__ = ["ModelConfig", "Transformer"]
