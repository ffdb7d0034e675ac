"""What a check is made of: an exercise, the observation of a function, the diagnosis, the outcome, the portfolio."""
