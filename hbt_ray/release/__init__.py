"""From a study to a model that ships: gates against the champion, the registered model, and the model card.

- `gates`: what a model has to show, and whether it does, from scores alone;
- `candidate`: a trial with its scores, read from MLflow;
- `registry`: the registered model, its versions and the alias `champion`;
- `promote`: the three together;
- `model_card`: the README.md of a model's directory.
"""
