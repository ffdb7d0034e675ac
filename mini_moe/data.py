"""Text for training: files -> (train, held-out) -> tokens -> batches that can be repeated.

The problem: to learn something real on any machine, offline, and to be measured on text that was never seen.
The embedded corpus is Python's own standard library: about 12 MB of real code that every reader already has.
What counts is bits per byte of held-out text,

    bits per byte = (sum over tokens of -log2 p(token | those before)) / (UTF-8 bytes of the text),

which, unlike the loss per token, compares models of any vocabulary with each other and with ``xz -9``.

1. Tokens are byte-level BPE (Sennrich et al., arXiv 1508.07909; GPT-2): 256 bytes, then the most frequent pairs, so
   that no text is out of vocabulary and decoding gives back every byte. Words are cut as in GPT-4, with two
   departures, measured on the held-out files (bytes per token at a vocabulary of 1024 / 2048 / 4096):

       GPT-2 2.54 / 2.96 / 3.31;  GPT-4 2.48 / 2.92 / 3.31;  here 2.58 / 3.03 / 3.44

   - a line's closing punctuation, its end and the next line's indentation are one word, for this is how code repeats;
   - digits stand alone, so that a number has one spelling; runs of up to three digits would give 0.5 to 2 % more.
2. No run of letters, punctuation or spaces is longer than ``LONGEST`` in a word; a longer one is cut. Merging takes
   time that grows with the square of a word, so that a megabyte without a space would be without an end, too.
3. Simplified: documents are not packed; a training window may run over the end of a file into the next one.

Letters: B sequences of a batch, N windows of a text, T positions of a sequence.
"""

import gzip
import hashlib
import itertools
import json
import lzma
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import safetensors.torch
import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from tqdm.auto import tqdm

from mini_moe.corpus import read_corpus
from mini_moe.files import home, write_atomically
from mini_moe.progress import clock
from mini_moe.warning import warn

END = "<|endoftext|>"  # opens every file; token 0
IGNORE = -100  # a target that does not count: the default ignore_index of torch's cross_entropy
FORMAT = 2  # of the cache; to be raised when the split or the tokenizer changes
LONGEST = 128  # characters of a run; the standard library has none of 100
WORDS = (
    r"[^\r\n\p{L}\p{N}]?\p{L}{1,LONGEST}"  # letters, with the one space, dot or underscore before them
    r"|\p{N}"  # one digit
    # punctuation, the end of the line, blank lines, indentation
    r"| ?[^\s\p{L}\p{N}]{0,LONGEST}\s{0,LONGEST}[\r\n]\s{0,LONGEST}"
    r"| ?[^\s\p{L}\p{N}]{1,LONGEST}"  # punctuation inside a line
    r"|\s{1,LONGEST}(?!\S)|\s{1,LONGEST}"  # spaces; the last one is left to the word that follows
).replace("LONGEST", str(LONGEST))
PIECE = 1 << 16  # characters, about, that are turned into tokens at once


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Byte-level BPE: token 0 is END, 256 are the bytes, the others are merges learned from the texts.

    The vocabulary is smaller than asked for if the texts run out of pairs. Only token 0 means END, never a text in
    which it is spelled out: no file can forge the start of another, and decode(encode(text)) == text for every text.

    Raises:
        ValueError: ``vocab_size`` is below 257.
    """
    if vocab_size < 257:
        raise ValueError(f"vocab_size must be at least 257, the 256 bytes and {END}, got {vocab_size}. Raise it.")
    tokenizer = Tokenizer(models.BPE())
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(WORDS), "isolated"), to_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    options = {"vocab_size": vocab_size, "special_tokens": [END], "show_progress": False}
    trainer = trainers.BpeTrainer(initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), **options)
    tokenizer.train_from_iterator(texts, trainer)
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = []  # END stays in the vocabulary, but is no longer looked for in texts
    return Tokenizer.from_str(json.dumps(state))


@dataclass(frozen=True, eq=False)
class Dataset:
    """A corpus in tokens: every file is opened by token 0, and the files follow each other."""

    name: str
    tokenizer: Tokenizer
    train: torch.Tensor  # int32, one dimension
    heldout: torch.Tensor  # int32, one dimension
    heldout_bytes: int  # what bits per byte divide by: the UTF-8 bytes that the held-out tokens stand for
    heldout_text: bytes  # these bytes, for compressed_bits_per_byte


def load(source: str | os.PathLike | None = None, vocab_size: int = 1024, *, progress: bool = True) -> Dataset:
    """A source in tokens; kept under home(), so that the second time takes under a second.

    Time on 2 cores for the embedded corpus: 8 s, then 0.2 s.

    Args:
        source: as for ``read_corpus``.
        vocab_size: tokens, at least 257.
        progress: show bars, and what was read.

    Warns:
        UserWarning: the tokens could not be kept; next time they are made anew.

    Raises:
        FileNotFoundError, PermissionError: as ``read_corpus``.
        ValueError: as ``read_corpus`` and ``train_tokenizer``.
    """
    corpus = read_corpus(source, progress=progress)
    key = repr((FORMAT, vocab_size, corpus.train, corpus.heldout)).encode()
    folder = home() / "cache" / hashlib.sha256(key).hexdigest()[:32]
    tokenizer, train, heldout = _read_cache(folder) or _build_cache(folder, corpus, vocab_size, progress)
    text = "".join(text for _, text in corpus.heldout).encode()
    return Dataset(corpus.name, tokenizer, train, heldout, len(text), text)


def _build_cache(folder, corpus, vocab_size, progress):
    if progress:
        tqdm.write(corpus.describe())
    with clock("training the tokenizer", progress):
        tokenizer = train_tokenizer((text for _, text in corpus.train), vocab_size)
    characters = sum(len(text) for _, text in corpus.train + corpus.heldout)
    with tqdm(total=characters, desc="to tokens", unit=" characters", unit_scale=True, disable=not progress) as bar:
        train, heldout = (_to_tokens(tokenizer, files, bar) for files in (corpus.train, corpus.heldout))
    try:
        _write_cache(folder, tokenizer, train, heldout)
    except OSError as error:
        warn(f"The tokens were not kept ({error}). Set MINI_MOE_HOME to a folder to write in.")
    return tokenizer, train, heldout


def _to_tokens(tokenizer, files, bar) -> torch.Tensor:
    tokens = []
    pieces = (piece for _, text in files for piece in _pieces(text))
    while some := list(itertools.islice(pieces, 16)):  # together, for all cores; not all, for memory and the bar
        for (opens, piece), encoding in zip(some, tokenizer.encode_batch_fast([text for _, text in some]), strict=True):
            tokens.append(torch.tensor([0] * opens + encoding.ids, dtype=torch.int32))
            bar.update(len(piece))
    return torch.cat(tokens)


def _pieces(text: str) -> Iterator[tuple[bool, str]]:
    """A file in pieces, and which of them opens it.

    The cut is behind a letter or digit that ends its run: there a word ends, so the tokens are those of the whole text.
    Only where a piece's length passes without such a place, as in a line of nothing but signs, is a word cut.
    """
    start = 0
    while start < len(text):
        place = re.compile(r"[^\W_](?=\W)").search(text, start + PIECE, start + 2 * PIECE)
        end = place.end() if place else start + 2 * PIECE
        yield start == 0, text[start:end]
        start = end


def _read_cache(folder):
    try:
        tokenizer = (folder / "tokenizer.json").read_bytes()
        tokens = safetensors.torch.load((folder / "tokens.safetensors").read_bytes())
        whole = torch.equal(tokens["seal"], _seal(tokenizer, tokens["train"], tokens["heldout"]))
        return (Tokenizer.from_buffer(tokenizer), tokens["train"], tokens["heldout"]) if whole else None
    except Exception:  # not there, or damaged, which has many classes: the remedy is the same
        return None


def _write_cache(folder, tokenizer, train, heldout):
    text = tokenizer.to_str().encode()
    tokens = {"train": train, "heldout": heldout, "seal": _seal(text, train, heldout)}
    write_atomically(folder / "tokenizer.json", text)
    write_atomically(folder / "tokens.safetensors", safetensors.torch.save(tokens))


def _seal(tokenizer: bytes, train, heldout) -> torch.Tensor:
    """A checksum of all that is kept: it finds damage inside a file, too."""
    digest = hashlib.sha256(tokenizer)
    digest.update(train.numpy())
    digest.update(heldout.numpy())
    return torch.tensor(list(digest.digest()), dtype=torch.uint8)


def batch(
    tokens: torch.Tensor, step: int, *, batch_size: int, seq_len: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """(inputs_BT, targets_BT), int64: random windows of the tokens, and the same one token later.

    The same arguments give the same batch, so a run that is resumed at any step goes on exactly where it stopped.

    Raises:
        ValueError: there are not more tokens than ``seq_len``, or this is below 1.
    """
    if not 1 <= seq_len < len(tokens):
        raise ValueError(
            f"seq_len must be from 1 to {len(tokens) - 1}, one less than the tokens there are, got {seq_len}. "
            "Shorten the windows, or give more text."
        )
    # torch's generator on the CPU uses 32 bits of its seed: both numbers have to be mixed into these.
    mixed = int.from_bytes(hashlib.sha256(f"{seed} {step}".encode()).digest()[:4], "big")
    starts_B1 = torch.randint(len(tokens) - seq_len, (batch_size, 1), generator=torch.Generator().manual_seed(mixed))
    positions_BT = starts_B1 + torch.arange(seq_len)
    return tokens[positions_BT].long(), tokens[positions_BT + 1].long()


def document_ids(tokens_BT: torch.Tensor) -> torch.Tensor:
    """(B, T), int64: which file of its window each token is of; token 0 opens the next.

    >>> document_ids(torch.tensor([[7, 8, 0, 9]]))
    tensor([[0, 0, 1, 1]])
    """
    return (tokens_BT == 0).cumsum(dim=1)


def windows(tokens: torch.Tensor, seq_len: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(inputs_NT, targets_NT), int64, for evaluation: every token but the first is the target exactly once.

    The last window is filled up with inputs 0 and targets IGNORE.

    Raises:
        ValueError: ``seq_len`` is below 1, or there are fewer than two tokens.

    >>> windows(torch.tensor([0, 7, 8, 9]), seq_len=2)
    (tensor([[0, 7],
            [8, 0]]), tensor([[   7,    8],
            [   9, -100]]))
    """
    if seq_len < 1 or len(tokens) < 2:
        raise ValueError(
            f"seq_len must be at least 1 and tokens at least 2, got {seq_len} and {len(tokens)}. "
            "Lengthen the windows, or give more text."
        )
    missing = -(len(tokens) - 1) % seq_len
    inputs_NT = F.pad(tokens[:-1].long(), (0, missing)).view(-1, seq_len)
    targets_NT = F.pad(tokens[1:].long(), (0, missing), value=IGNORE).view(-1, seq_len)
    return inputs_NT, targets_NT


def compressed_bits_per_byte(text: bytes) -> dict[str, float]:
    """What the two usual compressors need for the text: the numbers that a model has to beat.

    Raises:
        ValueError: there is no text.

    >>> compressed_bits_per_byte(bytes(100_000))["xz -9"] < 0.1
    True
    """
    if not text:
        raise ValueError("text must be at least one byte, got none. Give the text that the model is measured on.")
    sizes = {"gzip -9": len(gzip.compress(text, 9)), "xz -9": len(lzma.compress(text, preset=9))}
    return {name: 8 * size / len(text) for name, size in sizes.items()}
