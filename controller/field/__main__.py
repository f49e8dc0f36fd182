"""`python -m controller.field`: the field program. Started by the launcher, not by people."""

from controller.field.program import main

if __name__ == "__main__":
    main()
