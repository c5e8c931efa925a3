"""Public question-answering sets by name: one small entry each, read through Hugging Face `datasets`."""
