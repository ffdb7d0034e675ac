"""Two exercises of lesson 00 as a notebook that nbgrader runs in seconds: open, wrong or solved."""

from pathlib import Path

import nbformat

LESSON = Path(__file__).parent.parent / "lessons" / "00_headlines.ipynb"
CELLS = ("setup", "kv-cache", "check-kv-cache-bytes-per-token", "utilization", "check-utilization")

WRONG_CACHE = """def kv_cache_bytes_per_token(config: ModelConfig, bytes_per_element: int = 2) -> int:
    heads = config.num_attention_heads
    return config.num_hidden_layers * heads * (config.qk_head_dim + config.v_head_dim) * bytes_per_element
"""
RIGHT_CACHE = """def kv_cache_bytes_per_token(config: ModelConfig, bytes_per_element: int = 2) -> int:
    numbers = config.kv_lora_rank + config.qk_rope_head_dim
    return numbers * bytes_per_element * config.num_hidden_layers
"""
RIGHT_UTILIZATION = """def utilization(flops: float, gpu_hours: float, flops_per_second: float) -> float:
    return flops / gpu_hours / 3600 / flops_per_second
"""
ANSWERS = {  # by cell; a cell that is not named is left as the lesson has it
    "open": {},
    "wrong": {"kv-cache": WRONG_CACHE, "utilization": RIGHT_UTILIZATION},
    "solved": {"kv-cache": RIGHT_CACHE, "utilization": RIGHT_UTILIZATION},
}


def write_worksheet(path, state):
    """Write the notebook in the ``state`` that `ANSWERS` names to the file ``path``."""
    notebook = nbformat.read(LESSON, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id in CELLS]
    for cell in notebook.cells:
        cell.source = ANSWERS[state].get(cell.id, cell.source)
    nbformat.write(notebook, path)
