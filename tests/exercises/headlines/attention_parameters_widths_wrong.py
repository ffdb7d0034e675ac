"""Wrong answers to `attention_parameters`: widths mistaken for others, and what is counted beside or beyond."""

import numpy as np
import torch
from exercises.answers import Answers
from exercises.headlines.attention_parameters_parts import numbers, weights

from mini_moe.course.exercises.headlines.attention_parameters import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("queries left out")
def _(config):
    return numbers({name: shape for name, shape in weights(config).items() if not name.startswith("q")})


@wrong("latent left out")
def _(config):
    return numbers({name: shape for name, shape in weights(config).items() if name not in ("kv down", "kv norm")})


@wrong("queries without their rotated part", "straight ones only")
def _(config):
    shapes = weights(config)
    if "q" in shapes:
        shapes["q"] = config.hidden_size, config.num_attention_heads * config.qk_nope_head_dim
    return numbers(shapes)


@wrong("a latent where there is none", "as wide as D")
def _(config):
    return numbers(weights(config.replace(q_lora_rank=config.q_lora_rank or config.hidden_size)))


@wrong("a latent where there is none", "as wide as the other")
def _(config):
    return numbers(weights(config.replace(q_lora_rank=config.q_lora_rank or config.kv_lora_rank)))


@wrong("no queries without a latent")
def _(config):
    if config.q_lora_rank is None:
        return numbers(weights(config) | {"q": (0,)})
    return numbers(weights(config))


@wrong("a norm without a latent", "over D")
def _(config):
    norm = {"q norm": (config.hidden_size,)} if config.q_lora_rank is None else {}
    return numbers(weights(config) | norm)


@wrong("a norm without a latent", "over the heads")
def _(config):
    norm = {} if config.q_lora_rank else {"q norm": (config.num_attention_heads, config.qk_head_dim)}
    return numbers(weights(config) | norm)


@wrong("queries square", "straight ones")
def _(config):
    shapes = weights(config)
    if "q" in shapes:
        shapes["q"] = (config.hidden_size,) * 2
    return numbers(shapes)


@wrong("queries square", "whether or not there is a latent")
def _(config):
    shapes = {name: shape for name, shape in weights(config).items() if not name.startswith("q")}
    return numbers(shapes) + config.hidden_size**2


@wrong("one rotated query for all heads", "through the latent only")
def _(config):
    shapes, R = weights(config), config.qk_rope_head_dim
    if config.q_lora_rank:
        shapes["q up"] = config.q_lora_rank, config.num_attention_heads * config.qk_nope_head_dim + R
    return numbers(shapes)


@wrong("one rotated query for all heads")
def _(config):
    source = config.q_lora_rank or config.hidden_size
    return numbers(weights(config)) - (config.num_attention_heads - 1) * config.qk_rope_head_dim * source


@wrong("queries normed in the wrong place", "after the heads")
def _(config):
    shapes = weights(config)
    if "q norm" in shapes:
        shapes["q norm"] = (shapes["q up"][1],)
    return numbers(shapes)


@wrong("queries normed in the wrong place", "in each head")
def _(config):
    shapes = weights(config)
    if "q norm" in shapes:
        shapes["q norm"] = (config.qk_head_dim,)
    return numbers(shapes)


@wrong("values as wide as keys", "without their rotated part")
def _(config):
    return numbers(weights(config.replace(v_head_dim=config.qk_nope_head_dim)))


@wrong("output from the width of keys", "P")
def _(config):
    H, P, D = config.num_attention_heads, config.qk_nope_head_dim, config.hidden_size
    return numbers(weights(config) | {"out": (H, P, D)})


@wrong("output from the width of keys", "P + R")
def _(config):
    H, D = config.num_attention_heads, config.hidden_size
    return numbers(weights(config) | {"out": (D, H * config.qk_head_dim)})


@wrong("expansion with one width twice", "P")
def _(config):
    shapes = weights(config)
    return numbers(shapes | {"values up": shapes["keys up"]})


@wrong("expansion with one width twice", "W")
def _(config):
    shapes = weights(config)
    return numbers(shapes | {"keys up": shapes["values up"]})


@wrong("one station for one head only", "the output")
def _(config):
    return numbers(weights(config) | {"out": (config.v_head_dim, config.hidden_size)})


@wrong("one station for one head only", "the expansion")
def _(config):
    C = config.kv_lora_rank
    return numbers(weights(config) | {"keys up": (C, config.qk_nope_head_dim), "values up": (C, config.v_head_dim)})


@wrong("brackets missing", "in the expansion")
def _(config):
    shapes = weights(config)
    shapes["values up"] = (config.v_head_dim,)
    return numbers(shapes)


@wrong("brackets missing", "in the expansion, with C before them")
def _(config):
    return numbers(weights(config) | {"values up": (config.kv_lora_rank, config.v_head_dim)})


@wrong("brackets missing", "in the latent")
def _(config):
    latent = config.hidden_size * config.kv_lora_rank + config.qk_rope_head_dim
    return numbers(weights(config) | {"kv down": (latent,)})


@wrong("norms with a shift")
def _(config):
    return sum(numbers({name: shape}) * (2 if "norm" in name else 1) for name, shape in weights(config).items())


@wrong("norms of the layer counted", "the one before")
def _(config):
    return config.hidden_size + numbers(weights(config))


@wrong("norms of the layer counted", "both")
def _(config):
    norms = {"input norm": (config.hidden_size,), "post norm": (config.hidden_size,)}
    return numbers(weights(config) | norms)


@wrong("overflows 32 bits")
def _(config):
    sizes = [np.array(shape, dtype=np.int32).prod(dtype=np.int32) for shape in weights(config).values()]
    return np.array(sizes).sum(dtype=np.int32)


@wrong("too few digits")
def _(config):
    sizes = [torch.tensor(shape, dtype=torch.float32).prod() for shape in weights(config).values()]
    return int(torch.stack(sizes).sum())


@wrong("another unit", "millions")
def _(config):
    return numbers(weights(config)) / 1e6


@wrong("another unit", "bytes")
def _(config):
    return 2 * numbers(weights(config))


@wrong("off by a constant")
def _(config):
    return numbers(weights(config) | {"scale": (1,)})


@wrong("input not used", "the examples by heart")
def _(config):
    return 55_360 if config.q_lora_rank is None else 187_107_328


@wrong("input not used", "the head's width from D")
def _(config):
    wide = config.hidden_size // config.num_attention_heads
    return numbers(weights(config.replace(qk_nope_head_dim=max(1, wide), v_head_dim=max(1, wide))))


_counted = {}


@wrong("input not used", "kept from call to call by too little")
def _(config):
    return _counted.setdefault((config.hidden_size, config.num_attention_heads), numbers(weights(config)))


@wrong("qk_rope_head_dim miscounted", "two rotated keys")
def _(config):
    return numbers(weights(config) | {"rotated key, again": (config.hidden_size, config.qk_rope_head_dim)})


@wrong("q_lora_rank miscounted", "the key's latent made from the query's")
def _(config):
    source = config.q_lora_rank or config.hidden_size
    return numbers(weights(config) | {"kv down": (source, config.kv_lora_rank + config.qk_rope_head_dim)})


@wrong("raises TypeError", "None compared with a number")
def _(config):
    if config.q_lora_rank > 0:
        return numbers(weights(config))
    return numbers(weights(config.replace(q_lora_rank=None)))


@wrong("changes its input", "a field taken out of the configuration")
def _(config):
    fields = vars(config)
    rank = fields.pop("q_lora_rank")
    return numbers(weights(type(config)(**fields, q_lora_rank=rank)))
