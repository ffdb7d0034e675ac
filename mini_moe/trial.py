"""Before a run: a few steps that are thrown away, to choose the faster precision and to turn seconds into steps."""

import dataclasses
import statistics

import torch
from tqdm.auto import tqdm

from mini_moe.config import ModelConfig
from mini_moe.data import Dataset
from mini_moe.dispatch import PATHS, fastest
from mini_moe.model import Transformer
from mini_moe.train import PRECISIONS, TrainConfig, make_optimizer, train

TRIAL_STEPS = 7  # in each precision


def choose(
    model_config: ModelConfig,
    train_config: TrainConfig,
    dataset: Dataset,
    seconds: float | None,
    precision: str | None,
    dispatch: str | None,
) -> tuple[TrainConfig, str]:
    """What is faster here, by a few steps of each: the precision of a run and its path of the expert product.

    Args:
        model_config: of the model to be trained.
        train_config: of the run, but for what is chosen here.
        dataset: its training tokens are those of the steps.
        seconds: for about so long the run is to train; sets its ``steps``. None leaves them.
        precision: one of ``train.PRECISIONS``; None takes the faster one.
        dispatch: a name in ``dispatch.PATHS``; None takes the fastest one, measured in each precision.

    Returns:
        ``train_config`` with its precision and steps, and the name of the path.

    Raises:
        ValueError: there are not enough tokens for a window.
        Diverged: the model's loss is not finite within these few steps.
    """
    tokens_a_step = train_config.batch_size * train_config.context
    precisions = [precision] if precision else PRECISIONS
    paths = {name: dispatch or fastest(model_config, tokens_a_step, name) for name in precisions}
    if seconds is not None or precision is None:
        step_seconds = {
            name: _seconds_of_a_step(
                Transformer(model_config, PATHS[paths[name]]),
                dataclasses.replace(train_config, steps=TRIAL_STEPS, precision=name),
                dataset.train,
            )
            for name in precisions
        }
        precision = min(step_seconds, key=step_seconds.get)
        if seconds is not None:
            train_config = dataclasses.replace(train_config, steps=max(1, round(seconds / step_seconds[precision])))
    return dataclasses.replace(train_config, precision=precision), paths[precision]


def _seconds_of_a_step(model: Transformer, trial: TrainConfig, tokens: torch.Tensor) -> float:
    """The median of a few steps of a model that is then thrown away; the first two are not counted."""
    steps = train(model, make_optimizer(model, trial), tokens, trial)
    bar = tqdm(steps, total=trial.steps, desc=f"timing {trial.precision}", unit="step", leave=False)
    return trial.batch_size * trial.context / statistics.median(step.tokens_per_second for step in list(bar)[2:])
