"""How good a synthetic data set is: measures with their convention, their uncertainty, and a real-vs-real baseline."""
