"""The layout of a store at rest: its arrays, keys, documents and chunks, and the folder that they lie in.

What a kind of job stores is in `kinds/`; reading and writing have rooms of their own.
"""
