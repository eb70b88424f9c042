"""`python -m surgaug`, which is also what torchrun starts."""

from surgaug.cli import main

if __name__ == "__main__":
    main()
