"""Images: what was recorded, uploaded and shared. Key: the image's id."""

from events.image import attributes, content, image, sharing, used_id

__all__ = ["attributes", "content", "image", "sharing", "used_id"]
