"""A realistic incident, made from nothing: a market, the models trained on it, and the day on which it changes."""
