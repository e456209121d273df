"""The embedded AWS: MiniStack in this process, with SageMaker and the few things it lacks added by hooks."""
