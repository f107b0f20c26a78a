"""torch.load and load_state_dict beside bench_restore.cc. Writes the version of torch, then answers each line:

["load", FILE] with [seconds, peak]: the file's weights into a model that is there already, and how far resident memory
rises over the weights' size while model and weights come to be (only asked for the first time);
["transcribe", MODEL, CLIP] with [seconds, text]: NeMo's restore_from and transcribe, without its imports."""

import contextlib
import json
import re
import sys
import time

import torch

torch.set_num_threads(1)


def memory(what):
    with open("/proc/self/status") as status:
        return 1024 * int(re.search(what + r":\s*(\d+)", status.read()).group(1))


def empty_model(shapes):
    root = torch.nn.Module()
    for name, shape in shapes.items():
        *path, last = name.split(".")
        module = root
        for part in path:
            if not hasattr(module, part):
                module.add_module(part, torch.nn.Module())
            module = getattr(module, part)
        module.register_parameter(last, torch.nn.Parameter(torch.zeros(shape)))
    return root


def load(path):
    global model, peak
    if model is None:
        shapes = {name: value.shape for name, value in torch.load(path, weights_only=True, mmap=True)["state_dict"].items()}
        weights = 4 * sum(shape.numel() for shape in shapes.values())
        with open("/proc/self/clear_refs", "w") as refs:
            refs.write("5")
        before = memory("VmRSS")
        model = empty_model(shapes)
        model.load_state_dict(torch.load(path, weights_only=True)["state_dict"])
        peak = (memory("VmHWM") - before) / weights
    start = time.perf_counter()
    model.load_state_dict(torch.load(path, weights_only=True)["state_dict"])
    return [time.perf_counter() - start, peak]


def transcribe(path, clip):
    with contextlib.redirect_stdout(sys.stderr):  # NeMo writes its log to stdout
        from nemo.collections.asr.models import ASRModel

        start = time.perf_counter()
        text = ASRModel.restore_from(path, map_location="cpu").transcribe([clip], verbose=False)[0].text
    return [time.perf_counter() - start, text]


model, peak = None, None
print(torch.__version__, flush=True)
for line in sys.stdin:
    what, *words = json.loads(line)
    print(json.dumps({"load": load, "transcribe": transcribe}[what](*words)), flush=True)
