"""transformers' MtpModel with the weights of a ``Transformer``'s prediction modules."""

from transformers import DeepseekV3ForCausalLM
from transformers.modeling_layers import MtpModel

from mini_moe import Transformer
from oracles.deepseek_v3 import zero_widths

OUTSIDE = {"enorm": "enorm", "hnorm": "hnorm", "eh_proj": "eh_proj", "shared_head.norm": "post_norm"}


def module_of(model: Transformer, main: DeepseekV3ForCausalLM) -> MtpModel:
    """The oracle for ``model.mtp``, beside the oracle of the model itself."""
    with zero_widths():
        modules = MtpModel(main, len(model.mtp))
    state = {}
    for name, tensor in model.mtp.state_dict().items():
        k, _, rest = name.partition(".")
        module = rest.removesuffix(".weight")
        state[f"layers.{k}." + (f"{OUTSIDE[module]}.weight" if module in OUTSIDE else f"mtp_block.{rest}")] = tensor
    missing, unexpected = modules.load_state_dict(state, strict=False)
    own = {name for name, tensor in modules.state_dict().items() if name.startswith("layers.") and tensor.numel()}
    assert not unexpected and not own.intersection(missing), (missing, unexpected)
    return modules
