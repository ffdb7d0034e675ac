"""What a configuration must be is told by the name of the field."""

import dataclasses
import json

import pytest

from mini_moe.config import ModelConfig, Yarn, tiny

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


def test_what_does_not_slow_down_from_pair_to_pair_cannot_be_stretched():
    assert tiny().replace(rope_theta=1.0).rope_theta == 1
    with pytest.raises(ValueError, match=r"rope_theta must be above 1 where there is a rope_scaling, got 1\.0"):
        tiny().replace(rope_theta=1.0, rope_scaling=PUBLISHED)


def test_a_configuration_comes_back_from_json():
    for config in (tiny(), tiny().replace(rope_scaling=PUBLISHED)):
        again = ModelConfig(**json.loads(json.dumps(dataclasses.asdict(config))))
        assert again == config and hash(again) == hash(config)
