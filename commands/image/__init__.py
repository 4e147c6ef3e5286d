"""What can be asked of images. Key: the image's id, which clients may choose: one decider sees
every use of it, whoever asks.

Who may ask is the API's matter (it knows roles); whether the image's state allows it is decided
here.
"""

from commands.image import (
    activation,
    create,
    delete,
    direct_url,
    import_image,
    members,
    tags,
    update,
    upload,
)

__all__ = [
    "activation",
    "create",
    "delete",
    "direct_url",
    "import_image",
    "members",
    "tags",
    "update",
    "upload",
]
