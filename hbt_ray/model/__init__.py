"""The torch layer: encoder, pooling, losses and export. Needs neither Ray nor MLflow."""
