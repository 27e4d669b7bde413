"""The third study: signed loss as the vote for positions and count. What the second study can do, its code does."""
