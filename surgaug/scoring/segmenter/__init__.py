"""Faithfulness and utility: what a segmenter (`surgaug.segmenter`) reads in images, and learns from them."""
