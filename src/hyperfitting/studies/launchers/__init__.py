"""Where the workers of a study run: in processes of this machine, on a Ray cluster, under Slurm.

All start `work` of `studies/worker.py` with a job, and say what became of it.
"""
