"""What all LGN models share: loading, saving, initialisation, and the accessors of filters and actions."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from transformers import initialization as init

from .configuration_lgn import LGNConfig
from .filters import unit_norm, unvec, vec
from .group_actions import GroupAction
from .loading_checks import CheckedPreTrainedModel, model_name
from .regularizers import REGULARIZERS

if TYPE_CHECKING:
    from .modeling_lgn import LGNModel

    try:  # transformers demands that users of remote code have installed what is imported outside `try`
        from lgn_hf.actions import Actions
    except ImportError:
        raise

# What a Hub repository says of its classes. Each network adds itself, see `LGNPreTrainedModel.__init_subclass__`.
AUTO_MAP = {
    "AutoConfig": "configuration_lgn.LGNConfig",
    "AutoImageProcessor": "image_processing_lgn.LGNImageProcessor",
}


def without_autocast(method: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
    """Run a method of a model in its own precision: powers of a matrix in bfloat16 lose the group."""

    @functools.wraps(method)
    def wrapped(self: LGNPreTrainedModel) -> Tensor:
        with torch.autocast(self._lgn.basis.device.type, enabled=False):
            return method(self)

    return wrapped


class LGNPreTrainedModel(CheckedPreTrainedModel):
    """Base class of the LGN models.

    Accessors always return L layers and K groups, even where layers or groups share. Actions and orbits are computed in
    float32 at least; `base_filters` and `thresholds` return the parameters in the dtype that they have.
    """

    config: LGNConfig
    config_class = LGNConfig
    base_model_prefix = "lgn"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # or `Trainer` would leave the mean over accumulated batches to the loss
    input_modalities = ("image",)  # pyrefly: ignore[bad-assignment]  (as in transformers' own models)
    _never_dropped = ("norms.",)
    # Exports leave the auxiliary matrices of the inverse regularizer out; loading computes them from the actions.
    _keys_to_ignore_on_load_missing = [r"(^|\.)auxiliary_inverses$"]  # noqa: RUF012

    # Initialisation

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        module = cls.__module__.rpartition(".")[2]
        if module == "modeling_lgn":
            AUTO_MAP[cls.__dict__["_auto_class"]] = f"{module}.{cls.__name__}"

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (GroupAction, LGNPreTrainedModel)):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):  # torch's own initialisation, which the papers' code uses
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))
            bound = module.in_features**-0.5
            init.uniform_(module.bias, -bound, bound)
        else:
            super()._init_weights(module)

    def reset_parameters(self) -> None:
        """Draw the parameters that belong to this module itself, not to its parts."""

    # Loading and saving

    def save_pretrained(  # pyrefly: ignore[bad-override]
        self, save_directory, *, state_dict: dict[str, Tensor] | None = None, **kwargs
    ):
        """As in transformers, without the auxiliary matrices of training, and with the code for remote loading."""
        state_dict = self.state_dict() if state_dict is None else state_dict
        exported = {key: value for key, value in state_dict.items() if not key.endswith("auxiliary_inverses")}
        self.config.auto_map = dict(AUTO_MAP)
        super().save_pretrained(save_directory, state_dict=exported, **kwargs)

    # Accessors

    def base_filters(self) -> Tensor:
        """The basis filters W: (L, K, C, n, m)."""
        return self._expanded(self._lgn.basis)

    def thresholds(self) -> Tensor:
        """The soft thresholds lambda: (L, K*p)."""
        return self._lgn.threshold

    @without_autocast
    def group_actions(self) -> Tensor:
        """The generators A, or the matrix of one step for `rotation`: (L, K, C or 1, d, d)."""
        return self._expanded(self._lgn.action.generators(self._lgn.wide_basis))

    @without_autocast
    def orbit_operators(self) -> Tensor:
        """Operator i maps vec(basis filter) to vec(filter i) of its group: (L, K, C or 1, p, d, d)."""
        return self._expanded(self._lgn.action.operators(self._lgn.wide_basis))

    @without_autocast
    def filter_bank(self) -> Tensor:
        """The orbits of the basis filters (eq. 9): (L, K, p, C, n, m).

        Filter k*p + i of a layer is power i of group k (eq. 11).
        """
        orbits = self._lgn.action.orbit(vec(self._lgn.wide_basis))  # (1 or L, K, C, p, d)
        return self._expanded(unvec(orbits, self.config.filter_size).transpose(2, 3))

    def actions(self) -> Actions:
        """All generators as they are now, as a container to look at, apply, diagnose and save.

        Raises:
            ImportError: the package lgn-hf is not installed (this module may have come with a model repository).
        """
        try:
            from lgn_hf.actions import Actions
        except ImportError as error:
            raise ImportError("looking at actions takes the package: pip install lgn-hf") from error

        config = self.config
        return Actions(
            self.group_actions(),
            config.group_order,
            basis=self.base_filters(),
            name=model_name(self),
            config={name: getattr(config, name) for name in (*config.own_fields(), "num_labels")},
        )

    # Training

    @without_autocast
    def regularization_loss(self) -> Tensor:
        """mu times the invertibility loss, summed over layers, groups and channels (eq. 12, eq. 14 or appendix B).

        An action that groups, channels or untied layers share counts once. The loss is 0 if there is nothing to
        regularize: `regularizer="none"`, fixed rotations, or groups of order 1.
        """
        lgn, config = self._lgn, self.config
        regularizer = REGULARIZERS[config.regularizer or "none"]
        if regularizer.loss is None or lgn.action.is_fixed:
            return lgn.basis.new_zeros(())
        basis, inverses = lgn.wide_basis, lgn.auxiliary_inverses
        inverses = None if inverses is None else inverses.to(basis.dtype)
        losses = regularizer(lgn.action.generators(basis), inverses)
        layers_per_action = config.num_layers // config.num_distinct_layers
        return (config.regularizer_weight or 0.0) * layers_per_action * losses.sum()

    @torch.no_grad()
    def project_(self) -> None:
        """Rescale basis filters and actions in place, as the papers do after every optimiser step.

        Each n x m slice of a basis filter goes to unit Frobenius norm. Each d x d action goes to norm 1
        (`projection="frobenius"`) or sqrt(d) (`"rms"`: singular values of mean square 1); cyclic and fixed actions stay.
        `projection="none"` does nothing.
        """
        if self.config.projection == "none":
            return
        lgn = self._lgn
        lgn.basis.copy_(unit_norm(lgn.basis))
        lgn.action.project_(1.0 if self.config.projection == "frobenius" else math.sqrt(self.config.filter_dim))

    @property
    def _lgn(self) -> LGNModel:
        return cast("LGNModel", self.base_model)

    def _expanded(self, tensor: Tensor) -> Tensor:
        """All L layers and K groups, (L, K, ...), as views of those that exist."""
        return tensor.expand(self.config.num_layers, self.config.num_groups, *tensor.shape[2:])
