"""Microseconds of a step of torch.optim for the cases of bench_optim.cc. Writes the list of [optimizer, way] it has, then
answers each line ["adam", "fused", "100 x 64"] with the time of a step."""

import json
import sys
import time

import torch

torch.set_num_threads(1)


def quartznet():
    shapes = []

    def separable(inputs, outputs, kernel):
        shapes.extend([(inputs, 1, kernel), (outputs, inputs, 1), (outputs,), (outputs,)])

    separable(64, 256, 33)
    channels = 256
    for filters, kernel in [(256, 33), (256, 39), (512, 51), (512, 63), (512, 75)]:
        for _ in range(3):
            first = channels
            for _ in range(5):
                separable(channels, filters, kernel)
                channels = filters
            shapes.extend([(filters, first, 1), (filters,), (filters,)])
    separable(512, 512, 87)
    shapes.extend([(1024, 512, 1), (1024,), (1024,), (29, 1024, 1), (29,)])
    return shapes


PROBLEMS = {"100 x 10000": [(10000,)] * 100, "100 x 64": [(64,)] * 100, "QuartzNet 15x5": quartznet()}
OPTIMIZERS = {
    "sgd": (torch.optim.SGD, {"lr": 0.01, "momentum": 0.9}),
    "adam": (torch.optim.Adam, {"lr": 1e-3}),
    "adamw": (torch.optim.AdamW, {"lr": 1e-3}),
    "adagrad": (torch.optim.Adagrad, {"lr": 1e-2}),
    "rmsprop": (torch.optim.RMSprop, {"lr": 1e-2}),
    "adamax": (torch.optim.Adamax, {"lr": 2e-3}),
    "adafactor": (torch.optim.Adafactor, {}),
}


def supports(cls, options, way):
    try:
        cls([torch.zeros(1, requires_grad=True)], **options, **{way: True})
    except (TypeError, RuntimeError, ValueError):
        return False
    return True


def prepare(name, way, problem):
    parameters = [torch.randn(shape, requires_grad=True) for shape in PROBLEMS[problem]]
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape)
    cls, options = OPTIMIZERS[name]
    optimizer = cls(parameters, **options, **{way: True})
    optimizer.step()
    optimizer.step()
    start = time.perf_counter()
    optimizer.step()
    return optimizer, max(1, int(0.02 / max(time.perf_counter() - start, 1e-7)))


print(
    json.dumps([[name, way] for name, of in OPTIMIZERS.items() for way in ("fused", "foreach") if supports(*of, way)]),
    flush=True,
)
prepared = {}
for line in sys.stdin:
    name, way, problem = question = tuple(json.loads(line))
    if question not in prepared:
        prepared = {key: value for key, value in prepared.items() if key[0] == name and key[2] == problem}
        prepared[question] = prepare(*question)
    optimizer, repeats = prepared[question]
    start = time.perf_counter()
    for _ in range(repeats):
        optimizer.step()
    print((time.perf_counter() - start) / repeats * 1e6, flush=True)
