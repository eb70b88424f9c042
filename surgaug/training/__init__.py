"""Training: a configuration and frames in, a run folder with model files out."""
