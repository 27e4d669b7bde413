"""The policy of a checkpoint as everybody sees it, and as a store has recorded it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from attnscope_storage.wire.base import Received
from attnscope_storage.wire.compressors import InstalledCompressor
from attnscope_storage.wire.outputs import ONE_CHOICE, OutputDescription

PositionKind = Literal["learned-absolute", "sinusoidal", "rotary", "alibi", "relative", "none"]
"""Kind of positions. alibi: a penalty of scores that grows with distance, one slope a head (Press et al., 2022).
relative: a learnt bias of scores by distance."""

ObservationKind = Literal["cell", "vector", "discrete", "image"]
"""Kind of an observation. cell: row and column. vector: real numbers. discrete: the number of a state. image: a small
grid of whole numbers, given to the policy flat, row after row."""

TokenKind = Literal["transition", "state", "action", "reward", "return"]
"""Kind of a transition's token; a return is the return that is still to come."""


class RecordedPolicy(Received):
    """The shape of a policy as far as a capture says it: None is unknown, as captures of other programs leave it."""

    family: str = Field(description="Layout the checkpoint was read from, e.g. ad-reference.")
    layers: int
    heads: int
    width: int | None = Field(description="Embedding width d.")
    context_length: int = Field(description="Tokens of a full context, the query among them.")
    actions: int | None = Field(
        description="Actions to choose from, those of all branches together; or the numbers of an action vector."
    )
    causal: bool | None
    positions: PositionKind | None
    query_slot: Literal["first", "last"]
    tokens_per_transition: int
    query_tokens: int = Field(
        default=1, description="Tokens of the present step, of which the last one or the first one decides."
    )
    token_kinds: tuple[TokenKind, ...] = Field(
        default=("transition",), description="Kinds of one transition's tokens, in their order."
    )
    window: Literal["recompute", "memory", "rolling", "compressed"] = Field(
        default="recompute",
        description="What a context that slides means to the policy. recompute: its tokens alone, computed anew at "
        "their new slots, as it was trained. memory: inputs of layers, kept as they were computed; the query is no "
        "key. rolling: keys and values, kept as they were computed. compressed: a second network packs what slides "
        "out, together with what it packed before, into latents that stand at the front.",
    )
    latents: int = Field(
        default=0, ge=0, description="Latents that one compression gives, where older transitions are packed."
    )
    packed_at: int = Field(
        default=0,
        ge=0,
        description="Tokens of transitions at which a history without latents is packed; with latents, so many fewer "
        "as there are. 0 where nothing is packed.",
    )
    compressor_layers: int = Field(
        default=0, ge=0, description="Layers of the network that packs; 0 where there is none, or nobody says it."
    )
    compressor_heads: int = Field(default=0, ge=0, description="Heads of each of these layers.")
    compressor_feedforward: int = Field(default=0, ge=0, description="Width inside their feed-forward parts.")
    compressor_positions: int = Field(
        default=0,
        ge=0,
        description="Tokens that one compression can read at most; 0 where there is none, or nobody says.",
    )
    packed_by: InstalledCompressor | None = Field(
        default=None, description="The installed compressor that packs; None: the policy's own, or nothing is packed."
    )
    clock_steps: int = Field(
        default=0,
        ge=0,
        description="Steps of an episode, where every token knows its step of the episode; 0: none does.",
    )
    clock_episodes: int = Field(
        default=0,
        ge=0,
        description="Episodes after which their count begins anew, where every token knows its episode's number in it; "
        "0: none does.",
    )
    cleared: Literal["never", "episode"] = Field(
        default="never", description="When the context is emptied: never, or at the end of each episode."
    )
    observation: ObservationKind | None = Field(description="What the policy's observation is.")
    output: OutputDescription = Field(default=ONE_CHOICE, description="What the numbers of the policy's head mean.")
    parameters: int | None

    @model_validator(mode="before")
    @classmethod
    def _width_zero_is_unknown(cls, given: Any) -> Any:  # noqa: ANN401 - not yet validated
        """Read what older imports stored in place of what they did not know: width 0, and the rest of no meaning."""
        if isinstance(given, dict) and given.get("width") == 0:
            return {**given, **dict.fromkeys(("width", "actions", "positions", "observation", "parameters"))}
        return given

    @model_validator(mode="after")
    def _output_fits(self) -> Self:
        """Refuse a head whose branches or scale do not fit its actions."""
        if (reason := self.output.why_unfit(self.actions)) is not None:
            raise ValueError(f"output: {reason}")
        return self

    @property
    def why_whole(self) -> str | None:
        """The reason for which no rule may shorten this policy's context; None where rules apply."""
        if self.window == "compressed":
            network = "a network of its own" if self.packed_by is None else f"the compressor {self.packed_by.name}"
            return (
                f"the policy packs its older transitions into latents by {network}, so a rule that leaves a "
                "transition out would not make it forget that transition"
            )
        if self.window != "recompute":
            what = "inputs of layers" if self.window == "memory" else "keys and values"
            return (
                f"the policy keeps {what} that were computed with older transitions in view, so a rule that leaves a "
                "transition out would not make it forget that transition"
            )
        if self.cleared == "episode":
            return (
                "the policy's context is emptied at the end of each episode, and its tokens say the time in it and the "
                "return to come, which no rule keeps"
            )
        return None

    @property
    def by_distance(self) -> bool:
        """True where attention knows of positions the distance of two tokens alone, so that a key serves from any."""
        return self.positions in {"rotary", "alibi", "relative"}

    @property
    def whole_maps(self) -> bool:
        """True where every token's attention can be had, False where the deciding token's alone is computed."""
        return self.window in {"recompute", "compressed"} and self.cleared == "never"

    @property
    def transitions(self) -> int:
        """Transitions that a full context holds beside the query."""
        return (self.context_length - self.query_tokens) // self.tokens_per_transition


class PolicyDescription(RecordedPolicy):
    """The shape of a policy that a service can run: all of it is known."""

    width: int = Field(description="Embedding width d.")
    actions: int = Field(
        description="Actions to choose from, those of all branches together; or the numbers of an action vector."
    )
    causal: bool
    positions: PositionKind
    observation: ObservationKind = Field(description="What the policy's observation is.")
    parameters: int

    def unpacked(self) -> Self:
        """Return the same weights over a sliding window without latents; other policies as they are."""
        if self.window != "compressed":
            return self
        sizes = ("compressor_layers", "compressor_heads", "compressor_feedforward", "compressor_positions")
        gone = dict.fromkeys(("latents", "packed_at", *sizes), 0)
        return self.model_copy(update={"window": "recompute", "packed_by": None, **gone})

    def packed(self, by: InstalledCompressor) -> Self:
        """Return the same weights with their older history packed by an installed compressor."""
        sizes = {"latents": by.latents, "packed_at": by.first * self.tokens_per_transition}
        attention = {"compressor_layers": by.layers, "compressor_heads": by.heads}
        return self.unpacked().model_copy(update={"window": "compressed", "packed_by": by, **sizes, **attention})

    @property
    def outputs(self) -> int:
        """Numbers that the head gives at a decision."""
        return self.output.numbers(self.actions)
