"""A small segmentation network trained on the user's frames: it measures faithfulness and utility."""
