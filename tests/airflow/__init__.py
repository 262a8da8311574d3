"""Airflow as teams run it: a scheduler, Celery workers, Redis, Postgres, for pipelines/ecr_airflow.py."""
