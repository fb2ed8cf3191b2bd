"""Manifests that run a design's shards where there are many machines.

Both need one thing only: a folder that all of them see. Which shards a process takes follows from
its index, so nothing has to be coordinated, and a process that is killed is simply run again.
"""

import yaml

BAD_INPUT = 2
RETRIES = 5


def kubernetes(name: str, count: int, image: str, claim: str) -> str:
    """An Indexed Job of `count` processes; the folder is the volume claim `claim`."""
    container = {
        "name": "vmsim",
        "image": image,
        "args": ["sweep", "run", "/sweep", "--of", str(count), "--engine", "serial"],
        "env": [{"name": "OMP_NUM_THREADS", "value": "1"}],
        "resources": {"requests": {"cpu": "1", "memory": "512Mi"}},
        "volumeMounts": [{"name": "sweep", "mountPath": "/sweep"}],
    }
    volume = {"name": "sweep", "persistentVolumeClaim": {"claimName": claim}}
    rules = [
        {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [BAD_INPUT]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"vmsim-{name}"[:63].rstrip("-")},
        "spec": {
            "completionMode": "Indexed",
            "completions": count,
            "parallelism": count,
            "backoffLimitPerIndex": RETRIES,
            "podFailurePolicy": {"rules": rules},
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [container],
                    "volumes": [volume],
                }
            },
        },
    }
    return str(yaml.safe_dump(job, sort_keys=False))


def slurm(name: str, count: int, folder: str) -> str:
    """A batch script with an array of `count` tasks; the folder is on a shared file system."""
    lines = [
        "#!/bin/sh",
        f"#SBATCH --job-name=vmsim-{name}",
        f"#SBATCH --array=0-{count - 1}",
        "#SBATCH --cpus-per-task=1",
        "#SBATCH --requeue",
        "export OMP_NUM_THREADS=1",
        f"exec vmsim sweep run {folder} --of {count} --engine serial",
    ]
    return "\n".join(lines)
