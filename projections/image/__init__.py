"""Images as the API reads them."""

from projections.image import queries, rows, tables

__all__ = ["queries", "rows", "tables"]
