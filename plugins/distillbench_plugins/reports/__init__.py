"""Reports: the paper's tables and figures, the controls that it lacks, and what any results hold."""
