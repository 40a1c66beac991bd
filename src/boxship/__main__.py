"""`boxship` and `python -m boxship`."""

from boxship.cli.main import main

if __name__ == "__main__":
    main()
