"""Label maps: which classes they hold, how they encode them, how they are brought to another size."""
