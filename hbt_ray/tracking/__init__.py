"""What a study leaves behind in MLflow: runs, curves, parameters, artifacts and plots.

One writer per study: training workers and trial drivers hand their records to it and continue at once.

- `uri`: which tracking store is used, whether it answers, and the command that opens its UI;
- `naming`: how nested settings and metric names become names that MLflow accepts;
- `runs`: `RunStore`, the calls on MLflow themselves (blocking, repeatable without duplicates);
- `writer`: `RunWriter`, a buffer and a thread in front of a `RunStore`;
- `journal`: the records that the store has not taken yet, as a file;
- `handle`: the same calls for every process of a Ray job; `session`: one writer a job, as an actor;
- `artifacts`: the files that a study attaches to its runs; `models`: trained encoders as MLflow models;
- `dataset_info`: what runs learned from and were scored on;
- `system`: how busy the machines are; `progress`: news of running trainings.
"""
