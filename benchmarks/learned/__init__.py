"""The study of learned compression against the newest tokens: policies, one trial of arms, tables. No other study's."""
