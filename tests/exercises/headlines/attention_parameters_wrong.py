"""Wrong answers to `attention_parameters`: what is left out, what is misunderstood."""

from exercises.answers import Answers

from mini_moe.course.exercises.headlines.attention_parameters import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("norms left out")
def _(config):
    d, h = config.hidden_size, config.num_attention_heads
    total = 0
    if config.q_lora_rank is None:
        total += d * h * config.qk_head_dim
    else:
        total += d * config.q_lora_rank
        total += config.q_lora_rank * h * config.qk_head_dim
    total += d * (config.kv_lora_rank + config.qk_rope_head_dim)
    total += config.kv_lora_rank * h * (config.qk_nope_head_dim + config.v_head_dim)
    total += h * config.v_head_dim * d
    return total


@wrong("norm of the query's latent left out")
def _(config):
    d, h, q = config.hidden_size, config.num_attention_heads, config.q_lora_rank
    queries = d * h * config.qk_head_dim if q is None else d * q + q * h * config.qk_head_dim
    latent = d * (config.kv_lora_rank + config.qk_rope_head_dim) + config.kv_lora_rank
    expansion = config.kv_lora_rank * h * (config.qk_nope_head_dim + config.v_head_dim)
    return queries + latent + expansion + h * config.v_head_dim * d


@wrong("norm of the latent left out")
def _(config):
    d, h, q, c = config.hidden_size, config.num_attention_heads, config.q_lora_rank, config.kv_lora_rank
    queries = d * h * config.qk_head_dim if q is None else d * q + q + q * h * config.qk_head_dim
    latent = d * (c + config.qk_rope_head_dim)
    return queries + latent + c * h * (config.qk_nope_head_dim + config.v_head_dim) + h * config.v_head_dim * d


@wrong("rotated key normed")
def _(config):
    d, h, q, c = config.hidden_size, config.num_attention_heads, config.q_lora_rank, config.kv_lora_rank
    queries = d * h * config.qk_head_dim if q is None else d * q + q + q * h * config.qk_head_dim
    wide = c + config.qk_rope_head_dim
    latent = d * wide + wide
    return queries + latent + c * h * (config.qk_nope_head_dim + config.v_head_dim) + h * config.v_head_dim * d


@wrong("query compression ignored")
def _(config):
    D = config.hidden_size
    H = config.num_attention_heads
    wq = D * H * (config.qk_nope_head_dim + config.qk_rope_head_dim)
    w_down = D * (config.kv_lora_rank + config.qk_rope_head_dim)
    norm = config.kv_lora_rank
    w_up = config.kv_lora_rank * H * (config.qk_nope_head_dim + config.v_head_dim)
    wo = H * config.v_head_dim * D
    return wq + w_down + norm + w_up + wo


@wrong("queries without their rotated part")
def _(config):
    D, H, C, P, R, W, Q = (
        config.hidden_size, config.num_attention_heads, config.kv_lora_rank, config.qk_nope_head_dim,
        config.qk_rope_head_dim, config.v_head_dim, config.q_lora_rank,
    )  # fmt: skip
    sizes = [D * (C + R), C, C * H * P, C * H * W, H * W * D]
    sizes += [D * Q, Q, Q * H * P] if Q else [D * H * P]
    return sum(sizes)


@wrong("rotated key for every head")
def _(config):
    D, H, Q = config.hidden_size, config.num_attention_heads, config.q_lora_rank
    per_head_rope = H * config.qk_rope_head_dim
    per_head_nope = H * config.qk_nope_head_dim
    n = (D * Q + Q + Q * (per_head_rope + per_head_nope)) if Q else D * (per_head_rope + per_head_nope)
    n += D * config.kv_lora_rank + D * per_head_rope + config.kv_lora_rank
    n += config.kv_lora_rank * (per_head_nope + H * config.v_head_dim)
    return n + D * H * config.v_head_dim


@wrong("rotated key left out")
def _(config):
    def linear(m, n):
        return m * n

    D, C, heads = config.hidden_size, config.kv_lora_rank, config.num_attention_heads
    q_out = heads * config.qk_head_dim
    if config.q_lora_rank is not None:
        q = linear(D, config.q_lora_rank) + config.q_lora_rank + linear(config.q_lora_rank, q_out)
    else:
        q = linear(D, q_out)
    kv = linear(D, C) + C + linear(C, heads * config.qk_nope_head_dim) + linear(C, heads * config.v_head_dim)
    return q + kv + linear(heads * config.v_head_dim, D)


@wrong("rotated key expanded")
def _(config):
    D, C, heads = config.hidden_size, config.kv_lora_rank, config.num_attention_heads
    count = D * (C + config.qk_rope_head_dim) + C
    if config.q_lora_rank is None:
        count += D * heads * config.qk_head_dim
    else:
        count += config.q_lora_rank * (D + 1 + heads * config.qk_head_dim)
    for _ in range(heads):
        count += C * config.qk_head_dim  # key
        count += C * config.v_head_dim  # value
    return count + heads * config.v_head_dim * D


@wrong("values not expanded")
def _(config):
    D, C, H = config.hidden_size, config.kv_lora_rank, config.num_attention_heads
    lora = config.q_lora_rank
    q = D * H * config.qk_head_dim if not lora else lora * (D + H * config.qk_head_dim) + lora
    return q + D * (C + config.qk_rope_head_dim) + C + C * H * config.qk_nope_head_dim + H * config.v_head_dim * D


@wrong("keys not expanded")
def _(config):
    D, C, H = config.hidden_size, config.kv_lora_rank, config.num_attention_heads
    lora = config.q_lora_rank
    q = D * H * config.qk_head_dim if not lora else lora * (D + H * config.qk_head_dim) + lora
    values = H * config.v_head_dim
    return q + D * (C + config.qk_rope_head_dim) + C + C * values + values * D


@wrong("expansion left out")
def _(config):
    D, H = config.hidden_size, config.num_attention_heads
    q_size = H * (config.qk_nope_head_dim + config.qk_rope_head_dim)
    if config.q_lora_rank is None:
        query = D * q_size
    else:
        query = D * config.q_lora_rank + config.q_lora_rank * q_size + config.q_lora_rank
    key_value = D * (config.kv_lora_rank + config.qk_rope_head_dim) + config.kv_lora_rank
    out = H * config.v_head_dim * D
    return query + key_value + out


@wrong("output projection left out")
def _(config):
    D, H = config.hidden_size, config.num_attention_heads
    q_size = H * (config.qk_nope_head_dim + config.qk_rope_head_dim)
    if config.q_lora_rank is None:
        query = D * q_size
    else:
        query = D * config.q_lora_rank + config.q_lora_rank * q_size + config.q_lora_rank
    key_value = D * (config.kv_lora_rank + config.qk_rope_head_dim) + config.kv_lora_rank
    key_value += config.kv_lora_rank * H * (config.qk_nope_head_dim + config.v_head_dim)
    return query + key_value


@wrong("output square")
def _(config):
    D, H, C = config.hidden_size, config.num_attention_heads, config.kv_lora_rank
    Q = config.q_lora_rank
    query = D * H * config.qk_head_dim if Q is None else D * Q + Q + Q * H * config.qk_head_dim
    latent = D * (C + config.qk_rope_head_dim) + C
    up = C * H * (config.qk_nope_head_dim + config.v_head_dim)
    w_o = D * D
    return query + latent + up + w_o


@wrong("values as wide as keys")
def _(config):
    D, H, C = config.hidden_size, config.num_attention_heads, config.kv_lora_rank
    head_dim = config.qk_head_dim
    Q = config.q_lora_rank
    query = D * H * head_dim if Q is None else D * Q + Q + Q * H * head_dim
    return (
        query + D * (C + config.qk_rope_head_dim) + C + C * H * (config.qk_nope_head_dim + head_dim) + H * head_dim * D
    )


@wrong("plain multi-head attention")
def _(config):
    w_q = w_k = w_v = w_o = config.hidden_size * config.hidden_size
    return w_q + w_k + w_v + w_o


@wrong("one head only")
def _(config):
    D, C, P, R = config.hidden_size, config.kv_lora_rank, config.qk_nope_head_dim, config.qk_rope_head_dim
    W, Q = config.v_head_dim, config.q_lora_rank
    queries = D * (P + R) if Q is None else D * Q + Q + Q * (P + R)
    return queries + D * (C + R) + C + C * (P + W) + W * D


@wrong("all layers")
def _(config):
    D, H, C, R = config.hidden_size, config.num_attention_heads, config.kv_lora_rank, config.qk_rope_head_dim
    total = 0
    for _layer in range(config.num_hidden_layers):
        if config.q_lora_rank is None:
            total += D * H * config.qk_head_dim
        else:
            total += config.q_lora_rank * (D + 1 + H * config.qk_head_dim)
        total += D * (C + R) + C + C * H * (config.qk_nope_head_dim + config.v_head_dim) + H * config.v_head_dim * D
    return total


@wrong("biases counted")
def _(config):
    def linear(m, n):
        return m * n + n

    D, H, C, R = config.hidden_size, config.num_attention_heads, config.kv_lora_rank, config.qk_rope_head_dim
    if config.q_lora_rank is None:
        n = linear(D, H * config.qk_head_dim)
    else:
        n = linear(D, config.q_lora_rank) + config.q_lora_rank + linear(config.q_lora_rank, H * config.qk_head_dim)
    n += linear(D, C + R) + C + linear(C, H * (config.qk_nope_head_dim + config.v_head_dim))
    return n + linear(H * config.v_head_dim, D)


@wrong("raises TypeError", "q_lora_rank taken for a number")
def _(config):
    D, H, C = config.hidden_size, config.num_attention_heads, config.kv_lora_rank
    queries = D * config.q_lora_rank + config.q_lora_rank + config.q_lora_rank * H * config.qk_head_dim
    latent = D * (C + config.qk_rope_head_dim) + C
    return queries + latent + C * H * (config.qk_nope_head_dim + config.v_head_dim) + H * config.v_head_dim * D


@wrong("raises AttributeError", "a field that is not there")
def _(config):
    return 4 * config.hidden_size * config.num_heads * config.head_dim


@wrong("returns None", "printed")
def _(config):
    print(4 * config.hidden_size**2)


@wrong("wrong type", "the parts")
def _(config):
    D, H, C = config.hidden_size, config.num_attention_heads, config.kv_lora_rank
    return D * H * config.qk_head_dim, D * (C + config.qk_rope_head_dim), H * config.v_head_dim * D
