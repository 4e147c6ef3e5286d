"""The host's hands: one contract (`contract.py`), a libvirt driver and a simulated one."""
