"""python -m benchmarks.power: how often `tensorwire compare` sees a tenth, by repetitions and by how much they vary.

Nothing is measured: the repetitions are drawn from a log-normal distribution, from a fixed seed. The verdict is that of
a comparison with two rows, as by default, at the default threshold: its first row is slower by a tenth, or as it was.
"""

import random
from collections.abc import Sequence

import click

from tensorwire.compare import LEVEL, Question
from tensorwire.stats import mann_whitney, ratio_interval

_ROWS = 2
_SLOWER = 1.10


def slower(base: Sequence[float], new: Sequence[float]) -> bool:
    """As compare.py judges a time, with the other row of the comparison showing nothing."""
    _, most = Question().band
    return ratio_interval(base, new).low > most and _ROWS * mann_whitney(base, new) <= LEVEL


def share(repetitions: int, spread: float, factor: float, draws: int) -> float:
    """Of seeded comparisons, those that are called slower."""
    draw = random.Random(repetitions)

    def side() -> list[float]:
        return [draw.lognormvariate(0, spread) for _ in range(repetitions)]

    return sum(slower(side(), [factor * value for value in side()]) for _ in range(draws)) / draws


@click.command(help="Print how often a slowdown by a tenth is called slower, and no change is.")
@click.option("--draws", default=200, show_default=True, help="Comparisons for each number.")
def main(draws: int) -> None:
    spreads = (0.01, 0.02, 0.05)
    click.echo(f"{'repetitions':12}" + "".join(f"{f'spread {spread:.0%}':>20}" for spread in spreads))
    for repetitions in (5, 6, 10):
        told = [tuple(share(repetitions, each, factor, draws) for factor in (_SLOWER, 1.0)) for each in spreads]
        cells = [f"{seen:.0%} ({alarms:.1%})" for seen, alarms in told]
        click.echo(f"{repetitions:<12}" + "".join(f"{cell:>20}" for cell in cells))


if __name__ == "__main__":
    main()
