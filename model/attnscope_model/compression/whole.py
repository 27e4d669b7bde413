"""Questions of a strategy about whole stored windows: one more forward for attention, one an entry for influence."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from attnscope_model.acting.outputs import output_of
from attnscope_model.compression.forward import Piece, tiled
from attnscope_model.compression.history import History
from attnscope_model.compression.kept import Kept, tokens_of
from attnscope_model.compression.placing import Frame, Placing
from attnscope_model.compression.seen import history_row
from attnscope_model.compression.sharing import decide
from attnscope_model.forward.policy import Policy


class WholeWindows:
    """The stored windows of all rollouts before the decision that they are asked for.

    Parameters
    ----------
    policy
        What decides.
    history
        The stored windows.
    """

    def __init__(self, policy: Policy, history: History) -> None:
        self._policy = policy
        self._history = history
        self._query = torch.zeros(0)

    def ask(self, query: Float[Tensor, "env 1 width"]) -> None:
        """Take these as the queries of the next decision, of all rollouts."""
        self._query = query

    def __call__(self, lanes: slice) -> tuple[Float[Tensor, "env entry"], float]:
        """Return what the query attends to over the whole windows of some rollouts, and what is uniform."""
        rows = tiled(self._policy, Piece(None, self._tokens(lanes)), rows=True).rows
        if rows is None:
            raise ValueError("expected the rows that were asked for")
        return history_row(rows, self._policy.description)

    def influence(self, lanes: slice, placing: Placing) -> Float[Tensor, "env entry"]:
        """Return KL(π_full ‖ π_without) in nats for every entry of some rollouts' windows, left out by itself.

        The rest stands as `placing` has it. π is the distribution of actions, before temperature; for an action
        vector without a distribution it is the distance of the two vectors.
        """
        history, output = self._history, output_of(self._policy.description)
        held, window = history.held, history.window(lanes)
        full = tiled(self._policy, Piece(None, self._tokens(lanes))).logits
        frame = Frame(self._query[lanes], history.start, held, window["embedded"])
        others = torch.arange(held - 1, device=full.device)
        found = []
        for place in range(held):
            index = others + (others >= place)
            facts = {name: window[name][:, index] for name in ("embedded", "last")}
            pieces = placing.pieces(Kept(facts, (held - 1,) * len(full)), frame)
            (decided,) = decide(self._policy, pieces)
            found.append(output.influence(full, decided.logits))
        return torch.stack(found, dim=1).float()

    def _tokens(self, lanes: slice) -> Float[Tensor, "env token width"]:
        query_first = self._policy.description.query_slot == "first"
        return tokens_of(self._history.embedded(lanes), self._query[lanes], query_first=query_first)
