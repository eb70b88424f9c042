"""A small segmentation network trained on the user's frames: the judge of faithfulness, and the learner of utility."""
