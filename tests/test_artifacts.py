"""What lessons start from is what it says: the checkpoint is measured again, and the beginning of every curve."""

import itertools
import json
import re
import statistics
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mini_moe import Transformer, data
from mini_moe.config import ModelConfig
from mini_moe.course import checkpoint, recorded, with_drafter
from mini_moe.course.experiments.record import EXPERIMENTS
from mini_moe.course.experiments.recorded import ARTIFACTS, fastest
from mini_moe.mtp import accepted
from mini_moe.provenance import circumstances
from mini_moe.train import TrainConfig, evaluate, make_optimizer, train

WINDOWS = 64  # of the held-out text: two seconds, and within 0.05 of the whole
RECORDS = sorted(path.stem for path in ARTIFACTS.glob("*.json"))
TRAINED = [name for name in RECORDS if "losses" in recorded(name) or "runs" in recorded(name)]


@pytest.fixture(scope="module")
def text(shared_home):
    return data.load(vocab_size=1024, progress=False)


def same_text(record, text):
    return circumstances(text)["text"]["fingerprint"] == record["run"]["text"]["fingerprint"]


def test_the_artifacts_are_small():
    assert sum(path.stat().st_size for path in ARTIFACTS.rglob("*")) < 20e6


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_says_where_it_comes_from(name):
    made = recorded(name)["run"]
    assert {"date", "python", "torch", "machine"} <= made.keys()


@pytest.mark.parametrize("name", TRAINED)
def test_a_training_says_what_it_took(name):
    record = recorded(name)
    assert record["tokens"] > 0 and record["minutes"] > 0 and "make artifacts" in record["how"]


@pytest.mark.parametrize("name", ["tiny", "deep"])
def test_the_checkpoint_is_in_sixteen_bits_and_measures_what_its_record_says(name, text):
    """Within 0.05 bits per byte on a part of the text; on another Python's library, within 0.3."""
    assert {tensor.dtype for tensor in load_file(ARTIFACTS / name / "model.safetensors").values()} == {torch.bfloat16}
    record, (model, tokenizer) = recorded(name), checkpoint(name)
    same = same_text(record, text)
    if not same:
        text = retokenized(text, tokenizer)
    measured = evaluate(model, text, TrainConfig(steps=1), n_windows=WINDOWS, progress=False)
    assert measured == pytest.approx(record["bits_per_byte of the checkpoint"], abs=0.05 if same else 0.3)


def retokenized(text, tokenizer):
    """The held-out text in the tokens of the checkpoint's own tokenizer."""
    ids = torch.tensor(tokenizer.encode(text.heldout_text.decode()).ids, dtype=torch.int32)
    return data.Dataset(text.name, tokenizer, text.train, ids, text.heldout_bytes, text.heldout_text)


def begins_as(losses, every, model_config, train_config, text):
    """Whether a training that begins now goes through the first point of a recorded curve."""
    torch.manual_seed(train_config.seed)
    model = Transformer(model_config)
    steps = train(model, make_optimizer(model, train_config), text.train, train_config)
    now = [step.loss for step in itertools.islice(steps, every)]
    return sum(now) / every == pytest.approx(losses[0], abs=0.02)


@pytest.mark.parametrize("name", ["tiny", "deep"])
def test_the_curve_of_the_checkpoint_begins_as_recorded(name, text):
    record = recorded(name)
    if not same_text(record, text):
        pytest.skip("recorded on the sources of another Python")
    configs = ModelConfig(**record["run"]["model"]), TrainConfig(**record["run"]["train"])
    assert begins_as(record["losses"], record["every"], *configs, text)


@pytest.mark.parametrize(("name", "plan"), [(name, plan) for name in EXPERIMENTS for plan in EXPERIMENTS[name].plans])
def test_a_recorded_comparison_is_of_these_plans_and_begins_as_recorded(name, plan, text):
    record, (model_config, train_config) = recorded(name), EXPERIMENTS[name].plans[plan]
    assert record["seeds"] == list(EXPERIMENTS[name].seeds)
    assert ModelConfig(**record["model"][plan]) == model_config
    assert TrainConfig(**record["train"][plan]) == train_config
    assert all(len(run["losses"]) * record["every"] == train_config.steps for run in record["runs"][plan])
    if not same_text(record, text):
        pytest.skip("recorded on the sources of another Python")
    assert begins_as(record["runs"][plan][0]["losses"], record["every"], model_config, train_config, text)


def test_the_record_shows_that_the_bias_balances_and_nothing_does_not():
    runs = recorded("balance")["runs"]
    assert all(run["load ratios"][-1] < 1.5 for run in runs["bias"])
    assert all(run["load ratios"][-1] > 2 for run in runs["none"])


def test_the_record_shows_experts_ahead_of_a_dense_model_beyond_the_noise_of_the_seeds():
    """By the mean of the leads, seed by seed, against its standard error."""
    runs = recorded("experts")["runs"]
    pairs = zip(runs["dense"], runs["8 experts"], strict=True)
    leads = [dense["bits_per_byte"] - experts["bits_per_byte"] for dense, experts in pairs]
    assert statistics.mean(leads) > 2 * statistics.stdev(leads) / len(leads) ** 0.5


def test_an_unknown_record_is_told_which_there_are():
    with pytest.raises(ValueError, match=f"name must be one of {', '.join(RECORDS)}, got 'huge'"):
        recorded("huge")
    with pytest.raises(ValueError, match="name must be one of deep, tiny, got 'huge'"):
        checkpoint("huge")
    assert json.loads((ARTIFACTS / "tiny" / "config.json").read_text())["model_type"] == "deepseek_v3"


def fastest_row(rows, start):
    return min((row for name, row in rows.items() if name.startswith(start)), key=lambda row: row["ms"])


SPEED = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8").partition("## Speed")[2]


def test_the_readme_tells_the_dispatch_record():
    record = recorded("dispatch")
    layers, counts = record["results"]["layers, small"], record["results"]["experts, small"]
    ours, many = fastest_row(layers, "MoE"), fastest_row(counts, "E = 64,")
    few, theirs = fastest_row(counts, "E = 4,"), fastest_row(layers, "transformers")
    same_total, same_active = fastest_row(layers, "dense, same total"), fastest_row(layers, "dense, same active")
    assert ours["ratio"] == few["ratio"] == [1, 1, 1], "what the recorded ratios are to"
    expected = [
        (theirs, ours, theirs["ratio"][0]),
        (same_total, ours, same_total["ratio"][0]),
        (ours, same_active, 1 / same_active["ratio"][0]),  # the rounds are odd: the median of the inverse ratios
        (many, few, many["ratio"][0]),
    ]
    speed = SPEED.partition("Writing, 200 tokens")[0]
    told = re.findall(r"\| ([\d.]+) ms : ([\d.]+) ms \| ([\d.]+) \|", speed)
    assert told == [(f"{a['ms'][0]:.1f}", f"{b['ms'][0]:.1f}", f"{ratio:.2f}") for a, b, ratio in expected]
    assert f"`{record['run']['command']}`, {record['run']['date']}" in speed
    writing = record["results"]["decoding, small"]
    one, other = (
        fastest({n: writing[n] for n in writing if n.startswith("transformers") == rival}) for rival in (0, 1)
    )
    assert f"{one[0]:.2f} ms against {other[0]:.2f} ms" in speed


def test_the_readme_tells_the_decode_record():
    results = recorded("decode")["results"]
    told = re.findall(r"\| (\d+) ms : (\d+) ms \| ([\d.]+)", SPEED.partition("Writing, 200 tokens")[2])
    expected = []
    for size in ("tiny", "small"):
        rows = results[f"plain, {size}"]["rows"]
        theirs = fastest_row(rows, "transformers")
        expected.append((theirs["ms"][0], rows["ours"]["ms"][0], theirs["ratio"][0]))
    one = results["deep, batch 1"]
    expected += [
        (one["plain"]["ms"][0], one[name]["ms"][0], one[name]["speed-up"][0]) for name in ("module", "n-grams")
    ]
    assert told == [(f"{a:.0f}", f"{b:.0f}", f"{ratio:.2f}") for a, b, ratio in expected]
    assert f"`{recorded('decode')['run']['command']}`, {recorded('decode')['run']['date']}" in SPEED


def test_the_record_shows_drafts_ahead_of_plain_writing_with_equal_texts():
    results = recorded("decode")["results"]
    assert results["deep, batch 1"]["module"]["speed-up"][0] > 1.4
    for size in ("tiny", "small"):
        equal, tried = results[f"plain, {size}"]["equal texts"]
        assert equal == tried > 0


def test_the_drafter_agrees_with_the_model_as_recorded(text):
    """On a part of the held-out text, within 0.05; and more often than the module that was trained on the text."""
    record, shares = recorded("drafter"), {}
    if not same_text(record, text):
        pytest.skip("recorded on the sources of another Python")
    windows, _ = data.windows(text.heldout, 256)
    windows = windows[torch.linspace(0, len(windows) - 1, 32).long()]
    for when, model in (("before", checkpoint("deep")[0]), ("after", with_drafter()[0])):
        with torch.inference_mode():
            output = model(windows)
            (further,) = model.predict_further(output.hidden, windows)
        shares[when] = accepted(output.logits, further.logits)[:, 64:-1].float().mean().item()
        assert shares[when] == pytest.approx(record[when]["held-out code"], abs=0.05)
    assert shares["after"] > shares["before"] + 0.02
