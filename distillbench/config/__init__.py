"""From words to runs: layers of settings, grids of choices, and one run fully determined."""
