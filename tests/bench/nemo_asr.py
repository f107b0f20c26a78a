"""What NeMo needs for the cases of bench_asr, on one thread: `nemo_asr.py CASE [REPEATS] [--audio] [--batch N]` prints one
line {"case", "seconds" (median of a run), "cpu_seconds" (of the process: less moved by a busy machine), "peak_mb" (resident memory at its highest), "before_mb" (the same before the
model was made: Python with torch and NeMo), ...}. Without a case, the names of all. One case a process: memory is
never given back.

Steps are forward, loss, backward and optimizer in training mode, from features (or, with --audio, from samples, with the
front-end in them) and with spectrogram augmentation; forwards are in evaluation mode, without gradients."""

import argparse
import json
import resource
import statistics
import time

LETTERS = list(" abcdefghijklmnopqrstuvwxyz'")
SECONDS, RATE = 10, 16000


def block(filters, kernel, repeat=1, stride=1, dilation=1, residual=True, dropout=0.0, separable=True):
    return dict(
        filters=filters,
        repeat=repeat,
        kernel=[kernel],
        stride=[stride],
        dilation=[dilation],
        dropout=dropout,
        residual=residual,
        separable=separable,
    )


def mel(features, window):
    return {
        "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
        "sample_rate": RATE,
        "window_size": window,
        "window_stride": 0.01,
        "window": "hann",
        "features": features,
        "n_fft": 512,
        "normalize": "per_feature",
        "dither": 1e-5,
        "pad_to": 0,
    }


def augmentation(**masks):
    return {"_target_": "nemo.collections.asr.modules.SpectrogramAugmentation", **masks}


def ctc(encoder, width, preprocessor, augment, optim):
    return {
        "sample_rate": RATE,
        "labels": LETTERS,
        "preprocessor": preprocessor,
        "spec_augment": augment,
        "encoder": encoder,
        "decoder": {
            "_target_": "nemo.collections.asr.modules.ConvASRDecoder",
            "feat_in": width,
            "num_classes": len(LETTERS),
            "vocabulary": LETTERS,
        },
        "optim": optim,
    }


def quartznet():
    """NeMo's examples/asr/conf/quartznet/quartznet_15x5.yaml."""
    blocks = [block(256, 33, stride=2, residual=False)]
    for filters, kernel in ((256, 33), (256, 39), (512, 51), (512, 63), (512, 75)):
        blocks += [block(filters, kernel, repeat=5)] * 3
    blocks += [block(512, 87, dilation=2, residual=False), block(1024, 1, residual=False, separable=False)]
    encoder = {
        "_target_": "nemo.collections.asr.modules.ConvASREncoder",
        "feat_in": 64,
        "activation": "relu",
        "conv_mask": True,
        "jasper": blocks,
    }
    optim = {"name": "novograd", "lr": 0.01, "betas": [0.8, 0.5], "weight_decay": 0.001}
    return ctc(encoder, 1024, mel(64, 0.02), augmentation(rect_masks=5, rect_time=120, rect_freq=50), optim)


def conformer_small():
    """NeMo's examples/asr/conf/conformer/conformer_ctc_char.yaml, small."""
    encoder = {
        "_target_": "nemo.collections.asr.modules.ConformerEncoder",
        "feat_in": 80,
        "n_layers": 16,
        "d_model": 176,
        "n_heads": 4,
        "conv_kernel_size": 31,
        "subsampling": "striding",
        "subsampling_factor": 4,
        "self_attention_model": "rel_pos",
        "dropout": 0.1,
        "dropout_pre_encoder": 0.1,
        "dropout_emb": 0.0,
        "dropout_att": 0.1,
    }
    masks = augmentation(freq_masks=2, time_masks=5, freq_width=27, time_width=0.05)
    optim = {"name": "adamw", "lr": 0.001, "betas": [0.9, 0.98], "weight_decay": 0.001}
    return ctc(encoder, 176, mel(80, 0.025), masks, optim)


def matchboxnet():
    """NeMo's examples/asr/conf/matchboxnet/matchboxnet_3x1x64_v1.yaml: 30 words of one second."""
    labels = [f"word{i}" for i in range(30)]
    blocks = [
        block(128, 11, residual=False),
        block(64, 13),
        block(64, 15),
        block(64, 17),
        block(128, 29, dilation=2, residual=False),
        block(128, 1, residual=False, separable=False),
    ]
    return {
        "sample_rate": RATE,
        "labels": labels,
        "preprocessor": {
            "_target_": "nemo.collections.asr.modules.AudioToMFCCPreprocessor",
            "window_size": 0.025,
            "window_stride": 0.01,
            "window": "hann",
            "n_mels": 64,
            "n_mfcc": 64,
            "n_fft": 512,
        },
        "spec_augment": augmentation(
            freq_masks=2, time_masks=2, freq_width=15, time_width=25, rect_masks=5, rect_time=25, rect_freq=15
        ),
        "encoder": {
            "_target_": "nemo.collections.asr.modules.ConvASREncoder",
            "feat_in": 64,
            "activation": "relu",
            "conv_mask": True,
            "jasper": blocks,
        },
        "decoder": {
            "_target_": "nemo.collections.asr.modules.ConvASRDecoderClassification",
            "feat_in": 128,
            "num_classes": 30,
            "return_logits": True,
            "pooling_type": "avg",
        },
        "optim": {"name": "novograd", "lr": 0.05, "betas": [0.95, 0.5], "weight_decay": 0.001},
    }


def digits_transducer():
    """The model of configs/asr/digits_transducer, and its step from features: 32 items of 50 frames and 4 letters."""
    import pathlib

    import torch
    from nemo.collections.asr.models import EncDecRNNTModel
    from omegaconf import OmegaConf

    folder = pathlib.Path(__file__).resolve().parents[2] / "configs/asr"
    config = OmegaConf.load(folder / "digits_transducer.yaml").model
    for key in ("train_ds", "validation_ds", "test_ds"):
        config.pop(key)
    model = EncDecRNNTModel(cfg=OmegaConf.create({"model": config}).model)
    model.train()
    optimizer, _ = model.setup_optimization({"name": "adamw", "lr": 0.003, "betas": [0.9, 0.98], "weight_decay": 0.001})
    signal, length = torch.randn(32, 40, 50), torch.full((32,), 50)
    targets, target_length = torch.randint(0, 16, (32, 4)), torch.full((32,), 4)

    def step():
        encoded, encoded_len = model.encoder(audio_signal=signal, length=length)
        predicted, _, _ = model.decoder(targets=targets, target_length=target_length)
        logits = model.joint(encoder_outputs=encoded, decoder_outputs=predicted)
        loss = model.loss(
            log_probs=logits, targets=targets, input_lengths=encoded_len, target_lengths=target_length
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, {"batch": 32, "from": "features"}


def minute(case):
    """An encoder on 60 s of features: the 0.6 B transducers' (parakeet-tdt-0.6b), or Conformer-CTC small."""
    import torch
    from nemo.collections.asr.modules import ConformerEncoder

    if case.startswith("fastconformer"):
        encoder = ConformerEncoder(
            feat_in=128, n_layers=24, d_model=1024, n_heads=8, subsampling="dw_striding", subsampling_factor=8,
            subsampling_conv_channels=256, ff_expansion_factor=4, conv_kernel_size=9, xscaling=False, use_bias=False,
        )  # fmt: skip
    else:
        config = conformer_small()["encoder"]
        config.pop("_target_")
        encoder = ConformerEncoder(**config)
    encoder.eval()
    features = 128 if case.startswith("fastconformer") else 80
    signal, length = torch.randn(1, features, 6000), torch.full((1,), 6000)
    half = case.endswith("bf16")

    def forward():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            encoder(audio_signal=signal, length=length)

    return forward, {"batch": 1, "from": "features"}


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def inputs(args, batch, seconds, features):
    import torch

    torch.manual_seed(1)
    if args.audio or args.case.startswith("matchboxnet"):  # NeMo's forward takes no features there
        length = seconds * RATE
        return {
            "input_signal": 0.1 * torch.randn(batch, length),
            "input_signal_length": torch.full((batch,), length),
        }
    length = seconds * 100
    return {
        "processed_signal": torch.randn(batch, features, length),
        "processed_signal_length": torch.full((batch,), length),
    }


def prepare(args):
    """The function to measure, and what to say about it."""
    import contextlib

    import torch
    from nemo.collections.asr.models import EncDecClassificationModel, EncDecCTCModel
    from nemo.utils import logging
    from omegaconf import OmegaConf

    torch.set_num_threads(1)
    logging.setLevel(logging.ERROR)  # it writes to stdout
    if args.case == "digits_transducer_step":
        return digits_transducer()
    if "_60s_" in args.case:
        return minute(args.case)
    kind, what = args.case.split("_", 1)
    config = {"quartznet": quartznet, "conformer": conformer_small, "matchboxnet": matchboxnet}[kind]()
    classifier = kind == "matchboxnet"
    model = (EncDecClassificationModel if classifier else EncDecCTCModel)(cfg=OmegaConf.create(config))
    batch = args.batch or {"quartznet_forward": 1, "conformer_forward": 1, "matchboxnet_step": 128}.get(args.case, 8)
    given = inputs(args, batch, 1 if classifier else SECONDS, 80 if kind == "conformer" else 64)
    facts = {"batch": batch, "from": "audio" if "input_signal" in given else "features"}
    if what == "forward":
        model.eval()

        def forward():
            with torch.inference_mode():
                model.forward(**given)

        return forward, facts

    model.train()
    optimizer, _ = model.setup_optimization()
    targets = torch.randint(0, len(LETTERS), (batch, 120))
    target_lengths = torch.randint(80, 121, (batch,))
    labels = torch.randint(0, 30, (batch,))
    autocast = torch.autocast("cpu", torch.bfloat16) if what == "step_bf16" else contextlib.nullcontext()

    def step():
        with autocast:
            out = model.forward(**given)
            if classifier:
                loss = model.loss(logits=out, labels=labels)
            else:
                loss = model.loss(
                    log_probs=out[0], targets=targets, input_lengths=out[1], target_lengths=target_lengths
                )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, facts


CASES = ["quartznet_step", "quartznet_step_bf16", "quartznet_forward"]
CASES += ["conformer_step", "conformer_step_bf16", "conformer_forward", "matchboxnet_step"]
CASES += ["digits_transducer_step"]
CASES += [f"{model}_60s_{precision}" for model in ("fastconformer", "conformer") for precision in ("32", "bf16")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="?", choices=CASES)
    parser.add_argument("repeats", nargs="?", type=int, default=3)
    parser.add_argument("--audio", action="store_true", help="from samples instead of features")
    parser.add_argument("--batch", type=int, help="items, where not 8 (steps), 1 (forwards) or 128 (MatchboxNet)")
    args = parser.parse_args()
    if args.case is None:
        print(json.dumps(CASES))
        return
    import nemo.collections.asr  # noqa: F401  what stands before the model in memory

    before = peak_mb()
    run, facts = prepare(args)
    run()  # warm
    times, cpu = [], []
    for _ in range(args.repeats):
        start, cpu_start = time.perf_counter(), time.process_time()
        run()
        times.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    line = {"case": args.case, "seconds": statistics.median(times), "cpu_seconds": statistics.median(cpu)}
    line.update(peak_mb=peak_mb(), before_mb=before, **facts)
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
