"""The layer that takes the place of an `nn.Conv2d`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..nn import LinearGroup, OrbitConv2d
from ..nn.learned_groups import GroupModule


class ConvertedConv2d(OrbitConv2d):
    """An `OrbitConv2d` of kind `"orbits"` whose output maps are in the order of the convolution that it replaces.

    The network around it depends on that order. The filters are put into it, not the maps, so the order costs
    nothing in the convolution.

    Args:
        conv: the convolution to replace. Its sizes, stride, padding, dilation, groups, device and dtype are taken over.
        group: the action of all orbits, or a batch of actions.
        owns_group: whether the parameters of the group belong to this layer. A group that several layers share
            belongs to one of them, so that it is in the `state_dict` once.

    Attributes:
        output_order: which filter, orbit * |G| + element, makes each output map; whole numbers, (out_channels,).
    """

    output_order: Tensor

    def __init__(self, conv: nn.Conv2d, group: LinearGroup | GroupModule, owns_group: bool = True):
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            group,
            kind="orbits",
            stride=conv.stride,
            padding=conv.padding,
            dilation=conv.dilation,
            groups=conv.groups,
            bias=conv.bias is not None,
            padding_mode=conv.padding_mode,
            device=conv.weight.device,
            dtype=conv.weight.dtype,
        )
        if not owns_group and "group" in self._modules:
            del self._modules["group"]
            self.__dict__["group"] = group  # a reference, which named_parameters does not follow
        self.register_buffer("output_order", torch.arange(conv.out_channels, device=conv.weight.device))

    @property
    def transforms(self) -> tuple[str, str]:
        return ("image", "image")  # the maps are not laid out orbit by orbit

    def _assemble(self) -> Tensor:
        return super()._assemble().index_select(0, self.output_order)
