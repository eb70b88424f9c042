"""What a data set, a run, a model or a single file holds, and what is wrong with it."""
