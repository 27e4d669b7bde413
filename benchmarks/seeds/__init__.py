"""Aims of policies whose history is long, over three training seeds: returns and tables. Their recipes are not here."""
