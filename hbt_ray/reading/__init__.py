"""How other people's files are read, the same for a corpus and for a retrieval set: lines and cells."""
