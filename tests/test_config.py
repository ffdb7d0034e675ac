"""What a configuration must be is told by the name of the field."""

import dataclasses
import json

import pytest

from mini_moe.config import ModelConfig, Yarn, tiny
from mini_moe.train import TrainConfig

PUBLISHED = Yarn(factor=40, original_max_position_embeddings=4096)


@pytest.mark.parametrize(
    "fields, told",
    [
        ({"factor": 0.5}, "factor must be a number of at least 1, got 0.5"),
        ({"factor": float("inf")}, "factor must be a number of at least 1, got inf"),
        ({"beta_slow": 0}, "beta_slow must be a positive number, got 0"),
        ({"beta_fast": 0.5}, "beta_fast must be at least beta_slow = 1.0, got 0.5"),
        ({"mscale": -1.0}, "mscale must be a positive number, got -1.0"),
        ({"mscale_all_dim": float("nan")}, "mscale_all_dim must be a positive number, got nan"),
        ({"original_max_position_embeddings": 6}, "original_max_position_embeddings must be at least .* 7, got 6"),
    ],
)
def test_a_stretch_that_makes_no_sense_is_refused_by_the_name_of_its_field(fields, told):
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(PUBLISHED, **fields)


@pytest.mark.parametrize(
    "fields, told",
    [
        ({"hidden_size": 32.0}, "hidden_size must be of type int, got 32.0"),
        ({"n_routed_experts": True}, "n_routed_experts must be of type int, got True"),
        ({"q_lora_rank": 24.0}, r"q_lora_rank must be of type int \| None, got 24.0"),
        ({"norm_topk_prob": 1}, "norm_topk_prob must be of type bool, got 1"),
        ({"rope_theta": "10000"}, "rope_theta must be of type float, got '10000'"),
        ({"rope_scaling": 40}, "rope_scaling must be None, a Yarn or a dict of its fields, got 40"),
        ({"rope_scaling": {}}, "rope_scaling must be None, a Yarn or a dict of its fields, got {}"),
        ({"rope_scaling": {"factor": 4, "type": "yarn"}}, "a Yarn or a dict of its fields, got {'factor': 4, 'type'"),
        (
            {"rope_scaling": {"factor": 4, "original_max_position_embeddings": 12.5}},
            "original_max_position_embeddings must be of type int, got 12.5",
        ),
    ],
)
def test_a_field_of_another_type_is_refused_by_its_name(fields, told):
    with pytest.raises(ValueError, match=told):
        tiny().replace(**fields)


def test_half_a_step_is_refused_and_a_whole_number_may_stand_for_a_float():
    with pytest.raises(ValueError, match=r"steps must be of type int, got 2\.5"):
        TrainConfig(steps=2.5)
    with pytest.raises(ValueError, match="balance_scope must be one of sequence, batch, got token"):
        TrainConfig(steps=2, balance_scope="token")
    assert TrainConfig(steps=2, learning_rate=1).learning_rate == tiny().replace(rope_theta=1).rope_theta == 1


def test_what_does_not_slow_down_from_pair_to_pair_cannot_be_stretched():
    assert tiny().replace(rope_theta=1.0).rope_theta == 1
    with pytest.raises(ValueError, match=r"rope_theta must be above 1 where there is a rope_scaling, got 1\.0"):
        tiny().replace(rope_theta=1.0, rope_scaling=PUBLISHED)


def test_a_configuration_comes_back_from_json():
    for config in (tiny(), tiny().replace(rope_scaling=PUBLISHED)):
        again = ModelConfig(**json.loads(json.dumps(dataclasses.asdict(config))))
        assert again == config and hash(again) == hash(config)
