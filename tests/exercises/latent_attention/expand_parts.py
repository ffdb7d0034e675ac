"""What answers to `expand` are made of."""

import torch


def heads(latent, w):
    """Each head's features, in a loop."""
    return torch.stack([latent @ w_h.T for w_h in w], dim=1)


def with_key(k, key):
    """Keys with the rotated key of all heads after them."""
    return torch.cat((k, key.unsqueeze(1).expand(-1, k.shape[1], -1, -1)), dim=-1)
