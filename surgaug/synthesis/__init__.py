"""From label maps to a folder of paired images and labels: plan, sample, write."""
