"""`python -m kernelfactory`: the same door as `kf`."""

from kernelfactory.cli import main

main()
