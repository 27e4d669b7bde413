"""Simulations of the statistics of a decision: how often its code says something false, how often something true."""
