"""`python -m kefu`: the same program as the `kefu` command."""

from kefu.cli import main

if __name__ == "__main__":
    main()
