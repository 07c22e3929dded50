"""`python -m lightningd_py.cli`: the same as `lightning-cli-py`."""

from lightningd_py.cli.cli import main

if __name__ == "__main__":
    main()
