"""Writes cases of torch.optim and torch.optim.lr_scheduler with options drawn at random, in the form of the recorded
ones, for `fathom-conformance optimizers DIR/optimizers` and `… schedulers DIR/schedulers`.

    python fresh_optim_cases.py SEED DIR [CASES_OF_EACH]

Options are drawn from ranges in which float32 rounding is not magnified; what differs on purpose is left out
(docs/nemo-compatibility.md)."""

import copy
import json
import math
import os
import random
import sys
import warnings

import torch
from torch.optim import lr_scheduler

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
STEPS, ROWS = 12, 60
seed, folder, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 20
draw = random.Random(seed)


def pick(*values):
    return lambda: draw.choice(values)


def some(**options):
    """Each option with probability one half."""
    return lambda: {name: value() for name, value in options.items() if draw.random() < 0.5}


def plain(value):
    """A value as the recorded cases write it."""
    if torch.is_tensor(value):
        return {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch."), "data": flat(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (bool, int, float, str)) or value is None:
        return value
    return f"<{type(value).__name__}>"


def flat(tensor):
    return [plain(value) for value in tensor.detach().to(torch.float64).reshape(-1).tolist()]


def write(kind, name, rows):
    os.makedirs(f"{folder}/{kind}", exist_ok=True)
    with open(f"{folder}/{kind}/{name}.jsonl", "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


# --- optimizers

flag = pick(True, False)
decay = pick(0, 0.01, 0.1)
epsilon = pick(1e-8, 1e-3, 0.1)
betas = lambda: [draw.choice([0.5, 0.8, 0.9, 0.99]), draw.choice([0.5, 0.9, 0.98, 0.999])]  # noqa: E731
adam = dict(lr=pick(1e-3, 0.01, 0.0), betas=betas, eps=epsilon, weight_decay=decay, maximize=flag)
OPTIMIZERS = {
    "sgd": (
        torch.optim.SGD,
        some(
            lr=pick(0.01, 0.1),
            momentum=pick(0, 0.5, 0.9),
            dampening=pick(0, 0.1),
            weight_decay=decay,
            maximize=flag,
            foreach=flag,
        ),
    ),
    "adam": (torch.optim.Adam, some(**adam, amsgrad=flag, decoupled_weight_decay=flag, foreach=flag)),
    "adamw": (torch.optim.AdamW, some(**adam, amsgrad=flag, foreach=flag)),
    "adadelta": (
        torch.optim.Adadelta,
        some(lr=pick(0.1, 1.0), rho=pick(0.5, 0.9), eps=epsilon, weight_decay=decay, maximize=flag, foreach=flag),
    ),
    "adamax": (torch.optim.Adamax, some(**adam, foreach=flag)),
    "adagrad": (
        torch.optim.Adagrad,
        some(lr=pick(0.01, 0.1), lr_decay=pick(0, 0.1), weight_decay=decay, eps=epsilon, maximize=flag, foreach=flag),
    ),
    "rmsprop": (
        torch.optim.RMSprop,
        some(
            lr=pick(1e-3, 0.01),
            alpha=pick(0.5, 0.9, 0.99),
            eps=pick(0.1, 0.5),
            weight_decay=decay,
            momentum=pick(0, 0.5),
            centered=flag,
            maximize=flag,
            foreach=flag,
        ),
    ),
    "rprop": (
        torch.optim.Rprop,
        some(
            lr=pick(1e-3, 0.01),
            etas=lambda: [draw.choice([0.3, 0.5]), draw.choice([1.2, 1.5])],
            step_sizes=pick([1e-6, 50], [1e-3, 0.02]),
            maximize=flag,
            foreach=flag,
        ),
    ),
    "nadam": (
        torch.optim.NAdam,
        some(**adam, momentum_decay=pick(4e-3, 0, 0.1), decoupled_weight_decay=flag, foreach=flag),
    ),
    "radam": (torch.optim.RAdam, some(**adam, decoupled_weight_decay=flag, foreach=flag)),
    "asgd": (
        torch.optim.ASGD,
        some(
            lr=pick(1e-3, 0.01),
            lambd=pick(1e-4, 0.01),
            alpha=pick(0.75, 0.5),
            t0=pick(1e6, 3),
            weight_decay=decay,
            maximize=flag,
        ),
    ),
}


def problem(index):
    dtype = draw.choice([torch.float64, torch.float32])
    generator = torch.Generator().manual_seed(seed * 1000 + index)
    sizes = lambda: [draw.choice([1, 2, 3, 7, 16, 17, 33]) for _ in range(draw.choice([0, 1, 1, 2, 2]))]  # noqa: E731
    shapes = [[sizes() for _ in range(draw.randint(1, 4))] for _ in range(draw.choice([1, 1, 2, 3]))]
    missing = 0.3 if draw.random() < 0.3 else 0
    normal = lambda shape: torch.randn(shape, generator=generator, dtype=dtype)  # noqa: E731
    gradient = lambda shape: None if draw.random() < missing else normal(shape)  # noqa: E731
    return {
        "dtype": "f64" if dtype == torch.float64 else "f32",
        "params": [[normal(s) for s in group] for group in shapes],
        "grads": [[[gradient(s) for s in group] for group in shapes] for _ in range(STEPS)],
    }


def trajectory(row, make, options, given):
    def start(values):
        parameters = [[p.detach().clone().requires_grad_() for p in group] for group in values]
        groups = [{"params": group, **row.get("group_opts", {}).get(str(g), {})} for g, group in enumerate(parameters)]
        return parameters, make(
            [
                {k: tuple(v) if k in ("betas", "etas", "step_sizes") else v for k, v in group.items()}
                for group in groups
            ],
            **{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()},
        )

    parameters, optimizer = start(given["params"])
    row["trajectory"] = []
    for step, gradients in enumerate(given["grads"]):
        for group in optimizer.param_groups:
            group["lr"] *= row.get("lr_change", {}).get(str(step), 1)
        for group, values in zip(parameters, gradients):
            for parameter, value in zip(group, values):
                parameter.grad = None if value is None else value.clone()
        optimizer.step()
        row["trajectory"].append([[flat(p) for p in group] for group in parameters])
        if row.get("reload_at") == step:
            state = copy.deepcopy(optimizer.state_dict())
            parameters, optimizer = start(parameters)
            optimizer.load_state_dict(state)
    row["state_dict"] = plain(optimizer.state_dict())


problems = {f"fresh{index}": problem(index) for index in range(16)}
write(
    "optimizers",
    "problems",
    [
        {
            "id": name,
            "dtype": p["dtype"],
            "params": [[{"shape": list(t.shape), "data": flat(t)} for t in group] for group in p["params"]],
            "grads": [[[None if t is None else flat(t) for t in group] for group in step] for step in p["grads"]],
        }
        for name, p in problems.items()
    ],
)
for name, (make, options) in OPTIMIZERS.items():
    rows = []
    for index in range(count):
        chosen = draw.choice(list(problems))
        row = {"id": f"{name}-{seed}-{index}", "optimizer": name, "problem": chosen, "options": options()}
        row["options"].setdefault("lr", 0.01)
        if draw.random() < 0.3:
            row["group_opts"] = {
                str(g): {k: v for k, v in options().items() if k != "foreach"}
                for g in range(len(problems[chosen]["params"]))
                if draw.random() < 0.6
            }
        if draw.random() < 0.2:
            row["lr_change"] = {"4": 0.5, "8": 0.1}
        # PyTorch casts NAdam's product to the parameter's type when it loads it; ours goes on to the bit.
        if draw.random() < 0.3 and not (name == "nadam" and problems[chosen]["dtype"] == "f64"):
            row["reload_at"] = draw.randint(0, STEPS - 2)
        trajectory(row, make, row["options"], problems[chosen])
        rows.append(row)
    write("optimizers", name, rows)

# --- schedulers

whole = pick(1, 5, 7, 20, 40)
SCHEDULERS = {
    "StepLR": lambda: {"step_size": whole(), **some(gamma=pick(0.1, 0.5, 2.0))()},
    "ExponentialLR": lambda: {"gamma": draw.choice([0.5, 0.9, 1.0, 1.1])},
    "MultiStepLR": lambda: {
        "milestones": sorted(draw.sample(range(ROWS + 1), draw.randint(0, 5))),
        **some(gamma=pick(0.1, 2.0))(),
    },
    "ConstantLR": some(factor=pick(0.25, 0.5, 1.0), total_iters=whole),
    "LinearLR": some(start_factor=pick(0.25, 0.1, 1.0), end_factor=pick(1.0, 0.5), total_iters=whole),
    "PolynomialLR": some(total_iters=whole, power=pick(1.0, 2.0, 0.5)),
    "CosineAnnealingLR": lambda: {"T_max": whole(), **some(eta_min=pick(1e-3, 0.2))()},
    "CosineAnnealingWarmRestarts": lambda: {"T_0": whole(), **some(T_mult=pick(1, 2, 3), eta_min=pick(1e-3, 0.0))()},
    "OneCycleLR": lambda: {
        "max_lr": draw.choice([0.5, 0.01]),
        **draw.choice([{"total_steps": 60}, {"epochs": 7, "steps_per_epoch": 12}]),
        **some(
            pct_start=pick(0.1, 0.3, 0.9),
            anneal_strategy=pick("cos", "linear"),
            cycle_momentum=flag,
            base_momentum=pick(0.85, 0.5),
            max_momentum=pick(0.95, 0.9),
            div_factor=pick(25.0, 10.0),
            final_div_factor=pick(1e4, 10.0),
            three_phase=flag,
        )(),
    },
    "CyclicLR": lambda: {
        "base_lr": 0.01,
        "max_lr": 0.3,
        **some(
            step_size_up=whole,
            step_size_down=whole,
            mode=pick("triangular", "triangular2", "exp_range"),
            gamma=pick(1.0, 0.9),
            scale_mode=pick("cycle", "iterations"),
            cycle_momentum=flag,
            base_momentum=pick(0.8, 0.5),
            max_momentum=pick(0.9, 0.99),
        )(),
    },
    "ReduceLROnPlateau": some(
        mode=pick("min", "max"),
        factor=pick(0.1, 0.5),
        patience=pick(0, 1, 3),
        threshold=pick(1e-4, 0.1),
        threshold_mode=pick("rel", "abs"),
        cooldown=pick(0, 2),
        min_lr=pick(0, 0.01),
        eps=pick(1e-8, 0.01),
    ),
}
REGISTERED = ("StepLR", "ExponentialLR", "CyclicLR", "ReduceLROnPlateau")  # by NeMo; the others by class path


def curve(row, make, options):
    def start():
        groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in row["base_lr"]]
        optimizer = torch.optim.SGD(groups, lr=row["base_lr"][0], momentum=0.9)
        return optimizer, make(optimizer, **options)

    def rates(optimizer, key="lr"):
        return [float(group[key]) for group in optimizer.param_groups]

    def go(optimizer, scheduler, first, last):
        for step in range(first, last):
            scheduler.step(*([row["metrics"][step]] if "metrics" in row else []))
            yield rates(optimizer), rates(optimizer, "momentum")

    optimizer, scheduler = start()
    seen = [(rates(optimizer), rates(optimizer, "momentum")), *go(optimizer, scheduler, 0, 20)]
    state = {key: copy.deepcopy(value) for key, value in scheduler.state_dict().items() if not callable(value)}
    at_20 = copy.deepcopy(optimizer.state_dict())
    row["state_after_20"] = {"scheduler": plain(scheduler.state_dict()), "lrs": rates(optimizer)}
    seen += go(optimizer, scheduler, 20, ROWS)
    row["lr"] = [lr for lr, _ in seen]
    if row["scheduler"].endswith(("CyclicLR", "OneCycleLR")):
        row["momentum"] = [momentum for _, momentum in seen]
    optimizer, scheduler = start()
    optimizer.load_state_dict(at_20)
    scheduler.load_state_dict(copy.deepcopy(state))
    rest = [rates(optimizer), *(lr for lr, _ in go(optimizer, scheduler, 20, ROWS))]
    row["continuation_after_reload"] = "same" if rest == row["lr"][20:] else rest
    optimizer, scheduler = start()
    scheduler.load_state_dict(copy.deepcopy(state))
    row["scheduler_only_reload_next"] = [rates(optimizer), *(lr for lr, _ in go(optimizer, scheduler, 20, 23))]


for name, options in SCHEDULERS.items():
    kind = name if name in REGISTERED else "torch_extra_" + name
    rows = []
    for index in range(count):
        row = {
            "id": f"{kind}-{seed}-{index}",
            "scheduler": kind,
            "base_lr": draw.choice([[0.1], [1.0, 0.01], [0.003, 0.05, 0.2]]),
            "options": options(),
        }
        if name == "ReduceLROnPlateau":
            row["metrics"] = [1 + draw.choice([-0.1, -0.02, 0, 0.05]) * step for step in range(ROWS)]
        curve(row, getattr(lr_scheduler, name), row["options"])
        rows.append(row)
    write("schedulers", kind, rows)
