"""Several processes that train and evaluate one run together."""
