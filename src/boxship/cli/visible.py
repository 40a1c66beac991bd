"""Text of others on the user's terminal."""


def visible(text: str) -> str:
    """Show control characters, but for newline and tab, in place of what they would do.

    Names, commands and errors come from images and registries: obeyed, they could rewrite what the
    terminal shows, or its title, or answer in the user's name.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else _escape(c) for c in text)


def _escape(character: str) -> str:
    return ascii(character)[1:-1]
