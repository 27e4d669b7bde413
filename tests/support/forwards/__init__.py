"""Files of every family, and forwards written from their descriptions in NumPy."""
