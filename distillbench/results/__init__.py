"""Results on disk: a JSON file for each run, written completely or not at all."""
