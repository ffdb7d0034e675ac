"""Wrong answers to `kv_cache_bytes_per_token`: brackets, defaults, bytes and what is written in."""

from exercises.answers import Answers

from mini_moe.course.exercises.headlines.kv_cache_bytes_per_token import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("another default", "4 bytes")
def _(config, bytes_per_element=4):
    return config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element


@wrong("another default", "1 byte")
def _(config, bytes_per_element=1):
    width = config.kv_lora_rank + config.qk_rope_head_dim
    return config.num_hidden_layers * width * bytes_per_element


@wrong("another default", "none")
def _(config, bytes_per_element):
    return config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element


@wrong("the part without position kept")
def _(config, bytes_per_element=2):
    return config.num_hidden_layers * (config.kv_lora_rank + config.qk_nope_head_dim) * bytes_per_element


@wrong("the whole key kept")
def _(config, bytes_per_element=2):
    key = config.qk_nope_head_dim + config.qk_rope_head_dim
    return bytes_per_element * config.num_hidden_layers * (config.kv_lora_rank + key)


@wrong("half of the rotated key")
def _(config, bytes_per_element=2):
    pairs = config.qk_rope_head_dim // 2
    return bytes_per_element * config.num_hidden_layers * (config.kv_lora_rank + pairs)


@wrong("layers of experts only")
def _(config, bytes_per_element=2):
    width = config.kv_lora_rank + config.qk_rope_head_dim
    return sum(width * bytes_per_element for _ in range(config.first_k_dense_replace, config.num_hidden_layers))


@wrong("brackets missing", "around the sum")
def _(config, bytes_per_element=2):
    return config.num_hidden_layers * config.kv_lora_rank + config.qk_rope_head_dim * bytes_per_element


@wrong("brackets missing", "the bytes on the key alone")
def _(config, bytes_per_element=2):
    return config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim * bytes_per_element)


@wrong("brackets missing", "the layers on the latent alone")
def _(config, bytes_per_element=2):
    numbers = config.num_hidden_layers * config.kv_lora_rank + config.qk_rope_head_dim
    return numbers * bytes_per_element


@wrong("the key always in two bytes")
def _(config, bytes_per_element=2):
    latent, key = config.kv_lora_rank * bytes_per_element, config.qk_rope_head_dim * 2
    return config.num_hidden_layers * (latent + key)


@wrong("bytes taken for bits", "rounded down")
def _(config, bytes_per_element=2):
    bits = config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element
    return bits // 8


@wrong("bytes taken for bits")
def _(config, bytes_per_element=2):
    return config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element / 8


@wrong("at least two bytes")
def _(config, bytes_per_element=2):
    size = 2 if bytes_per_element == 1 else bytes_per_element
    return config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * size


@wrong("heads change the cache", "shared out among them")
def _(config, bytes_per_element=2):
    width = config.kv_lora_rank + config.qk_rope_head_dim
    return config.num_hidden_layers * width * bytes_per_element // config.num_attention_heads


@wrong("bytes_per_element miscounted", "a header for each token")
def _(config, bytes_per_element=2):
    return 8 + config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element


@wrong("kv_lora_rank miscounted", "a layer too many")
def _(config, bytes_per_element=2):
    return (config.num_hidden_layers + 1) * (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element


@wrong("kv_lora_rank miscounted", "rows padded")
def _(config, bytes_per_element=2):
    width = config.kv_lora_rank + config.qk_rope_head_dim
    return config.num_hidden_layers * (width + -width % 16) * bytes_per_element


@wrong("v_head_dim miscounted", "a value kept beside the latent")
def _(config, bytes_per_element=2):
    width = config.kv_lora_rank + config.qk_rope_head_dim + config.v_head_dim
    return config.num_hidden_layers * width * bytes_per_element


@wrong("another unit", "mebibytes")
def _(config, bytes_per_element=2):
    return config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element / 2**20


@wrong("input not used", "the published widths")
def _(config, bytes_per_element=2):
    return config.num_hidden_layers * (512 + 64) * bytes_per_element


@wrong("input not used", "the rotated key an eighth of the latent, as published")
def _(config, bytes_per_element=2):
    return config.num_hidden_layers * config.kv_lora_rank * 9 // 8 * bytes_per_element


_kept = {}


@wrong("input not used", "kept from call to call, whatever the bytes")
def _(config, bytes_per_element=2):
    size = config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element
    return _kept.setdefault(config, size)


@wrong("refuses a legal input", "one byte")
def _(config, bytes_per_element=2):
    if bytes_per_element < 2:
        raise ValueError(f"bytes_per_element must be 2 or more, got {bytes_per_element}.")
    return config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element
