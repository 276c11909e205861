"""The models that torch-ddp trains, each with a batch of data drawn from a seed. Written in plain torch."""

from collections.abc import Callable

import msgspec
import torch
from torch import Tensor, nn

_CLASSES = 1000
_VOCABULARY, _WIDTH, _HEADS, _LAYERS, _CONTEXT = 8192, 256, 4, 8, 128
_PIXELS, _HIDDEN, _DIGITS = 784, 512, 10


class Made(msgspec.Struct, frozen=True):
    """A model to train, and one batch for it: its inputs, and the class of each output."""

    module: nn.Module
    inputs: Tensor
    targets: Tensor


def resnet50(batch: int, image_size: int | None) -> Made:
    """ResNet-50 of arXiv 1512.03385 with the stride in the 3x3 convolution, as everybody trains it since: 25,557,032
    parameters."""
    side = image_size or 224
    return Made(_ResNet50(), torch.randn(batch, 3, side, side), torch.randint(_CLASSES, (batch,)))


def transformer(batch: int, image_size: int | None) -> Made:
    """A decoder of 8 layers, 256 wide, over sequences of 128 tokens: 10,545,664 parameters."""
    tokens = torch.randint(_VOCABULARY, (batch, _CONTEXT + 1))
    return Made(_Decoder(), tokens[:, :-1], tokens[:, 1:].flatten())


def mlp(batch: int, image_size: int | None) -> Made:
    """Two hidden layers of 512 over 784 numbers: 669,706 parameters."""
    layers = [nn.Linear(_PIXELS, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.ReLU()]
    module = nn.Sequential(*layers, nn.Linear(_HIDDEN, _DIGITS))
    return Made(module, torch.randn(batch, _PIXELS), torch.randint(_DIGITS, (batch,)))


MODELS: dict[str, Callable[[int, int | None], Made]] = {"resnet50": resnet50, "transformer": transformer, "mlp": mlp}


class _Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut, which is projected where the shape changes."""

    def __init__(self, incoming: int, inner: int, stride: int) -> None:
        super().__init__()
        outgoing = 4 * inner
        self.path = nn.Sequential(
            *_normalized(incoming, inner, 1, 1),
            nn.ReLU(inplace=True),
            *_normalized(inner, inner, 3, stride),
            nn.ReLU(inplace=True),
            *_normalized(inner, outgoing, 1, 1),
        )
        same = incoming == outgoing and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(*_normalized(incoming, outgoing, 1, stride))
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.path(x) + self.shortcut(x))


class _ResNet50(nn.Sequential):
    def __init__(self) -> None:
        layers = [*_normalized(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2, padding=1)]
        width = 64
        for inner, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for number in range(blocks):
                layers.append(_Bottleneck(width, inner, stride if number == 0 else 1))
                width = 4 * inner
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, _CLASSES))


def _normalized(incoming: int, outgoing: int, kernel: int, stride: int) -> list[nn.Module]:
    """A convolution that keeps the size but for its stride, and its batch normalization, which stands for the bias."""
    convolution = nn.Conv2d(incoming, outgoing, kernel, stride, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outgoing)]


class _Decoder(nn.Module):
    """Predicts each token from those before it. Returns logits with a row for each token of each sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(_VOCABULARY, _WIDTH)
        self.places = nn.Embedding(_CONTEXT, _WIDTH)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                _WIDTH, _HEADS, 4 * _WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(_LAYERS)
        )
        self.norm = nn.LayerNorm(_WIDTH)
        self.logits = nn.Linear(_WIDTH, _VOCABULARY, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.places.weight
        future = nn.Transformer.generate_square_subsequent_mask(_CONTEXT)  # as a buffer, DDP would send it in each step
        for layer in self.layers:
            x = layer(x, src_mask=future, is_causal=True)
        return self.logits(self.norm(x)).flatten(0, 1)
