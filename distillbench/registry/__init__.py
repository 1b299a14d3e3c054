"""Finding plugins: the kinds, their hooks and knobs, and what every plugin is vetted for."""
