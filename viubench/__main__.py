"""`python -m viubench` is `viubench`."""

from viubench.cli import main

if __name__ == "__main__":  # decode workers and engines import this module again
    main()
