"""One rank of torch-ddp: `python -m tensorwire.workloads.ddp.rank`, told the others by torchrun's variables."""

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed, nn, profiler
from torch.nn.parallel import DistributedDataParallel

from tensorwire.workloads.ddp import Config
from tensorwire.workloads.ddp.models import MODELS, Made
from tensorwire.workloads.reporting import Report, given

_PATIENCE = timedelta(minutes=5)
"""How long a rank waits for the others: at the start, and in one collective. Who is gone is noticed at once."""
_LEARNING_RATE = 0.01


def main() -> None:
    told = given()
    config = told.training(Config)
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // config.workers))
    torch.manual_seed(config.seed + told.index)  # data of its own; the parameters of rank 0 go to all
    try:
        distributed.init_process_group(
            "gloo",
            store=_store(told.index, config.workers),
            rank=told.index,
            world_size=config.workers,
            timeout=_PATIENCE,
        )
        with _traced(config, told.index) as next_step:
            train(MODELS[config.model](config.batch, config.image_size), config, Report.here(), next_step)
        distributed.destroy_process_group()
    except (RuntimeError, OSError) as wrong:  # the first is what torch raises, of whatever it is that went wrong
        sys.exit(str(wrong).partition("\n")[0])


def _store(rank: int, ranks: int) -> distributed.TCPStore:
    """Where the ranks meet. Rank 0 keeps it, and would listen on every address of the host if it were let."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    listening = socket.create_server((host, port)).detach() if rank == 0 else None
    return distributed.TCPStore(host, port, ranks, rank == 0, _PATIENCE, master_listen_fd=listening)


def train(made: Made, config: Config, report: Report, next_step: Callable[[], None]) -> None:
    """Trains for the steps of the config; calls `next_step` after each."""
    sizes = [each.numel() * each.element_size() for each in made.module.parameters()]
    others = [each.numel() * each.element_size() for each in made.module.buffers()]
    if distributed.get_rank() == 0:
        report.model(config.model, sizes, sum(each.numel() for each in made.module.parameters()), others)
    replica = DistributedDataParallel(made.module, bucket_cap_mb=config.bucket_mb)
    optimizer = torch.optim.SGD(replica.parameters(), lr=_LEARNING_RATE)
    loss = nn.CrossEntropyLoss()
    for _ in report.timed(config.warmup_steps + config.steps, config.batch):
        optimizer.zero_grad()
        lost = loss(replica(made.inputs), made.targets)
        lost.backward()
        optimizer.step()
        next_step()
    if not lost.isfinite():  # training that has diverged is no training
        sys.exit(f"the loss became {lost.item()}")


@contextlib.contextmanager
def _traced(config: Config, rank: int) -> Iterator[Callable[[], None]]:
    """Has PyTorch's profiler and its execution trace written, of the steps that count, when a directory is given."""
    if config.trace is None:
        yield lambda: None
        return
    place = Path(config.trace)
    place.mkdir(parents=True, exist_ok=True)
    observer = profiler.ExecutionTraceObserver().register_callback(str(place / f"rank-{rank}.execution.json"))
    with profiler.profile(
        activities=[profiler.ProfilerActivity.CPU],
        record_shapes=True,
        schedule=profiler.schedule(wait=0, warmup=config.warmup_steps, active=config.steps, repeat=1),
        on_trace_ready=lambda seen: seen.export_chrome_trace(str(place / f"rank-{rank}.kineto.json")),
        execution_trace_observer=observer,
    ) as seen:
        yield seen.step


if __name__ == "__main__":
    main()
