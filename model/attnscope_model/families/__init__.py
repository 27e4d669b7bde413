"""The policies behind the checkpoints that people have, one file a family; `readers` maps their files onto them."""

from typing import Final

OWN_FAMILIES: Final = frozenset(
    {
        "ad-native", "ad-reference", "dicp-ad", "dicp-dpt", "cccad-ad", "rad-dark-ad", "ad-eps", "cinemere-ad", "dpt",
        "hub-bloom", "hub-gpt2", "hub-llama", "hub-decision-transformer", "trxl-cleanrl", "amago", "cccad-cad",
        "rad-dark-rad",
    }
)  # fmt: skip
"""The families of this distribution. Their layers say where each token stands; an installed one's may not."""
