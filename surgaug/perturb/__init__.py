"""New label maps from real ones: objects are moved as objects, anatomy stays anatomy. Needs no torch."""
