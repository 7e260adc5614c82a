"""`python -m viubench`, which is `viubench`."""

import signal


def start() -> None:
    """Run the command line; Ctrl-C while its modules are loaded ends it at once, without a traceback."""
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from viubench.cli import main

    signal.signal(signal.SIGINT, interrupt)
    main()


if __name__ == "__main__":  # decode workers and engines import this module again
    start()
