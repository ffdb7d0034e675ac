"""Claims about mini_moe.data, each held against something that does not come from it."""

import os
import random
import re
import shutil
import subprocess
import sys
import threading
import tokenize
import types
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_moe import data
from mini_moe.corpus import read_corpus
from mini_moe.files import home
from mini_moe.progress import clock

posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes as POSIX has them")


def some_text(seed, lines=40):
    draw = random.Random(seed)
    names = ["total", "value", "index", "naïve", "self.cache", "→"]
    return "".join(
        f"    if {draw.choice(names)} > {draw.randrange(999)}:\n        return {i}\n\n" for i in range(lines)
    )


@pytest.fixture
def folder(tmp_path):
    """60 files, about 100 kB; a file is known by its content."""
    root = tmp_path / "project"
    (root / "sub").mkdir(parents=True)
    for i in range(60):
        (root / ("sub" if i % 2 else ".") / f"m{i}.py").write_bytes(some_text(i).encode())
    return root


@pytest.fixture(scope="module")
def tokenizer():
    return data.train_tokenizer([some_text(i) for i in range(30)], 300)


def paths(files):
    return [path for path, _ in files]


def whole(files):
    return "".join(text for _, text in files)


# --- home and corpus


def test_home_is_the_environment_variable_else_a_folder_of_the_user(monkeypatch, tmp_path):
    assert home() == tmp_path / "home"
    for unset in (lambda: monkeypatch.setenv("MINI_MOE_HOME", ""), lambda: monkeypatch.delenv("MINI_MOE_HOME")):
        unset()
        assert home() == Path.home() / ".mini_moe"


def test_the_embedded_corpus_is_the_library_without_its_tests_or_what_was_installed():
    corpus = read_corpus()
    files = paths(corpus.train + corpus.heldout)
    assert 10e6 < corpus.train_bytes + corpus.heldout_bytes < 15e6
    assert {"os.py", "json/decoder.py", "unittest/case.py", "doctest.py"} <= set(files)
    assert not [path for path in files if {"test", "tests", "idle_test", "site-packages"} & set(Path(path).parts)]
    assert all(path.endswith(".py") for path in files)
    assert dict(corpus.train + corpus.heldout)["os.py"].encode() == Path(os.__file__).read_bytes()


def test_the_embedded_split_is_the_published_one_about_five_percent_of_the_bytes():
    corpus = read_corpus()
    assert {"typing.py", "ast.py", "locale.py", "plistlib.py"} <= set(paths(corpus.heldout))
    assert 0.04 < corpus.heldout_bytes / (corpus.train_bytes + corpus.heldout_bytes) < 0.06


def test_the_split_does_not_move_when_files_come_and_go(folder):
    before = read_corpus(folder)
    (folder / "a_new_first.py").write_text(some_text("new"))
    (folder / "m0.py").unlink()
    after = read_corpus(folder)
    changed = {"a_new_first.py", "m0.py"}
    assert before.heldout
    assert [f for f in before.heldout if f[0] not in changed] == [f for f in after.heldout if f[0] not in changed]
    assert [f for f in before.train if f[0] not in changed] == [f for f in after.train if f[0] not in changed]


def test_every_file_of_a_folder_is_on_one_side_unchanged_and_in_order(folder):
    corpus = read_corpus(str(folder))
    there = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.py")}
    assert {path: text.encode() for path, text in corpus.train + corpus.heldout} == there
    assert len(corpus.train) + len(corpus.heldout) == 60
    assert paths(corpus.train) == sorted(paths(corpus.train))
    assert corpus.train_bytes + corpus.heldout_bytes == sum(map(len, there.values()))
    assert corpus.name == "project" and corpus.skipped == () and corpus.notes == ()


def test_of_a_single_file_the_last_lines_are_held_out_and_this_is_said(tmp_path):
    text = some_text(1, lines=2000)
    (tmp_path / "one.txt").write_bytes(text.encode())
    corpus = read_corpus(tmp_path / "one.txt")
    (head,), (tail,) = corpus.train, corpus.heldout
    assert head[0] == tail[0] == "one.txt"
    assert head[1] + tail[1] == text
    assert head[1].endswith("\n")
    assert 0.045 < len(tail[1]) / len(text) <= 0.05
    assert "last 5 %" in corpus.describe()


def test_a_folder_of_few_files_is_split_inside_its_text(tmp_path):
    texts = [some_text(i, lines=300) for i in range(3)]
    for i, text in enumerate(texts):
        (tmp_path / f"{'abc'[i]}.txt").write_bytes(text.encode())
    corpus = read_corpus(tmp_path)
    assert whole(corpus.train) + whole(corpus.heldout) == "".join(texts)
    assert paths(corpus.train) == ["a.txt", "b.txt", "c.txt"] and paths(corpus.heldout) == ["c.txt"]
    assert "last 5 %" in corpus.describe()


@pytest.mark.parametrize("text", ["x" * 30_000, "\n" + "x" * 30_000, "x" * 30_000 + "\n"])
def test_a_text_without_lines_is_cut_all_the_same(tmp_path, text):
    (tmp_path / "line.txt").write_text(text)
    corpus = read_corpus(tmp_path / "line.txt")
    assert whole(corpus.train) + whole(corpus.heldout) == text
    assert 0.04 < len(whole(corpus.heldout)) / len(text) < 0.06


def test_what_is_no_text_is_skipped_with_its_reason(folder):
    (folder / "image.png").write_bytes(b"\x89PNG\0\0")
    (folder / "empty.py").write_bytes(b"")
    (folder / "z_copy_of_m0.py").write_bytes((folder / "m0.py").read_bytes())
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "inside.py").write_text(some_text("hidden"))
    (folder / ".env").write_text("SECRET=1\n")
    corpus = read_corpus(folder)
    assert dict(corpus.skipped) == {
        "image.png": "binary",
        "empty.py": "empty",
        "z_copy_of_m0.py": "duplicate",
        ".hidden": "hidden",
        ".env": "hidden",
    }
    assert len(corpus.train) + len(corpus.heldout) == 60
    for words in ("5 skipped", "1 binary", "1 empty", "1 duplicate", "2 hidden"):
        assert words in corpus.describe()


@posix
def test_pipes_and_broken_or_circular_links_neither_block_nor_fail(folder):
    os.mkfifo(folder / "pipe")
    (folder / "broken").symlink_to(folder / "nowhere")
    (folder / "loop").symlink_to(folder)
    corpus = read_corpus(folder)
    assert dict(corpus.skipped) == {"pipe": "unreadable", "broken": "unreadable"}
    with pytest.raises(ValueError, match=r"source must be a file or a folder, got .*pipe"):
        read_corpus(folder / "pipe")


@posix
def test_what_may_not_be_read_is_skipped_inside_a_folder_and_refused_as_the_source(folder):
    locked = [folder / "m0.py", folder / "sub"]
    for path in locked:
        path.chmod(0)
    if os.access(locked[0], os.R_OK):
        pytest.skip("root reads everything")
    try:
        assert dict(read_corpus(folder).skipped) == {"m0.py": "unreadable", "sub": "unreadable"}
        for path in locked:
            with pytest.raises(PermissionError, match=r"source must be readable, got .*Change its permissions"):
                read_corpus(path)
    finally:
        for path in locked:
            path.chmod(0o755)


def test_text_that_is_not_utf8_is_read_as_latin1_and_this_is_said(folder):
    raw = "# größe\n".encode("latin-1") * 10
    (folder / "old.py").write_bytes(raw)
    corpus = read_corpus(folder)
    assert dict(corpus.train + corpus.heldout)["old.py"].encode("latin-1") == raw
    assert "Not UTF-8, read as latin-1: 'old.py'." in corpus.describe()


def test_line_ends_and_byte_order_marks_are_kept(folder):
    raw = "\ufeffa = 1\r\nb = 2\rc\n".encode()
    (folder / "windows.py").write_bytes(raw)
    corpus = read_corpus(folder)
    assert dict(corpus.train + corpus.heldout)["windows.py"].encode() == raw


def test_a_missing_path_is_named_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)  # what makes an import fail
    with pytest.raises(FileNotFoundError, match=r"source must be .*got '.*nowhere'.*pip install datasets"):
        read_corpus(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "files, said",
    [
        ({}, "0 bytes"),
        ({"a.bin": b"\0" * 50_000, "b.bin": b"\0"}, "2 binary"),
        ({"a.txt": b"short\n"}, "6 bytes"),
    ],
)
def test_too_little_text_is_refused_with_what_was_found(tmp_path, files, said):
    for name, raw in files.items():
        (tmp_path / name).write_bytes(raw)
    with pytest.raises(ValueError, match=f"source must hold at least 20 kB of readable text, got .*{said}"):
        read_corpus(tmp_path)


def test_a_name_that_is_no_path_is_looked_up_as_a_data_set(monkeypatch):
    rows = [some_text(i) for i in range(60)] + ["", None]

    def load_dataset(name, split):
        if name != "owner/stories":
            raise RuntimeError("not on the hub")
        assert split == "train"
        return {"text": rows}

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    corpus = read_corpus("owner/stories")
    assert sorted(text for _, text in corpus.train + corpus.heldout) == sorted(rows[:60])
    assert corpus.heldout and corpus.name == "owner/stories"
    with pytest.raises(FileNotFoundError, match=r"got 'owner/other': .*not on the hub"):
        read_corpus("owner/other")


# --- tokenizer


@settings(deadline=None, max_examples=300)
@given(text=st.text() | st.text(alphabet="a_.(:0 \t\r\n") | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_decoding_gives_back_every_text(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


LINES = {  # of one sort, without an end
    "letters": "abcdefghij",
    "one letter": "a",
    "signs": '{"[(;:,.',
    "one sign": "{",
    "spaces": " ",
    "ends of lines": "\n",
    "ideographs": "".join(map(chr, range(0x4E00, 0x4E80))),
    "JSON": '{"id":17,"name":"naïve","tags":["a","b"]},',
    "signs, then an end of line far away": "-" * 5000 + " " * 5000 + "\n",
}


@pytest.mark.parametrize("sort", LINES)
def test_a_long_line_is_cut_into_short_words_and_given_back_whole(tokenizer, sort):
    text = LINES[sort] * (30_000 // len(LINES[sort]))
    words = tokenizer.pre_tokenizer.pre_tokenize_str(text)
    assert max(end - start for _, (start, end) in words) <= 3 * 128 + 2  # signs, spaces, an end of line, spaces
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    own = data.train_tokenizer([text], 300)
    assert own.decode(own.encode(text).ids) == text


def test_words_of_the_library_are_not_cut():
    """No run of letters, of spaces or of signs there is as long as the limit: its words are what they always were."""
    corpus = read_corpus()
    runs = re.compile(r"[^\W\d_]{128}|\s{128}|(?:[^\w\s]|_){128}")
    assert not [path for path, text in corpus.train + corpus.heldout if runs.search(text)]


def test_twelve_million_signs_in_a_line_are_tokens_in_the_end(tokenizer):
    """The search for the end of the line would give up after so many steps, were the words without a limit."""
    text = "{" * 12_000_000
    assert len(tokenizer.pre_tokenizer.pre_tokenize_str(text)) == 12_000_000 // 128


WORD = ["return", "value", "7", "naïve", "été", "大", "x1"]
BETWEEN = [" ", ":\n        ", "){\n\n", "._", " (", "\t\t \r\n", "://", "  "]


def in_pieces(text, length):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "PIECE", length)
        pieces = list(data._pieces(text))
    assert [opens for opens, _ in pieces] == [True] * bool(text) + [False] * (len(pieces) - 1)
    return [piece for _, piece in pieces]


@settings(deadline=None, max_examples=300)
@given(
    words=st.lists(st.tuples(st.sampled_from(WORD), st.sampled_from(BETWEEN)), min_size=15), length=st.integers(20, 40)
)
def test_in_pieces_a_text_has_the_same_tokens(tokenizer, words, length):
    """A word ends in every twenty characters here."""
    text = "".join(word + between for word, between in words)
    pieces = in_pieces(text, length)
    assert max(map(len, pieces)) <= 2 * length
    ids = [i for piece in pieces for i in tokenizer.encode(piece).ids]
    assert ids == tokenizer.encode(text).ids


@given(text=st.text(), length=st.integers(1, 9))
def test_pieces_are_the_whole_text_whatever_it_is(text, length):
    assert "".join(in_pieces(text, length)) == text


def test_no_text_can_forge_the_start_of_a_file(tokenizer):
    text = "a <|endoftext|> b"
    ids = tokenizer.encode(text).ids
    assert tokenizer.token_to_id("<|endoftext|>") == 0
    assert 0 not in ids
    assert tokenizer.decode([0, *ids]) == "<|endoftext|>" + text


def test_the_first_merge_is_the_most_frequent_pair():
    assert data.train_tokenizer(["zq zq zr zq\n"], 258).id_to_token(257) == "zq"


def test_digits_stand_alone_and_the_end_of_a_line_takes_the_next_indentation(tokenizer):
    numbers = data.train_tokenizer(["2048 " * 99], 300)
    assert [numbers.decode([i]) for i in numbers.encode("2048").ids] == list("2048")
    assert [tokenizer.decode([i]) for i in tokenizer.encode(":\n        ").ids] == [":\n        "]


def test_the_same_texts_give_the_same_tokenizer():
    texts = [some_text(i) for i in range(10)]
    first, second = (data.train_tokenizer(iter(texts), 350).to_str() for _ in range(2))
    assert first == second


def test_the_vocabulary_has_the_size_asked_for_and_at_least_the_bytes(tokenizer):
    assert tokenizer.get_vocab_size() == 300
    assert data.train_tokenizer(["ab"], 10_000).get_vocab_size() == 258  # one pair is all there is
    with pytest.raises(ValueError, match=r"vocab_size must be at least 257.*got 256"):
        data.train_tokenizer(["ab"], 256)


# --- load and its cache


@pytest.fixture
def loaded(folder):
    return data.load(folder, 300, progress=False)


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*_):
        raise AssertionError("trained again")

    return lambda: monkeypatch.setattr(data, "train_tokenizer", refuse)


def same(one, other):
    return (
        one.tokenizer.to_str() == other.tokenizer.to_str()
        and torch.equal(one.train, other.train)
        and torch.equal(one.heldout, other.heldout)
        and (one.name, one.heldout_bytes, one.heldout_text) == (other.name, other.heldout_bytes, other.heldout_text)
    )


def test_the_tokens_stand_for_every_byte_each_file_opened_by_token_0(folder, loaded):
    corpus = read_corpus(folder)
    for tokens, files in ((loaded.train, corpus.train), (loaded.heldout, corpus.heldout)):
        assert tokens.dtype == torch.int32 and tokens.ndim == 1
        assert loaded.tokenizer.decode(tokens.tolist()) == "".join("<|endoftext|>" + text for _, text in files)
        assert int((tokens == 0).sum()) == len(files)
    assert loaded.heldout_text == b"".join((folder / path).read_bytes() for path in paths(corpus.heldout))
    assert loaded.heldout_bytes == len(loaded.heldout_text)
    assert loaded.name == "project"


def test_the_tokenizer_has_not_seen_the_held_out_text(folder, loaded):
    train = [text for _, text in read_corpus(folder).train]
    assert loaded.tokenizer.to_str() == data.train_tokenizer(train, 300).to_str()


def test_the_second_time_comes_from_the_cache(folder, loaded, no_training):
    no_training()
    assert same(data.load(folder, 300, progress=False), loaded)


def test_another_content_path_or_vocabulary_is_made_anew(folder, loaded, no_training):
    no_training()
    with pytest.raises(AssertionError, match="trained again"):
        data.load(folder, 301, progress=False)
    (folder / "m0.py").rename(folder / "renamed.py")
    with pytest.raises(AssertionError, match="trained again"):
        data.load(folder, 300, progress=False)
    (folder / "renamed.py").rename(folder / "m0.py")
    data.load(folder, 300, progress=False)
    (folder / "m0.py").write_bytes((folder / "m0.py").read_bytes()[:-1] + b" ")
    with pytest.raises(AssertionError, match="trained again"):
        data.load(folder, 300, progress=False)


def flipped(raw):
    return raw[:-100] + bytes([raw[-100] ^ 1]) + raw[-99:]


@pytest.mark.parametrize("name", ["tokens.safetensors", "tokenizer.json"])
@pytest.mark.parametrize(
    "damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"", lambda raw: b"\xff" * 99, flipped, None]
)
def test_a_damaged_cache_is_found_and_made_anew(folder, loaded, no_training, name, damage):
    (kept,) = home().rglob(name)
    good = kept.read_bytes()
    kept.unlink() if damage is None else kept.write_bytes(damage(good))
    assert same(data.load(folder, 300, progress=False), loaded)
    assert kept.read_bytes() == good
    no_training()
    assert same(data.load(folder, 300, progress=False), loaded)
    assert sorted(path.name for path in kept.parent.iterdir()) == ["tokenizer.json", "tokens.safetensors"]


def test_a_home_that_cannot_be_written_costs_a_warning_only(folder, loaded, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MINI_MOE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="not kept .*Set MINI_MOE_HOME") as caught:
        assert same(data.load(folder, 300, progress=False), loaded)
    assert caught[0].filename == __file__  # it points at the caller


def test_a_failed_write_leaves_nothing_behind(folder, monkeypatch):
    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(UserWarning, match="disk full"):
        data.load(folder, 300, progress=False)
    assert not [path for path in home().rglob("*") if path.is_file()]


def test_no_two_writers_share_an_unfinished_file(folder, monkeypatch):
    parts = []
    monkeypatch.setattr(os, "replace", lambda part, path: parts.append((part.parent == path.parent, part)))
    for _ in range(2):
        data.load(folder, 300, progress=False)
    assert len(set(parts)) == 4 and all(same_folder for same_folder, _ in parts)


def test_two_processes_at_once_agree(folder):
    code = (
        "import sys; from mini_moe import data; print(data.load(sys.argv[1], 300, progress=False).train.sum().item())"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(folder)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    expected = data.load(folder, 300, progress=False).train.sum().item()
    assert [int(run.communicate(timeout=60)[0]) for run in runs] == [expected] * 2


def test_progress_is_shown_or_not_as_asked(folder, capsys):
    data.load(folder, 300, progress=False)
    assert capsys.readouterr() == ("", "")
    data.load(folder, 301)
    shown = capsys.readouterr()
    assert read_corpus(folder).describe() in shown.out
    assert "training the tokenizer" in shown.err and "to tokens" in shown.err


def test_a_single_long_file_shows_progress_on_its_way(tmp_path, capsys):
    (tmp_path / "one.txt").write_text("word " * 1_000_000)
    data.load(tmp_path / "one.txt", 300)
    shares = re.findall(r"to tokens: +(\d+)%", capsys.readouterr().err)
    assert any(0 < int(share) < 100 for share in shares)


def test_a_clock_shows_the_time_until_what_it_stands_for_has_ended(capsys):
    before, shown = threading.active_count(), 0
    with pytest.raises(ZeroDivisionError), clock("waiting"):
        while shown < 3:  # the first is the bar's own
            shown += capsys.readouterr().err.count("waiting: 00:0")
        raise ZeroDivisionError
    assert threading.active_count() == before
    capsys.readouterr()
    with clock("waiting", shown=False):
        pass
    assert capsys.readouterr() == ("", "")


def test_a_wrong_vocabulary_is_one_error_without_another_behind_it(folder):
    with pytest.raises(ValueError, match="vocab_size must be") as caught:
        data.load(folder, 10, progress=False)
    assert caught.value.__context__ is None


# --- batches


def test_a_batch_is_windows_of_the_text_and_the_same_one_later():
    tokens = torch.arange(1000, dtype=torch.int32)
    inputs_BT, targets_BT = data.batch(tokens, 7, batch_size=5, seq_len=11, seed=3)
    assert inputs_BT.shape == targets_BT.shape == (5, 11)
    assert inputs_BT.dtype == targets_BT.dtype == torch.int64
    assert torch.equal(targets_BT, inputs_BT + 1)
    assert (inputs_BT.diff(dim=1) == 1).all()


def test_a_batch_depends_on_its_arguments_only():
    tokens = torch.arange(1000, dtype=torch.int32)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = data.batch(tokens, 7, batch_size=4, seq_len=8, seed=3)
    assert torch.equal(state, torch.get_rng_state())
    torch.rand(1)
    again = data.batch(tokens, 7, batch_size=4, seq_len=8, seed=3)
    assert all(map(torch.equal, first, again))
    assert first[0][:, 0].tolist() == [18, 306, 341, 281]  # recorded: a resumed run relies on it


def test_steps_and_seeds_give_different_batches_also_beyond_32_bits():
    tokens = torch.arange(10**6, dtype=torch.int32)
    pairs = [(seed, step) for seed in (0, 1, 2, 1 << 32, -1) for step in (0, 1, 2, 1 << 32)]
    starts = {
        tuple(data.batch(tokens, step, batch_size=2, seq_len=4, seed=seed)[0][:, 0].tolist()) for seed, step in pairs
    }
    assert len(starts) == len(pairs)


def test_every_start_is_drawn_the_last_one_too():
    tokens = torch.arange(6, dtype=torch.int32)
    inputs_BT, targets_BT = data.batch(tokens, 0, batch_size=3000, seq_len=3, seed=0)
    counts = torch.bincount(inputs_BT[:, 0], minlength=3)
    assert len(counts) == 3 and (counts > 900).all()  # 1000 expected, standard deviation 26
    assert targets_BT.max() == 5


@pytest.mark.parametrize("seq_len", [0, 10, 11])
def test_too_few_tokens_for_a_window_are_refused(seq_len):
    with pytest.raises(ValueError, match=f"seq_len must be from 1 to 9.*got {seq_len}"):
        data.batch(torch.arange(10), 0, batch_size=1, seq_len=seq_len, seed=0)


@settings(deadline=None)
@given(length=st.integers(2, 200), seq_len=st.integers(1, 250))
def test_windows_predict_every_token_but_the_first_exactly_once_from_the_one_before(length, seq_len):
    tokens = torch.arange(100, 100 + length, dtype=torch.int32)
    inputs_NT, targets_NT = data.windows(tokens, seq_len)
    assert inputs_NT.shape == targets_NT.shape and inputs_NT.shape[1] == seq_len
    assert inputs_NT.dtype == targets_NT.dtype == torch.int64
    counted = targets_NT != -100
    assert targets_NT[counted].tolist() == list(range(101, 100 + length))
    assert torch.equal(inputs_NT[counted], targets_NT[counted] - 1)
    assert counted.any(dim=1).all()  # no window of padding alone
    assert (inputs_NT[~counted] == 0).all()


@pytest.mark.parametrize("length, seq_len", [(1, 4), (0, 4), (10, 0)])
def test_windows_without_a_prediction_are_refused(length, seq_len):
    with pytest.raises(ValueError, match=f"seq_len must be at least 1.*got {seq_len} and {length}"):
        data.windows(torch.arange(length), seq_len)


# --- compressors


def test_noise_costs_eight_bits_and_zeros_nothing():
    noise = data.compressed_bits_per_byte(random.Random(0).randbytes(100_000))
    zeros = data.compressed_bits_per_byte(bytes(100_000))
    assert set(noise) == set(zeros) == {"gzip -9", "xz -9"}
    assert all(8 <= bits < 8.02 for bits in noise.values())
    assert all(bits < 0.02 for bits in zeros.values())
    with pytest.raises(ValueError, match="text must be at least one byte"):
        data.compressed_bits_per_byte(b"")


@pytest.mark.parametrize("command", ["gzip -9", "xz -9"])
def test_the_compressors_agree_with_the_commands_of_that_name(command):
    if not shutil.which(command.split()[0]):
        pytest.skip(f"no {command} here")
    text = Path(tokenize.__file__).read_bytes()
    out = subprocess.run([*command.split(), "-c"], input=text, stdout=subprocess.PIPE, check=True).stdout
    assert data.compressed_bits_per_byte(text)[command] == pytest.approx(8 * len(out) / len(text), rel=0.01)
