"""Strategies judged by attention: kept mass, ranking, predictions, scores. Results of rollouts lie one room up."""
