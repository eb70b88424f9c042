"""Annotated surgical images by diffusion: label maps in, paired images and labels out."""

__version__ = "0.1.0"
