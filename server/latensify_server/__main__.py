"""`python -m latensify_server` is `latensify`."""

from latensify_server.cli import main

if __name__ == "__main__":
    main()
