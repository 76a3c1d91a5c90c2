"""The pure scheduling core: a `Round` goes in, `Decisions` come out; no I/O, clock or randomness in here."""
