"""Splitting an instruction's arguments into words, quotes kept for the expansion to read."""

_QUOTES = "\"'"


def next_word(text: str, start: int, escape: str) -> tuple[str, int]:
    """The word at or after `start` and the position behind it; an empty word at the end."""
    position = start
    while position < len(text) and text[position].isspace():
        position += 1
    begin = position
    quote = ""
    while position < len(text):
        char = text[position]
        if char == escape and quote != "'":
            position += 1
        elif quote:
            quote = "" if char == quote else quote
        elif char in _QUOTES:
            quote = char
        elif char.isspace():
            break
        position += 1
    return text[begin:position], min(position, len(text))


def split_words(text: str, escape: str) -> list[str]:
    """Split on white space outside quotes; quotes and escapes stay in the words."""
    words: list[str] = []
    position = 0
    while True:
        word, position = next_word(text, position, escape)
        if not word:
            return words
        words.append(word)


def unquote(word: str, escape: str) -> str:
    """The word as a shell would read it, without any expansion of variables."""
    out: list[str] = []
    quote = ""
    position = 0
    while position < len(word):
        char = word[position]
        if char == escape and quote != "'" and position + 1 < len(word):
            following = word[position + 1]
            keep = quote == '"' and following not in ('"', "$", escape)
            out.append(char + following if keep else following)
            position += 2
            continue
        if quote and char == quote:
            quote = ""
        elif not quote and char in _QUOTES:
            quote = char
        else:
            out.append(char)
        position += 1
    return "".join(out)
