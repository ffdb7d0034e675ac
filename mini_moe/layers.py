"""The parts that every modern Transformer shares: RMSNorm, rotary embedding, causal attention, SwiGLU.

Each is a pure function first, a few lines that one can check by hand, and a small module around it where
there are weights to hold. Lesson 01 writes these functions.

Letters: B batch, T tokens of a sequence, S positions that can be looked at (S >= T), H heads,
D model width, I inner width, R rotated features of a head.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mini_moe.config import Yarn
from mini_moe.fused import RMSNormFunction


def rms_norm(x: Tensor, weight: Tensor, eps: float = 1e-6) -> Tensor:
    """Scale each feature vector to root mean square 1, then each feature by its weight.

        y = weight * x / sqrt(mean(x^2) + eps)

    Args:
        x: (..., D), any floating type; the mean is taken in float32 at least.
        weight: (D,)
        eps: keeps an all-zero vector from dividing by zero.

    Returns:
        (..., D), in the type of x.

    Source: Zhang and Sennrich, arXiv 1910.07467, equation 4.

    >>> x = torch.tensor([3.0, 4.0])  # root mean square: sqrt((9 + 16) / 2)
    >>> rms_norm(x, torch.ones(2), eps=0.0)
    tensor([0.8485, 1.1314])
    """
    wide = x if x.dtype == torch.float64 else x.float()
    normed = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + eps)
    return (weight * normed).to(x.dtype)


def rotary_angles(positions: Tensor, features: int, theta: float, yarn: Yarn | None = None) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angle by which each pair of features turns at each position.

        angle[t, i] = positions[t] * theta^(-2 i / features)

    Args:
        positions: (T,) integers.
        features: R, the features that rotate; even.
        theta: the base of the wavelengths.
        yarn: where the context was stretched, how; the slow pairs then turn slower still (``stretch``).

    Returns:
        cos, sin: (T, R / 2), float32.

    Source: Su et al., arXiv 2104.09864, section 3.2.2.

    >>> cos, sin = rotary_angles(torch.arange(3), features=4, theta=10000.0)
    >>> cos[1]  # the first pair turns by 1 radian per token, the second by a hundredth
    tensor([0.5403, 0.9999])
    """
    pair = torch.arange(0, features, 2, device=positions.device, dtype=torch.float32)
    speed = theta ** (-pair / features)
    angles = positions.float()[:, None] * (speed if yarn is None else stretch(speed, theta, yarn))
    return angles.cos(), angles.sin()


def stretch(speed: Tensor, theta: float, yarn: Yarn) -> Tensor:
    """Slow the rotation down for a context that is ``factor`` times longer, but only where it is slow already.

        turns_i = original_max_position_embeddings * speed_i / (2 pi)
        speed_i              where turns_i > beta_fast: many times around, every angle was met in training
        speed_i / factor     where turns_i < beta_slow: not once around, further on come angles never met
        a mean of both       between, by weights that go in a straight line from pair to pair

    The line begins and ends at whole pairs: the last one above ``beta_fast`` and the first one below ``beta_slow``.

    Args:
        speed: (R / 2,), radians per token: theta^(-2 i / R).
        theta: the base of the wavelengths; above 1.
        yarn: by how much the context grows, and which pairs are slowed down.

    Returns:
        (R / 2,), radians per token.

    Source: Peng et al., arXiv 2309.00071, section 3.2. Departure: there the line goes by turns,
    not by pairs; by pairs it goes in the published code and model.

    >>> yarn = Yarn(factor=10, original_max_position_embeddings=628, beta_fast=50)
    >>> stretch(torch.tensor([1.0, 0.1, 0.01, 0.001]), 10_000.0, yarn)  # about 100, 10, 1 and 0.1 turns
    tensor([1.0000e+00, 5.5000e-02, 1.0000e-03, 1.0000e-04])
    """
    features = 2 * len(speed)

    def pair_with(turns):
        return features / 2 * math.log(yarn.original_max_position_embeddings / (2 * math.pi * turns), theta)

    first, last = max(math.floor(pair_with(yarn.beta_fast)), 0), min(math.ceil(pair_with(yarn.beta_slow)), features - 1)
    slow = (torch.arange(len(speed), device=speed.device, dtype=speed.dtype) - first) / max(last - first, 1e-3)
    return speed.lerp(speed / yarn.factor, slow.clamp(0, 1))


def apply_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of neighbouring features (x0, x1), (x2, x3), ... by its angle.

        (a, b) -> (a cos - b sin, a sin + b cos)

    Args:
        x: (..., T, R)
        cos, sin: (T, R / 2)

    Returns:
        (..., T, R), in the type of x.

    Source: Su et al., arXiv 2104.09864, equation 34. The published weights of
    DeepSeek-V3 want neighbouring pairs; many other models pair feature i with
    feature i + R / 2.

    >>> quarter_turn = torch.tensor([[0.0]]), torch.tensor([[1.0]])
    >>> apply_rotary(torch.tensor([[1.0, 0.0]]), *quarter_turn)
    tensor([[0., 1.]])
    """
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1)
    return turned.flatten(-2).to(x.dtype)


def causal_attention(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """Each query takes a weighted mean of the values at its own position and before.

        y_t = sum_j softmax_j(scale * q_t . k_j) v_j,  over all positions j not after t

    The T queries are the last T of the S positions.

    Args:
        q: (B, H, T, features)
        k: (B, H, S, features)
        v: (B, H, S, features of a value)
        scale: multiplies the scores; 1 / sqrt(features) keeps them of size 1.

    Returns:
        (B, H, T, features of a value)

    Source: Vaswani et al., arXiv 1706.03762, equation 1.

    >>> q = k = torch.zeros(1, 1, 2, 4)  # equal scores: the mean of what is seen
    >>> v = torch.tensor([[[[1.0], [3.0]]]])
    >>> causal_attention(q, k, v, scale=0.5).flatten()
    tensor([1., 2.])
    """
    scores = q @ k.transpose(-2, -1) * scale
    future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1 + k.shape[-2] - q.shape[-2])
    return scores.masked_fill(future, float("-inf")).softmax(dim=-1) @ v


def swiglu(x: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor) -> Tensor:
    """The feed-forward network: a gate decides how much of each inner feature passes.

    Two matrices make I inner features each of x. The silu of the first result, the gate, multiplies the second, number
    by number; the third matrix brings the product back to D features.

        silu(z) = z / (1 + exp(-z))

    Args:
        x: (..., D)
        w_gate, w_up: (I, D)
        w_down: (D, I)

    Returns:
        (..., D)

    Source: Shazeer, arXiv 2002.05202, equation 6.

    >>> x, one = torch.tensor([[2.0]]), torch.ones(1, 1)
    >>> swiglu(x, one, one, one)  # silu(2) * 2 = 1.7616 * 2
    tensor([[3.5232]])
    """
    return F.linear(F.silu(F.linear(x, w_gate)) * F.linear(x, w_up), w_down)


class RMSNorm(nn.Module):
    """``rms_norm`` with its weight, which starts at 1; computed by its faster twin in ``fused.py``."""

    def __init__(self, features: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return RMSNormFunction.apply(x, self.weight, self.eps)


class FeedForward(nn.Module):
    """``swiglu`` with its three matrices."""

    def __init__(self, hidden_size: int, intermediate_size: int):
        super().__init__()
        self.gate_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.up_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return swiglu(x, self.gate_proj.weight, self.up_proj.weight, self.down_proj.weight)
