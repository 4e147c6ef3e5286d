"""The demo image: a small bootable disk made of Debian's cloud kernel and a static busybox.

Built without root, from packages that are downloaded and unpacked but not installed. The same
packages and guest files give the same bytes. A finished image is kept in `out_dir` and found
again; it gets its name by a rename at the end, so a build killed halfway leaves none.
"""

from chronova.demo_image.builder import DemoImage, build
from chronova.demo_image.packages import DemoImageUnavailable

__all__ = ["DemoImage", "DemoImageUnavailable", "build"]
