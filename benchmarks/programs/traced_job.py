"""A program: runs a workload's tasks with gRPC's own trace on, and keeps what each says in ROLE.trace."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from tensorwire import registry
from tensorwire.ports import reserved
from tensorwire.workloads import Task

TRACED = {"GRPC_TRACE": "http", "GRPC_VERBOSITY": "debug"}


def start(task: Task) -> subprocess.Popen[bytes]:
    with Path(f"{task.role}.trace").open("wb") as said:
        environment = {**os.environ, **task.environment, **TRACED, "TENSORWIRE_ROLE": task.role}
        return subprocess.Popen(task.argv, env=environment, stdout=said, stderr=said)


def main() -> int:
    workload = registry.workload(sys.argv[1])
    config = msgspec.json.decode(sys.argv[2], type=workload.config)
    with reserved(workload.ports(config)) as ports:
        running = [(task, start(task)) for task in workload.tasks(config, ports)]
        try:
            return max(process.wait(120) for task, process in running if not task.endless)
        finally:
            for _, process in running:
                process.kill()
                process.wait()


if __name__ == "__main__":
    sys.exit(main())
