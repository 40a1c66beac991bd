"""`python -m boxship` is `boxship`."""

from boxship.coldstart import run

if __name__ == "__main__":
    run("boxship", "boxship.cli.main")
