"""Records VITS of NeMo 1.23.0 (nemo_toolkit==1.23.0, torch 2.11) for tests/golden/vits: python record.py FOLDER.

Each case is a SynthesizerTrn in evaluation with weights drawn at random (also those that begin as zero), one batch, and
what is left to chance given as inputs; `loss` is the sum over outputs of mean(output * probe), whose gradients are kept.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file

from nemo.collections.tts.losses.vits_losses import KlLoss
from nemo.collections.tts.modules.vits_modules import MultiPeriodDiscriminator, SynthesizerTrn

COMMON = dict(n_vocab=12, spec_channels=17, segment_size=6, inter_channels=4, hidden_channels=8, filter_channels=10,
              n_heads=2, n_layers=2, kernel_size=3, p_dropout=0.1, padding_idx=0, resblock_kernel_sizes=[3, 5],
              resblock_dilation_sizes=[[1, 3, 5], [1, 2, 3]], upsample_rates=[4, 2], upsample_initial_channel=8,
              upsample_kernel_sizes=[8, 4])
CASES = {
    "synthesizer_drawn_durations_of_voices": dict(COMMON, resblock="1", n_speakers=3, gin_channels=4, use_sdp=True),
    "synthesizer_drawn_durations": dict(COMMON, resblock=1, n_speakers=0, gin_channels=0, use_sdp=True, kernel_size=2),
    "synthesizer_plain_durations": dict(COMMON, resblock="2", n_speakers=2, gin_channels=3, use_sdp=False),
}


def given(values):
    """Stands for torch's functions that draw: gives the next of these."""
    values = list(values)
    return lambda *args, **kwargs: values.pop(0)


def record(folder, name, params, seed):
    torch.manual_seed(seed)
    net = SynthesizerTrn(**params).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.abs().max() == 0:
                parameter.normal_(0, 0.1)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    batch, tokens, frames = 3, 9, 31
    inputs = {
        "text": torch.randint(0, params["n_vocab"], (batch, tokens)),
        "text_len": torch.tensor([9, 5, 1]),
        "spec": torch.rand(batch, params["spec_channels"], frames),
        "spec_len": torch.tensor([31, 20, 6]),
        "posterior_noise": torch.randn(batch, params["inter_channels"], frames),
        "duration_noise": torch.randn(batch, 2, tokens),
        "segment_draws": torch.rand(batch),
    }
    if params["n_speakers"] > 1:
        inputs["speakers"] = torch.randint(0, params["n_speakers"], (batch,))
    inputs["spec"].requires_grad_()
    real = torch.randn_like, torch.randn, torch.rand
    torch.randn_like = given([inputs["posterior_noise"]])
    torch.randn = given([inputs["duration_noise"]])
    torch.rand = given([inputs["segment_draws"]])
    made = net(inputs["text"], inputs["text_len"], inputs["spec"], inputs["spec_len"], inputs.get("speakers"))
    torch.randn_like, torch.randn, torch.rand = real
    audio, length, attention, starts, _, mask, (z, z_p, m_p, logs_p, m_q, logs_q) = made
    outputs = dict(audio=audio, l_length=length, durations=attention.sum(2).squeeze(1), ids_slice=starts, spec_mask=mask, z=z,
                   z_p=z_p, m_p=m_p, logs_p=logs_p, m_q=m_q, logs_q=logs_q)
    probes = {key: torch.randn_like(value) for key, value in outputs.items() if value.requires_grad}
    loss = sum((outputs[key] * probe).mean() for key, probe in probes.items())
    loss.backward()
    tensors = {"loss": loss.detach().reshape(1), "grad_in.spec": inputs["spec"].grad}
    tensors |= {"in." + key: value.detach() for key, value in inputs.items()}
    tensors |= {"out." + key: value.detach() for key, value in outputs.items()}
    tensors |= {"probe." + key: value for key, value in probes.items()}
    tensors |= {"state." + key: value for key, value in net.state_dict().items()}
    tensors |= {"grad." + key: value.grad for key, value in net.named_parameters() if value.grad is not None}
    path = folder / name
    path.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, path / "io.safetensors")
    meta = {"kind": "module", "class": "nemo.collections.tts.modules.vits_modules.SynthesizerTrn", "params": params,
            "mode": "eval", "tolerance": {"abs": 1e-5, "rel": 1e-5}}
    (path / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")
    # Without chance: what is said of the first text.
    with torch.no_grad():
        said = net.infer(inputs["text"][:1], inputs["text_len"][:1], inputs.get("speakers", [None])[:1] if params["n_speakers"] > 1 else None,
                         noise_scale=0, noise_scale_w=0, length_scale=1.3)
    save_file({"audio": said[0].contiguous(), "durations": said[1].sum(2).squeeze(1).contiguous()}, path / "said.safetensors")
    kl = KlLoss()(z_p=z_p, logs_q=logs_q, m_p=m_p, logs_p=logs_p, z_mask=mask)
    return {"kl": kl.item()}


def critics(spectral):
    """Weights and audio that anybody can make: sines of their places."""
    net = MultiPeriodDiscriminator(spectral).eval()
    with torch.no_grad():
        for number, (name, tensor) in enumerate(net.state_dict().items()):
            fan = tensor[0].numel() if tensor.dim() > 1 else tensor.numel()
            place = torch.arange(tensor.numel(), dtype=torch.float64)
            tensor.copy_((torch.sin(place * 1.7 + number) / fan**0.5).reshape(tensor.shape))
        place = torch.arange(2 * 701, dtype=torch.float64)
        real = (0.5 * torch.sin(place * 0.3)).reshape(2, 1, 701).float()
        scores, _, features, _ = net(real, real.flip(2))
    return [{"score": [score.double().mean().item(), score[1, -1].item()],
             "features": [feature.double().abs().mean().item() for feature in maps]} for score, maps in zip(scores, features)]


if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1])
    numbers = {name: record(root, name, params, 7 + i) for i, (name, params) in enumerate(CASES.items())}
    numbers["critics"] = {"weight": critics(False), "spectral": critics(True)}
    (root / "numbers.json").write_text(json.dumps(numbers, indent=1) + "\n")
