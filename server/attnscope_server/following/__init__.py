"""Run folders that are followed while a policy trains: each new checkpoint is captured, screened and logged."""
