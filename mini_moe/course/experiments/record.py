"""Train what takes longer than a lesson has, and keep it in ``artifacts/``: ``make artifacts``, or one by its name:

    python -m mini_moe.course.experiments.record experts

Each record tells how it was made: command, seeds, text, machine, date. What is done is kept under ``home()`` until the
record is written: after Ctrl-C or a crash the same command goes on, with `tiny` where it stopped, with a comparison
after the last whole seed.

    tiny      the preset `tiny`, trained for 3,000 steps; its weights too, in bfloat16
    deep      five times as many layers, and a prediction module: 1,600 steps; lessons 06 and 07
    experts   experts against a dense model of the same work; lesson 03
    drafter   the module of `deep`, trained further to say what the model says; lesson 07
    mtp       with a prediction module and without, the latter also for as long; lesson 06
    balance   no remedy, the loss, of two scopes and strengths, and the bias; lesson 04
"""

import argparse
import dataclasses
import hashlib
import json
import shutil
import statistics
import time
from functools import partial

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save
from tqdm.auto import tqdm

from mini_moe import data, run
from mini_moe.balance import load_ratio
from mini_moe.config import ModelConfig, tiny
from mini_moe.course.experiments.compare import Plan, Run, compare
from mini_moe.course.experiments.recorded import ARTIFACTS, checkpoint
from mini_moe.files import home, write_atomically, write_json
from mini_moe.generate import generate
from mini_moe.hf import load_pretrained
from mini_moe.model import Transformer
from mini_moe.mtp import accepted
from mini_moe.provenance import circumstances
from mini_moe.train import TrainConfig, evaluate, learning_rate

EVERY = 10  # steps: a curve is the mean of so many


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is compared, and by how many seeds."""

    plans: dict[str, Plan]
    seeds: tuple[int, ...]


def _plan(model_config: ModelConfig, steps: int, **changes) -> Plan:
    return model_config, TrainConfig(**{"steps": steps, "precision": "bfloat16"} | changes)


# A model to be kept, the steps of its training, and the precision: what was faster on the machine that recorded it.
MODELS = {
    "tiny": (tiny(), 3000, "bfloat16"),
    "deep": (tiny().replace(num_hidden_layers=20, num_nextn_predict_layers=1), 1600, "float32"),
}
DENSE = tiny().replace(first_k_dense_replace=tiny().num_hidden_layers)
SIXTEEN = tiny().replace(n_routed_experts=16)
EXPERIMENTS = {
    "balance": Experiment(
        {
            "none": _plan(SIXTEEN, 300, balance_alpha=0.0, bias_gamma=0.0),
            "loss 0.01": _plan(SIXTEEN, 300, balance_alpha=0.01, bias_gamma=0.0),
            "loss 0.01, batch": _plan(SIXTEEN, 300, balance_alpha=0.01, balance_scope="batch", bias_gamma=0.0),
            "loss 1": _plan(SIXTEEN, 300, balance_alpha=1.0, bias_gamma=0.0),
            "bias": _plan(SIXTEEN, 300, balance_alpha=0.0),
        },
        seeds=(0, 1, 2),
    ),
    "experts": Experiment(
        {
            "dense": _plan(DENSE, 800),
            "dense, as long": _plan(DENSE, 920),  # about the time that 800 steps with experts take
            "8 experts": _plan(tiny(), 800),
        },
        seeds=(0, 1, 2, 3, 4),
    ),
    "mtp": Experiment(
        {
            "plain": _plan(tiny(), 500, precision="float32"),
            "with module": _plan(tiny().replace(num_nextn_predict_layers=1), 500, precision="float32"),
            "plain, as long": _plan(tiny(), 700, precision="float32"),  # about the time that the module takes
        },
        seeds=(0, 1, 2),
    ),
}


def record_model(name: str) -> None:
    """A run: its curve, and its weights as a folder in transformers' format."""
    folder = home() / "records" / name
    model_config, steps, precision = MODELS[name]
    if not (folder / "run.json").exists():
        run.start(folder, model_config, TrainConfig(steps=steps), None, precision=precision, dispatch="grouped")
    elif not (folder / "result.json").exists():
        run.resume(folder)
    if not (folder / "result.json").exists():
        raise SystemExit("Stopped; `make artifacts` goes on from here.")
    made, result = (json.loads((folder / file).read_text()) for file in ("run.json", "result.json"))
    steps = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    train_config = TrainConfig(**made["train"])
    tokens = train_config.batch_size * train_config.context
    for file in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        write_atomically(ARTIFACTS / name / file, (folder / file).read_bytes())
    weights = {name: tensor.bfloat16() for name, tensor in load_file(folder / "model.safetensors").items()}
    write_atomically(ARTIFACTS / name / "model.safetensors", save(weights, metadata={"format": "pt"}))
    text = data.load(vocab_size=model_config.vocab_size)
    content = {
        "bits_per_byte": result["bits_per_byte"],
        "bits_per_byte of the checkpoint": evaluate(load_pretrained(ARTIFACTS / name), text, train_config),
        "gzip -9": result["gzip -9"],
        "xz -9": result["xz -9"],
        "steps": len(steps),
        "losses": _means([step["loss"] for step in steps]),
    }
    _write(name, content, tokens * len(steps), sum(tokens / step["tokens_per_second"] for step in steps), made)
    shutil.rmtree(folder)


PROMPT, WRITTEN, ROWS = 64, 192, 64  # tokens of a prompt, tokens written after it, and so many prompts at once


def record_drafter() -> None:
    """The module of `deep` alone, trained on text that the model wrote, to say what the model says there.

    The loss is the divergence of the module's prediction from the model's own, one position later. It is a matter of
    minutes, and begins anew after Ctrl-C.
    """
    (model, _), text = checkpoint("deep"), data.load(vocab_size=1024)
    model.requires_grad_(False).mtp.requires_grad_(True)
    config = TrainConfig(steps=320, learning_rate=3e-3, seed=1)
    tried, _ = data.windows(text.heldout, PROMPT + WRITTEN)
    tried = tried[torch.linspace(0, len(tried) - 1, 32).long()]
    before = _agreement(model, tried)
    optimizer = torch.optim.AdamW(model.mtp.parameters(), betas=(0.8, 0.95), weight_decay=config.weight_decay)
    losses, written, start = [], [], time.perf_counter()
    for step in tqdm(range(1, config.steps + 1), desc="training the module", unit="step"):
        if not written:
            prompts, _ = data.batch(text.train, step, batch_size=ROWS, seq_len=PROMPT, seed=config.seed)
            written = list(generate(model, prompts, WRITTEN).split(config.batch_size))
        tokens = written.pop()
        with torch.no_grad():
            output = model(tokens)
        (further,) = model.predict_further(output.hidden, tokens)
        says, guesses = output.logits[:, 1:].log_softmax(-1), further.logits[:, :-1].log_softmax(-1)
        loss = F.kl_div(guesses.flatten(0, 1), says.flatten(0, 1), log_target=True, reduction="batchmean")
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    seconds = time.perf_counter() - start
    weights = {name: tensor.bfloat16() for name, tensor in model.mtp.state_dict().items()}
    write_atomically(ARTIFACTS / "drafter.safetensors", save(weights, metadata={"format": "pt"}))
    content = {"steps": config.steps, "losses": _means(losses), "before": before, "after": _agreement(model, tried)}
    made = circumstances(text) | {"train": dataclasses.asdict(config), "model": dataclasses.asdict(model.config)}
    _write("drafter", content, config.steps * config.batch_size * (PROMPT + WRITTEN), seconds, made)


@torch.inference_mode()
def _agreement(model: Transformer, windows: torch.Tensor) -> dict[str, float]:
    """Share of the module's guesses that the model accepts: in a given text, and in what it writes itself."""
    shares = {}
    for name, tokens in (
        ("held-out code", windows),
        ("written by the model", generate(model, windows[:, :PROMPT], WRITTEN)),
    ):
        output = model(tokens)
        (further,) = model.predict_further(output.hidden, tokens)
        shares[name] = round(accepted(output.logits, further.logits)[:, PROMPT:-1].float().mean().item(), 4)
    return shares


def record_comparison(name: str) -> None:
    """Train by every plan of an experiment, seed after seed."""
    experiment, text = EXPERIMENTS[name], data.load(vocab_size=tiny().vocab_size)
    parts, folder = [], home() / "records" / name
    for seed in experiment.seeds:
        path = folder / f"{seed}-{_fingerprint(experiment.plans, text)}.json"
        if not path.exists():
            runs = compare(experiment.plans, text, seeds=[seed], n_windows=None)
            content = {"runs": {plan: _short(made) for plan, (made,) in runs.items()}, "made": circumstances(text)}
            write_atomically(path, json.dumps(content).encode())
        parts.append(json.loads(path.read_text()))
    runs = {plan: [part["runs"][plan] for part in parts] for plan in experiment.plans}
    configs = [train_config for _, train_config in experiment.plans.values()]
    content = {
        "seeds": experiment.seeds,
        "steps": configs[0].steps,
        "train": {plan: dataclasses.asdict(config) for plan, (_, config) in experiment.plans.items()},
        "model": {plan: dataclasses.asdict(config) for plan, (config, _) in experiment.plans.items()},
        "runs": runs,
    }
    tokens = len(parts) * sum(config.steps * config.batch_size * config.context for config in configs)
    seconds = sum(len(made["losses"]) * EVERY * made["seconds a step"] for plan in runs.values() for made in plan)
    _write(name, content, tokens, seconds, parts[-1]["made"])
    shutil.rmtree(folder)


def _fingerprint(plans: dict[str, Plan], text: data.Dataset) -> str:
    """Parts of one record must be of the same plans, on the same text."""
    same = [repr(plans), circumstances(text)["text"], torch.__version__]
    return hashlib.sha256(json.dumps(same).encode()).hexdigest()[:16]


def _short(made: Run) -> dict:
    """What a lesson draws, at a tenth of the length."""
    tens = [torch.tensor(made.loads[i : i + EVERY]).sum(0) for i in range(0, len(made.loads), EVERY)]
    return {
        "bits_per_byte": made.bits_per_byte,
        "seconds a step": statistics.median(made.seconds),
        "losses": _means(made.losses),
        "load ratios": [round(load_ratio(load), 3) for load in tens],
    }


def _means(values: list[float]) -> list[float]:
    return [round(statistics.mean(values[i : i + EVERY]), 4) for i in range(0, len(values), EVERY)]


def _write(name: str, content: dict, tokens: int, seconds: float, made: dict) -> None:
    minutes = seconds / 60
    how = f"{tokens / 1e6:.1f} million tokens in {minutes:.0f} minutes, recorded {made['date'][:10]}: `make artifacts`"
    keys = ("text", "command", "date", "python", "torch", "machine", "train", "model", "dispatch")
    content |= {"how": how, "tokens": tokens, "minutes": round(minutes, 1), "every": EVERY}
    content["run"] = {key: made[key] for key in keys if key in made}
    write_json(ARTIFACTS / f"{name}.json", content)


RECORDS = {name: partial(record_model, name) for name in MODELS}
RECORDS["drafter"] = record_drafter
RECORDS |= {name: partial(record_comparison, name) for name in EXPERIMENTS}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train and record what lessons start from.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECORDS)}; default: all")
    names = parser.parse_args().names
    if unknown := set(names) - RECORDS.keys():
        parser.error(f"NAME must be one of {', '.join(RECORDS)}, got {unknown.pop()}.")
    for name in names or RECORDS:
        RECORDS[name]()
