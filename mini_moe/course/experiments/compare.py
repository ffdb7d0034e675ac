"""Train several models side by side, and keep what a plot needs of each.

The models take turns, a step of each, so that whatever slows the machine down slows all of them alike: their times can
be compared.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from tqdm.auto import tqdm

from mini_moe.balance import expert_load
from mini_moe.config import ModelConfig
from mini_moe.data import Dataset
from mini_moe.model import Transformer
from mini_moe.moe import MoE
from mini_moe.train import Step, TrainConfig, evaluate, make_optimizer, train

Plan = tuple[ModelConfig, TrainConfig]


@dataclass
class Run:
    """One training: what each step told, and the measure at the end."""

    losses: list[float] = field(default_factory=list)  # nats a token
    load_ratios: list[float] = field(default_factory=list)  # busiest expert over the mean, in the worst layer
    loads: list[list[list[int]]] = field(default_factory=list)  # tokens of each expert, by step and layer
    seconds: list[float] = field(default_factory=list)  # of each step
    bits_per_byte: float | None = None  # on held-out text


def compare(plans: dict[str, Plan], text: Dataset, *, seeds: list[int], n_windows: int | None) -> dict[str, list[Run]]:
    """Train by every plan once for each seed; the seed decides the first weights and the batches.

    Args:
        plans: a name -> the model, and how to train it.
        n_windows: measure on so many windows of the held-out text; None takes all of it.

    Returns:
        for each plan its runs, in the order of the seeds.
    """
    runs = {name: [] for name in plans}
    steps = sum(train_config.steps for _, train_config in plans.values())
    with tqdm(total=len(seeds) * steps, desc="training", unit="step") as bar:
        for seed in seeds:
            trainings = [_Training(plan, text, seed) for plan in plans.values()]
            for turn in itertools.zip_longest(*(training.steps() for training in trainings)):
                bar.update(sum(step is not None for step in turn))
            for name, training in zip(plans, trainings, strict=True):
                bar.set_postfix_str(f"measuring {name}")
                runs[name].append(training.measured(n_windows))
    return runs


class _Training:
    def __init__(self, plan: Plan, text: Dataset, seed: int):
        model_config, train_config = plan
        torch.manual_seed(seed)
        self.model, self.text, self.run = Transformer(model_config), text, Run()
        self.config = dataclasses.replace(train_config, seed=seed)
        self.counted = []  # loads of the step in work, a layer each

    def steps(self) -> Iterator[Step]:
        layers = [module for module in self.model.modules() if isinstance(module, MoE)]
        hooks = [layer.register_forward_hook(self._count) for layer in layers]
        for step in train(self.model, make_optimizer(self.model, self.config), self.text.train, self.config):
            self.run.losses.append(step.loss)
            self.run.load_ratios.append(step.load_ratio)
            self.run.seconds.append(self.config.batch_size * self.config.context / step.tokens_per_second)
            self.run.loads.append(self.counted)
            self.counted = []
            yield step
        for hook in hooks:
            hook.remove()

    def _count(self, layer, _inputs, output):
        experts = output[1].experts_BTK.flatten()
        self.counted.append(expert_load(experts, layer.config.n_routed_experts).int().tolist())

    def measured(self, n_windows: int | None) -> Run:
        self.run.bits_per_byte = evaluate(self.model, self.text, self.config, n_windows=n_windows, progress=False)
        return self.run
