"""The command `tensorwire`: a Ctrl-C while it loads ends as tidily as a later one."""

import sys


def main() -> None:
    """Runs the command line."""
    try:
        from tensorwire import cli

        cli.main()
    except KeyboardInterrupt:
        sys.exit("tensorwire: interrupted")


if __name__ == "__main__":
    main()
