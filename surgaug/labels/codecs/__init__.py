"""Annotations that are not images of class ids: COCO, polygons, YOLO."""
