"""The compression study: the shipped policies under every strategy, and the recommender's advice put to the test."""
