"""Specifications and resolved forms of each kind of job, and the card of a decision. Contracts lie in ``kinds``."""
