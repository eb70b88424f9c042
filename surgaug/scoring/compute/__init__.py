"""From images to figures: features, distances, intervals, copies."""
