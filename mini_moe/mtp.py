"""Multi-token prediction: a small module after the last layer predicts one token further.

    h'_i = w [RMSNorm(Emb(t_i+1)) ; RMSNorm(h_i)]     what the model thought at i, and the token that then came
    h_i^1 = RMSNorm(Block(h'))_i                      a whole block of its own, causal over the positions
    logits_i = head(h_i^1)                            for token t_i+2; embedding and head are the model's own

A module of depth k reads h^(k-1) and the token at i + k, and predicts the one at i + k + 1: unlike the parallel heads
of Medusa (arXiv 2401.10774) or of arXiv 2404.19737, each depth knows the tokens between.

    loss = cross-entropy of the next token + lambda * mean over depths of the module's cross-entropy

Source: DeepSeek-V3, arXiv 2412.19437, section 2.2, equations 21 to 25.

Departures:
1. Equation 21 puts the hidden state first. The published weights, and everything that reads them, put the embedding
   first; so do we.
2. The published weights have a norm of their own before the shared head, ``shared_head.norm``; the paper has none
   there. And h_i, what the first module reads, is taken after the model's last norm, as transformers does.
3. The paper lets lambda fall from 0.3 to 0.1 late in its run; ours are short, and keep it.

Letters: B batch, T tokens, D model width, V vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mini_moe.block import Block
from mini_moe.config import ModelConfig
from mini_moe.data import IGNORE
from mini_moe.dispatch import Dispatch, grouped
from mini_moe.layers import RMSNorm, rms_norm
from mini_moe.mla import LatentCache
from mini_moe.moe import Routing


def shifted_targets(tokens_BT: Tensor, depth: int, document_ids_BT: Tensor | None = None) -> Tensor:
    """What is to be predicted at each position: the token ``depth + 1`` places on.

        target_i = t_(i + depth + 1),  or IGNORE where the text ends before, or another document begins

    Depth 0 is the model itself; its target is the next token.

    Args:
        tokens_BT: the tokens that the model reads.
        document_ids_BT: which document each token is of; the tokens of one stand together. None: all are of one.

    Returns:
        (B, T), int64

    Raises:
        ValueError: the depth is negative, or there is not an id for each token.

    Source: arXiv 2412.19437, equation 24.

    >>> shifted_targets(torch.tensor([[5, 6, 7, 8]]), depth=1)
    tensor([[   7,    8, -100, -100]])
    >>> shifted_targets(torch.tensor([[5, 6, 7, 8]]), depth=1, document_ids_BT=torch.tensor([[0, 0, 0, 1]]))
    tensor([[   7, -100, -100, -100]])
    """
    if depth < 0:
        raise ValueError(f"depth must be at least 0, got {depth}.")
    if document_ids_BT is not None and document_ids_BT.shape != tokens_BT.shape:
        raise ValueError(
            f"document_ids must be of the shape of the tokens, {tuple(tokens_BT.shape)}, "
            f"got {tuple(document_ids_BT.shape)}."
        )
    ahead = depth + 1
    targets_BT = torch.full_like(tokens_BT, IGNORE, dtype=torch.int64)
    targets_BT[:, :-ahead] = tokens_BT[:, ahead:]
    if document_ids_BT is not None:
        targets_BT[:, :-ahead][document_ids_BT[:, :-ahead] != document_ids_BT[:, ahead:]] = IGNORE
    return targets_BT


def merge(
    hidden_BTD: Tensor,
    tokens_BT: Tensor,
    depth: int,
    embedding_VD: Tensor,
    hnorm_D: Tensor,
    enorm_D: Tensor,
    eh_proj: Tensor,
    eps: float = 1e-6,
) -> Tensor:
    """What a module starts from: a token that came later, and what was thought before it came.

        h'_i = w [RMSNorm(Emb(t_(i + depth))) ; RMSNorm(h_i)]

    Each has a norm of its own, for the two are of different sizes. At the last ``depth`` positions there is no such
    token: they read token 0, and what becomes of them means nothing.

    Args:
        hidden_BTD: h, at position i from the model, or from the module of the depth before.
        tokens_BT: the text, t_i at position i.
        depth: 1 for the first module.
        embedding_VD: a row for each token of the vocabulary.
        hnorm_D, enorm_D: the weights of the norms of hidden state and embedding.
        eh_proj: w, (D, 2 D).

    Returns:
        (B, T, D)

    Raises:
        ValueError: the depth is less than 1.

    Source: arXiv 2412.19437, equation 21, with its two parts in the order of the published weights.

    >>> hidden, embedding, one = torch.tensor([[[3.0], [4.0]]]), torch.tensor([[0.5], [-0.2]]), torch.ones(1)
    >>> tokens, add = torch.tensor([[0, 1]]), torch.tensor([[10.0, 1.0]])
    >>> merge(hidden, tokens, 1, embedding, one, one, add).round()  # at 0: 10 for token 1, normed to -1; and 1 for 3
    tensor([[[-9.],
             [11.]]])
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}.")
    later_BT = F.pad(tokens_BT[:, depth:], (0, min(depth, tokens_BT.shape[1])))
    embedded_BTD = rms_norm(F.embedding(later_BT, embedding_VD), enorm_D, eps)
    return F.linear(torch.cat((embedded_BTD, rms_norm(hidden_BTD, hnorm_D, eps)), dim=-1), eh_proj)


def mtp_loss(logits_BTV: Tensor, tokens_BT: Tensor, *, depth: int = 1, document_ids_BT: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of what a module of this depth predicts, over the positions that have a target.

    Args:
        logits_BTV: at position i for the token at i + depth + 1.
        tokens_BT, depth, document_ids_BT: as for ``shifted_targets``.

    Returns:
        a number in nats, float32 at least; 0 if no position has a target.

    Raises:
        ValueError: as ``shifted_targets``.

    Source: arXiv 2412.19437, equation 24, but that the mean is over the targets there are, not over T.

    >>> certain_of_7 = torch.zeros(1, 3, 8)
    >>> certain_of_7[:, 0, 7] = 100
    >>> mtp_loss(certain_of_7, torch.tensor([[5, 6, 7]])), mtp_loss(certain_of_7, torch.tensor([[5, 7, 6]]))
    (tensor(0.), tensor(100.))
    """
    targets = shifted_targets(tokens_BT, depth, document_ids_BT).flatten()
    logits = logits_BTV.flatten(0, 1)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    nats = F.cross_entropy(logits, targets, ignore_index=IGNORE, reduction="sum")
    return nats / (targets != IGNORE).sum().clamp(min=1)


def accepted(logits_BTV: Tensor, draft_logits_BTV: Tensor) -> Tensor:
    """Where the module's guess is the token that the model itself chooses next: there a draft is accepted.

    At position i the module guesses the token at i + 2; the model chooses it one position later, at i + 1. What the
    text really says there does not matter: a draft that repeats the model's mistake is accepted.

    Args:
        logits_BTV: the model's, at position i for the token at i + 1.
        draft_logits_BTV: of the module of depth 1, at position i for the token at i + 2.

    Returns:
        (B, T - 1), bool: for each position but the last.

    >>> logits, draft_logits = torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)
    >>> logits[0, 1, 3] = draft_logits[0, 0, 3] = 1.0
    >>> accepted(logits, draft_logits)
    tensor([[True]])
    """
    return logits_BTV[:, 1:].argmax(dim=-1) == draft_logits_BTV[:, :-1].argmax(dim=-1)


class MTPModule(Block):
    """A prediction module with its weights, under their published names; embedding and head are the model's.

    Its block is like the model's last.
    """

    def __init__(self, config: ModelConfig, dispatch: Dispatch = grouped):
        super().__init__(config, config.num_hidden_layers, dispatch)
        D = config.hidden_size
        self.enorm, self.hnorm = RMSNorm(D, config.rms_norm_eps), RMSNorm(D, config.rms_norm_eps)
        self.eh_proj = nn.Linear(2 * D, D, bias=False)
        self.shared_head = nn.ModuleDict({"norm": RMSNorm(D, config.rms_norm_eps)})

    def forward(
        self,
        hidden_BTD: Tensor,
        tokens_BT: Tensor,
        depth: int,
        embedding_VD: Tensor,
        rotary: tuple[Tensor, Tensor],
        cache: LatentCache | None = None,
    ) -> tuple[Tensor, Routing | None]:
        """What the shared head reads, (B, T, D), and what the block's router decided.

        Args:
            hidden_BTD, tokens_BT, depth, embedding_VD: as for ``merge``.
            rotary, cache: as for the attention of a block.
        """
        x_BTD = merge(
            hidden_BTD,
            tokens_BT,
            depth,
            embedding_VD,
            self.hnorm.weight,
            self.enorm.weight,
            self.eh_proj.weight,
            self.enorm.eps,
        )
        x_BTD, routing = super().forward(x_BTD, rotary, cache, absorbed=False)
        return self.shared_head["norm"](x_BTD), routing
