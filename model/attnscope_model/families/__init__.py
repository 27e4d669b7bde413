"""The policies behind the checkpoints that people have, one file a family; `readers` maps their files onto them."""
