"""Objects, the eye and the camera moved, held against constraints."""
