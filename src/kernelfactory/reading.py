"""Old address of the reading side: import from `kernelfactory.record`. Goes when nobody asks here any more."""

from kernelfactory.record.reading import Filter, Reader

__all__ = ["Filter", "Reader"]
