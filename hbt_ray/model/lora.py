"""Low-rank adapters (LoRA, arXiv 2106.09685) inside an encoder, through peft; saved models have them merged."""

from collections.abc import Sequence

from torch import Tensor, nn

from hbt_ray.errors import ConfigError, one_line

_ADAPTER = "default"


def add_lora(model: nn.Module, *, rank: int, alpha: float, targets: Sequence[str] = ()) -> None:
    """Puts adapters into `model`, which alone are trained from then on; at first they change no output.

    Args:
        model: a Hugging Face encoder.
        rank: of the adapters.
        alpha: their product is scaled by alpha / rank.
        targets: names of the linear layers that get one; empty: peft's choice for the architecture, else all linear.

    Raises:
        ConfigError: peft is not installed, or no layer has such a name.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
        from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as CHOICES
    except ImportError:
        raise ConfigError("model.lora_rank is set, which needs peft: pip install 'hbt-ray[lora]'") from None
    model_type = getattr(getattr(model, "config", None), "model_type", "")
    chosen = list(targets) or CHOICES.get(model_type) or "all-linear"
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=chosen, lora_dropout=0.0, bias="none")  # type: ignore[arg-type]
    try:
        inject_adapter_in_model(config, model, adapter_name=_ADAPTER)
    except ValueError as error:
        names = sorted({name.rsplit(".", 1)[-1] for name, part in model.named_modules() if isinstance(part, nn.Linear)})
        raise ConfigError(
            f"model.lora_targets={list(targets)!r}: {one_line(error)} Linear layers here: {', '.join(names)}"
        ) from None


def has_lora(model: nn.Module) -> bool:
    """Whether `model` has adapters."""
    return any(".lora_" in name for name, _ in model.named_parameters())


def merged_state(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The weights of the model without adapters that computes the same, from `state` of the one with them.

    Args:
        state: whole tensors by name, as `model.state_dict()` names them.
        model: has the scale of each adapter.
    """
    scales: dict[str, float] = {
        name: part.scaling[_ADAPTER] for name, part in model.named_modules() if hasattr(part, "lora_A")
    }
    merged = {}
    for name, tensor in state.items():
        if ".lora_" in name:
            continue
        layer, _, rest = name.partition(".base_layer.")
        if rest == "weight":
            down, up = (state[f"{layer}.lora_{side}.{_ADAPTER}.weight"] for side in "AB")
            tensor = tensor + scales[layer] * (up @ down)
        merged[f"{layer}.{rest}" if rest else name] = tensor
    return merged


def lora_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The adapters' own weights of `state`."""
    return {name: tensor for name, tensor in state.items() if ".lora_" in name}
