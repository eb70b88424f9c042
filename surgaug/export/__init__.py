"""Real frames, with synthetic images if there are any, as one data set in a trainer's layout."""

from surgaug.export.choice import split_items
from surgaug.export.run import ExportConfig, Result, export

__all__ = ["ExportConfig", "Result", "export", "split_items"]
