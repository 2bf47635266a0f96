"""Attention across frames: every frame of a window also looks at one of them, its anchor, so that all agree.

Self-attention whose keys and values come from the frame and from an anchor frame together (Wu et al., "Tune-A-Video",
2023; Khachatryan et al., "Text2Video-Zero", 2023). The anchor is edited first and what it showed is kept; the others
read that, so that none depends on which of the rest came along. A frame that equals the anchor is not changed by it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Anchor:
    """What each self-attention of the anchor frame saw, by timestep, branch of the guidance, and layer."""

    kept: dict[tuple[int, int, str], Tensor] = field(default_factory=dict)

    def recorder(self, timestep: int, branch: int) -> Glance:
        """For the anchor's own pass."""
        return Glance(self, timestep, branch, recording=True)

    def reader(self, timestep: int, branch: int) -> Glance:
        """For the passes of the other frames."""
        return Glance(self, timestep, branch, recording=False)


@dataclass(frozen=True)
class Glance:
    """One pass of the denoiser for one frame, at the anchor or beside it."""

    anchor: Anchor
    timestep: int
    branch: int
    recording: bool

    def context(self, layer: str, hidden: Tensor) -> Tensor:
        """What a self-attention looks at [1, tokens, width]: the frame, and the anchor after it."""
        key = (self.timestep, self.branch, layer)
        if self.recording:
            self.anchor.kept[key] = hidden
            return hidden
        return torch.cat([hidden, self.anchor.kept[key]], dim=1)


class FrameAttention:
    """Attention as diffusers' own processor does it, with a glance at an anchor frame where one is given."""

    def __init__(self, layer: str) -> None:
        self.layer = layer

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        glance: Glance | None = None,
    ) -> Tensor:
        """Hidden states [n, tokens, width] to the same."""
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        if encoder_hidden_states is None and glance is not None:
            context = glance.context(self.layer, hidden_states)
        if attention_mask is not None:
            attention_mask = attn.prepare_attention_mask(attention_mask, context.shape[1], len(context))
            attention_mask = attention_mask.unflatten(0, (len(context), attn.heads))
        query, key, value = (
            layer(tokens).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for layer, tokens in ((attn.to_q, hidden_states), (attn.to_k, context), (attn.to_v, context))
        )
        seen = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask)
        shown: Tensor = attn.to_out[1](attn.to_out[0](seen.transpose(1, 2).flatten(-2)))
        return shown


def look_across_frames(denoiser: Any) -> None:
    """Give every attention of a U-Net or transformer a processor that can glance at an anchor frame."""
    denoiser.set_attn_processor({layer: FrameAttention(layer) for layer in denoiser.attn_processors})
