"""Images: what was recorded, uploaded and shared. Key: the project that first owned the image."""

from events.image import attributes, content, image, sharing

__all__ = ["attributes", "content", "image", "sharing"]
