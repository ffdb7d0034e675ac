"""Two exercises of lesson 00 as a notebook that nbgrader runs in seconds: open, wrong or solved."""

from pathlib import Path

import nbformat

LESSON = Path(__file__).parent.parent / "lessons" / "00_headlines.ipynb"
CELLS = ("setup", "kv-cache", "check-kv-cache-bytes-per-token", "training-dollars", "check-training-dollars")

WRONG_CACHE = """def kv_cache_bytes_per_token(config: ModelConfig, bytes_per_element: int = 2) -> int:
    heads = config.num_attention_heads
    return config.num_hidden_layers * heads * (config.qk_head_dim + config.v_head_dim) * bytes_per_element
"""
RIGHT_CACHE = """def kv_cache_bytes_per_token(config: ModelConfig, bytes_per_element: int = 2) -> int:
    numbers = config.kv_lora_rank + config.qk_rope_head_dim
    return numbers * bytes_per_element * config.num_hidden_layers
"""
RIGHT_DOLLARS = """def training_dollars(gpu_hours: float, dollars_per_hour: float) -> float:
    return dollars_per_hour * gpu_hours
"""
ANSWERS = {  # by cell; a cell that is not named is left as the lesson has it
    "open": {},
    "wrong": {"kv-cache": WRONG_CACHE, "training-dollars": RIGHT_DOLLARS},
    "solved": {"kv-cache": RIGHT_CACHE, "training-dollars": RIGHT_DOLLARS},
}


def write_worksheet(path, state):
    """Write the notebook in the ``state`` that `ANSWERS` names to the file ``path``."""
    notebook = nbformat.read(LESSON, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id in CELLS]
    for cell in notebook.cells:
        cell.source = ANSWERS[state].get(cell.id, cell.source)
    nbformat.write(notebook, path)
