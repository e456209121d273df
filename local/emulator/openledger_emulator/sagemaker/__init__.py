"""SageMaker without Docker: jobs and endpoints run the image's own entry point as a process of this machine."""
