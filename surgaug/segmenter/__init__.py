"""A segmentation network trained on the user's real frames: what reads labels back from images."""
