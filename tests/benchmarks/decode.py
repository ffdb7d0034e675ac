"""Decoding: plain against transformers' ``generate``, and with drafts against without, on held-out code.

    python tests/benchmarks/decode.py [--record]     on a quiet machine; about ten minutes

How it is measured stands in ``turns.py``: a turn is a whole call, prompt and preparation included, and every round has
another prompt. `tiny` is the trained artifact, `small` has fresh weights. Drafts are measured on the artifact `deep`
with its further trained module, and what they cost on models of fewer layers, too.
``--record`` writes ``mini_moe/artifacts/decode.json``.
"""

import argparse
import itertools
import statistics
import tempfile

import torch
from transformers import AutoModelForCausalLM
from turns import IMPLEMENTATIONS, WARM_UP, fastest_of, record, summary, table, take_turns

from mini_moe import Transformer, config, data
from mini_moe.course import checkpoint, with_drafter
from mini_moe.generate import generate, overhead
from mini_moe.hf import save_pretrained
from mini_moe.speculative import speedup

PROMPT, NEW = 64, 200
SETTINGS = {"do_sample": False, "pad_token_id": 0}


def oracle_of(model):
    """The same weights in transformers' model."""
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(model, folder)
        oracle = AutoModelForCausalLM.from_pretrained(folder).eval()
    oracle.generation_config.eos_token_id = None  # both write on after the end of a file
    return oracle


def theirs(oracle, implementation, prompt, new):
    oracle.config._experts_implementation = implementation
    with torch.inference_mode():
        return oracle.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=new, **SETTINGS)


def plain_table(name, model, prompts, rounds):
    """Ours against transformers, each of its settings; the texts must be equal."""
    oracle = oracle_of(model)
    equal = [torch.equal(generate(model, p, NEW), theirs(oracle, "eager", p, NEW)) for p in prompts[:5]]
    turns = {name: itertools.cycle(prompts) for name in ("ours", *IMPLEMENTATIONS)}
    contenders = {"ours": lambda: generate(model, next(turns["ours"]), NEW)}
    contenders |= {
        f"transformers, {each}": lambda each=each: theirs(oracle, each, next(turns[each]), NEW)
        for each in IMPLEMENTATIONS
    }
    title = f"{name}, {NEW} tokens after {PROMPT}, batch 1; equal texts: {sum(equal)} of {len(equal)}"
    times = take_turns(contenders, rounds, title)
    rows = table(title, times, "ours")
    print("  fastest of transformers: " + fastest_of(times, "transformers"))
    return {"equal texts": [sum(equal), len(equal)], "rows": rows}


def drafts_table(name, model, prompts, batch_size, rounds):
    """With drafts against without; beside it what the formula foretells from acceptance and measured overhead."""
    batches = [torch.cat(prompts[i : i + batch_size]) for i in range(0, len(prompts) - batch_size + 1, batch_size)]
    kinds = {
        "plain": {},
        "module": {"speculative": True},
        "module, gated": {"speculative": True, "gate": overhead(model, batches[0])},
        "n-grams": {"speculative": True, "drafter": "ngram"},
    }
    turns = {kind: itertools.cycle(batches) for kind in kinds}
    stats = {kind: [] for kind in kinds}

    def turn(kind):
        stats[kind].append(generate(model, next(turns[kind]), NEW, return_stats=True, **kinds[kind])[1])

    title = f"{name}, batch {batch_size}"
    times = take_turns({kind: lambda kind=kind: turn(kind) for kind in kinds}, rounds, title)
    rows = table(title, times, "plain")
    costs = {
        "module": [overhead(model, batch) for batch in batches[:5]],
        "n-grams": [overhead(model, batch, drafter="ngram") for batch in batches[:5]],
    }
    for kind, row in rows.items():
        made = stats[kind][WARM_UP:]
        row["tokens a second"] = round(statistics.median(s.tokens_per_second for s in made), 1)
        row["distinct experts"] = round(statistics.mean(s.distinct_experts for s in made), 3)
        if kind in costs:
            row["acceptance"] = round(sum(s.accepted for s in made) / sum(s.drafted for s in made), 3)
            row["overhead"] = round(statistics.median(costs[kind]), 3)
            row["foretold"] = round(speedup(row["acceptance"], row["overhead"]), 3)
        pairs = zip(stats["plain"][WARM_UP:], made, strict=True)
        row["speed-up"] = summary([b.tokens_per_second / a.tokens_per_second for a, b in pairs])
        print(f"  {kind}: " + str({key: value for key, value in row.items() if key not in ("ms", "ratio")}))
    return rows


def layers_table(prompt, rounds):
    """What a draft costs at each depth: fresh weights, for the cost does not depend on them."""
    rows = {}
    for layers in (4, 8, 12, 20):
        torch.manual_seed(0)
        model = Transformer(config.tiny().replace(num_hidden_layers=layers, num_nextn_predict_layers=1))
        rows[str(layers)] = sorted(round(overhead(model, prompt), 3) for _ in range(rounds))
        print(f"  {layers} layers: overhead {statistics.median(rows[str(layers)])}")
    return rows


def context_table(model, text, rounds):
    """Milliseconds of one token after so many: a call for 33 tokens less a call for one."""
    oracle = oracle_of(model)
    results = {}
    for context in (128, 512, 1024, 2015):
        prompt = text[None, :context]
        contenders = {
            f"{who}, {new}": lambda write=write, new=new, prompt=prompt: write(prompt, new)
            for who, write in (
                ("ours", lambda p, n: generate(model, p, n)),
                ("transformers", lambda p, n: theirs(oracle, "grouped_mm", p, n)),
            )
            for new in (1, 33)
        }
        times = take_turns(contenders, rounds, f"context {context}")
        results[str(context)] = {
            who: round(
                statistics.median((b - a) / 32 for a, b in zip(times[f"{who}, 1"], times[f"{who}, 33"], strict=True)), 3
            )
            for who in ("ours", "transformers")
        }
        print(f"  after {context} tokens, ms a token: {results[str(context)]}")
    return results


def main(rounds: int) -> dict:
    (tiny, _), (deep, _) = checkpoint("tiny"), with_drafter()
    heldout = data.load(vocab_size=1024).heldout.long()
    starts = torch.linspace(0, len(heldout) - PROMPT, 48).long().tolist()
    prompts = [heldout[None, start : start + PROMPT] for start in starts]
    torch.manual_seed(0)
    small = Transformer(config.small())
    results = {
        "plain, tiny": plain_table("tiny", tiny, prompts, rounds),
        "plain, small": plain_table("small", small, prompts, rounds),
    }
    for batch_size in (1, 4, 16):
        name = f"deep, batch {batch_size}"
        results[name] = drafts_table("deep", deep, prompts, batch_size, rounds)
    results["overhead by layers"] = layers_table(prompts[0], 5)
    results["context, tiny"] = context_table(tiny, heldout, rounds)
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--record", action="store_true", help="write mini_moe/artifacts/decode.json")
    options = parser.parse_args()
    results = main(options.rounds)
    if options.record:
        record("decode", f"--rounds {options.rounds}", results)
