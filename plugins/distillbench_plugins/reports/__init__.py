"""Reports: the paper's tables and figures, controls, and figures of any results."""
