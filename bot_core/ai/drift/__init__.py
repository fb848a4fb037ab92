"""Data drift: what the production features look like now, against what each model was trained on."""
