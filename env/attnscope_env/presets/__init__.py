"""What binds environments to policies: presets, tasks and their splits, options of a request, returns, listed Gymnasium environments."""
