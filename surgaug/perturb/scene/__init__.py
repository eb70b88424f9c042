"""A label map taken apart: objects, the discs of the eye, the map without an object."""
