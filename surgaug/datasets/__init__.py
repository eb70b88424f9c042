"""Data sets: frames paired with label maps, checked, split, traced back, read and written in layouts."""
