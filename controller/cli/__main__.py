"""`python -m controller.cli` is `cellwright`."""

from controller.cli.app import main

if __name__ == "__main__":
    main()
