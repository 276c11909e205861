"""torch-ddp: which processes there are and what is refused, without torch; and that its models are what they say."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tensorwire import registry, spec
from tensorwire.errors import SpecError
from tensorwire.workloads.ddp import Config, workload

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")


def test_it_is_found_by_its_name_without_torch() -> None:
    assert registry.workload("torch-ddp") is workload
    program = "import sys, tensorwire.workloads.ddp; print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_every_rank_is_a_process_that_knows_where_rank_0_listens() -> None:
    config = Config(workers=3, model="mlp")
    assert workload.ports(config) == 1
    tasks = workload.tasks(config, (10_123,))
    assert [task.role for task in tasks] == ["rank 0", "rank 1", "rank 2"]
    assert all(task.reports and not task.endless for task in tasks)
    said = [{name: task.environment[name] for name in ("RANK", "WORLD_SIZE", "MASTER_PORT")} for task in tasks]
    assert said == [{"RANK": str(rank), "WORLD_SIZE": "3", "MASTER_PORT": "10123"} for rank in range(3)]
    assert {task.environment["MASTER_ADDR"] for task in tasks} == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"model": "resnet-50"}, "unknown model 'resnet-50'; did you mean resnet50"),
        ({"workers": "65"}, "workers is 65, but must be from 1 to 64"),
        ({"bucket_mb": "0"}, "bucket-mb is 0, but must be from 1"),
        ({"seed": "-1"}, "seed is -1"),
        ({"model": "mlp", "image_size": "32"}, "image-size is 32, but must be left out: mlp has no images"),
        ({"image_size": "32", "batch": "1"}, "batch is 1, but must be 2 at least"),
        ({"ps": "1"}, "unknown option 'ps'"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(words: dict[str, str], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        spec.options(Config, "workload torch-ddp", words)


@needs_torch
def test_the_models_have_as_many_parameters_as_they_say() -> None:
    """ResNet-50's is the published number; the transformer's is computed here from its shape."""
    program = """
import json
from tensorwire.workloads.ddp.models import MODELS
made = {name: make(2, 64 if name == "resnet50" else None) for name, make in MODELS.items()}
print(json.dumps({name: [sum(p.numel() for p in each.module.parameters()), list(each.module(each.inputs).shape),
                         list(each.targets.shape), len(list(each.module.buffers()))] for name, each in made.items()}))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    width, vocabulary, context, layers = 256, 8192, 128, 8
    layer = 4 * width * width + 4 * width + 8 * width * width + 5 * width + 4 * width
    decoder = 2 * vocabulary * width + context * width + layers * layer + 2 * width
    assert json.loads(done.stdout) == {
        "resnet50": [25_557_032, [2, 1000], [2], 159],
        "transformer": [decoder, [2 * context, vocabulary], [2 * context], 0],
        "mlp": [784 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10, [2, 10], [2], 0],
    }
    assert decoder == 10_545_664


@needs_torch
def test_the_decoder_does_not_see_what_comes() -> None:
    program = """
import torch
from tensorwire.workloads.ddp.models import transformer
made = transformer(1, None)
other = made.inputs.clone()
other[0, 100:] = (other[0, 100:] + 1) % 8192
with torch.no_grad():
    a, b = made.module(made.inputs), made.module(other)
print(torch.equal(a[:100], b[:100]), torch.equal(a[100:], b[100:]))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"
