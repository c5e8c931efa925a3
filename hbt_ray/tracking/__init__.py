"""MLflow as a faithful copy of the records in the workspace: runs, curves, parameters, artifacts, models.

`mirror` reads records and sends them by `runs`, which has the calls on MLflow, blocking and repeatable without
duplicates. `session` runs it in a process beside a job's driver.
"""
