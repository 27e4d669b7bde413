"""The phases of a decision on a real policy: tasks, rollouts, screen and card; the statistics live one room up."""
