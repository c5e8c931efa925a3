"""From a translated corpus to one that can be learned from: rules with counted reasons, duplicates, contamination."""
