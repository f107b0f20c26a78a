"""Models of NeMo with options drawn at random and what they make of noise, as cases of `fathom-conformance nemo_models/models`:

    python fresh_nemo_cases.py SEED DIR [CASES]

What NeMo itself refuses is drawn again; what is refused here on purpose is left out (docs/nemo-compatibility.md)."""

import json
import random
import shutil
import sys
import tempfile

import numpy
import sentencepiece
import soundfile
import torch
from nemo.collections.asr.models import EncDecClassificationModel, EncDecCTCModel, EncDecCTCModelBPE
from nemo.utils import logging
from nemo_record import record
from omegaconf import OmegaConf

logging.setLevel(logging.CRITICAL)
torch.set_num_threads(1)
seed, folder, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 20
draw = random.Random(seed)
MODULES = "nemo.collections.asr.modules."
WORDS = "zero one two three four five six seven eight nine don't über café ñandú it's a an the".split()


def chance(probability):
    return draw.random() < probability


def some(options, **more):
    """Each of the options with one chance in two: what is left out has its default."""
    return {key: draw.choice(values) for key, values in {**options, **more}.items() if chance(0.5)}


# --- front-ends ---------------------------------------------------------------------------------------------------------


def window(rate):
    out = {"sample_rate": rate, "window_size": draw.choice([0.02, 0.025, 0.016]), "window_stride": 0.01}
    if chance(0.2):
        out.update(window_size=None, window_stride=None, n_window_size=draw.choice([200, 256, 301]))
        out["n_window_stride"] = draw.choice([80, 100, 128])
    return out


def mel(rate):
    features = draw.choice([8, 16, 20, 32])
    out = {"_target_": MODULES + "AudioToMelSpectrogramPreprocessor", "features": features, "dither": 0.0}
    out.update(window(rate))
    out.update(
        some(
            {
                "window": ["hann", "hamming", "blackman", "bartlett", "ones", "none"],
                "n_fft": [512, 1024],
                "preemph": [0.97, None, 0.5, 0.0],
                "lowfreq": [0, 50, 300.5],
                "highfreq": [None, rate // 2, 3000],
                "log": [True, True, False],
                "log_zero_guard_type": ["add", "clamp"],
                "log_zero_guard_value": ["tiny", "eps", 1e-5, 2**-24],
                "pad_to": [0, 1, 2, 16, 7],
                "pad_value": [0, -3.5],
                "frame_splicing": [1, 1, 2, 3],
                "mag_power": [2.0, 1.0, 1.5],
                "mel_norm": ["slaney", None, 1, 2],
                "exact_pad": [False, True],
                "normalize": ["per_feature", "all_features", "NA", None, "fixed"],
            }
        )
    )
    if out.get("normalize") == "fixed":
        out["normalize"] = {
            "fixed_mean": [draw.uniform(-10, 0) for _ in range(features)],
            "fixed_std": [draw.uniform(0.5, 3) for _ in range(features)],
        }
    return out, features * out.get("frame_splicing", 1)


def mfcc(rate):
    mels = draw.choice([16, 20, 40])
    coefficients = draw.choice([8, 16, mels])
    out = {"_target_": MODULES + "AudioToMFCCPreprocessor", "n_mels": mels, "n_mfcc": coefficients}
    out.update(window(rate))
    out.update(
        some(
            {
                "window": ["hann", "hamming", "blackman", "bartlett", "ones"],
                "n_fft": [512, 1024],
                "lowfreq": [0.0, 100.0],
                "highfreq": [None, 3500.0],
                "norm": ["ortho", None],
                "log": [True, False],
            }
        )
    )
    return out, coefficients


# --- encoders -----------------------------------------------------------------------------------------------------------


def context(style):
    if style == "chunked_limited":
        right = draw.choice([0, 1, 2, 3, 6])
        return [draw.choice([0, 1, 2, 4]) * (right + 1) if chance(0.8) else -1, right]
    return [draw.choice([-1, 0, 1, 3, 8, 50]), draw.choice([-1, 0, 1, 4, 50])]


def window_context():
    return [draw.choice([0, 1, 3, 8]), draw.choice([1, 3, 5])]


def conformer(width):
    heads = draw.choice([1, 2, 3, 4])
    kernel = draw.choice([3, 5, 7, 9, 15])
    layers = draw.choice([1, 2, 3])
    out = {
        "_target_": MODULES + "ConformerEncoder",
        "feat_in": width,
        "n_layers": layers,
        "d_model": heads * draw.choice([4, 6, 8]),
        "n_heads": heads,
        "conv_kernel_size": kernel,
    }
    left = draw.randrange(kernel)
    out.update(
        some(
            {
                "feat_out": [-1, 0, 10],
                "causal_downsampling": [False, True],
                "subsampling": ["striding", "dw_striding", "stacking", "stacking_norm", None],
                "subsampling_factor": [1, 2, 4, 8, 3],
                "subsampling_conv_chunking_factor": [1, -1],
                "subsampling_conv_channels": [-1, 4, 12],
                "reduction": [None, "pooling", "striding"],
                "reduction_position": [-1, 0, layers - 1],
                "reduction_factor": [1, 2, 4],
                "ff_expansion_factor": [1, 2, 4],
                "self_attention_model": ["rel_pos", "abs_pos", "rel_pos_local_attn"],
                "att_context_style": ["regular", "chunked_limited", "chunked_limited_with_rc"],
                "xscaling": [True, False],
                "untie_biases": [True, False],
                "pos_emb_max_len": [3, 40, 5000],
                "conv_norm_type": [
                    *("batch_norm", "layer_norm", "instance_norm", "group_norm2", "group_norm1", "fused_batch_norm")
                ],
                "conv_context_size": [None, "causal", [left, kernel - 1 - left]],
                "use_bias": [True, False],
                "use_pytorch_sdpa": [True, False],
                "global_tokens": [0, 1],  # of more, NeMo mixes those of a batch's items
                "global_tokens_spacing": [1, 2],
                "global_attn_separate": [True, False],
            }
        )
    )
    if out.get("self_attention_model") == "rel_pos_local_attn":
        out["att_context_size"] = window_context()
        out.pop("use_pytorch_sdpa", None)
    elif chance(0.6):
        style = out.get("att_context_style", "regular")
        out["att_context_size"] = draw.choice([context(style), [context(style), context(style)], [-1, -1]])
    return out, out["feat_out"] if out.get("feat_out", -1) > 0 else out["d_model"]


def blocks(width):
    out, channels = [], width
    for _ in range(draw.choice([1, 2, 3, 4])):
        block = {
            "filters": draw.choice([8, 12, 16]),
            "repeat": draw.choice([1, 2, 3]),
            "kernel": draw.choice([[1], [3], [5], [8], 7]),
            "stride": [draw.choice([1, 1, 2])],
            "dilation": [draw.choice([1, 1, 2])],
            "dropout": 0.0,
            "residual": chance(0.5),
            "separable": chance(0.5),
        }
        block.update(
            some(
                {
                    "residual_mode": ["add", "stride_add", "max"],
                    "se": [True, False],
                    "se_reduction_ratio": [2, 4, 8],
                    "se_context_size": [-1, 4, 10, 64],
                    "se_interpolation_mode": ["nearest", "linear", "area"],
                    "kernel_size_factor": [1.0, 0.5, 1.7],
                    "stride_last": [True, False],
                    "future_context": [-1, 0, 1, 4],
                    "residual_dense": [False, False, True],
                    "groups": [1, 1, 2],
                    "heads": [-1, -1, 4],
                }
            )
        )
        out.append(block)
        channels = block["filters"]
    return out, channels


def jasper(width):
    layers, channels = blocks(width)
    out = {"_target_": MODULES + "ConvASREncoder", "feat_in": width, "activation": "relu", "jasper": layers}
    out["activation"] = draw.choice(["relu", "hardtanh", "selu", "swish", "silu", "gelu"])
    out.update(
        some(
            {
                "normalization_mode": ["batch", "layer", "instance", "group"],
                "norm_groups": [-1, 2, 4],
                "residual_mode": ["add", "stride_add", "max"],
                "conv_mask": [True, False],
                "init_mode": ["xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "tds_uniform", None],
            }
        )
    )
    return out, channels


# --- models -------------------------------------------------------------------------------------------------------------


def tokenizer(at):
    """A SentencePiece model of the words; NeMo wants vocab.txt beside it."""
    text = at + "/text.txt"
    with open(text, "w") as file:
        for _ in range(300):
            file.write(" ".join(draw.choice(WORDS) for _ in range(draw.randrange(1, 9))) + "\n")
    options = some(
        {
            "model_type": ["bpe", "unigram", "char"],
            "normalization_rule_name": ["nmt_nfkc", "identity", "nfkc_cf"],
            "byte_fallback": [True, False],
            "add_dummy_prefix": [True, False],
            "treat_whitespace_as_suffix": [True, False],
            "split_digits": [True, False],
            "remove_extra_whitespaces": [True, False],
            "user_defined_symbols": [["<s1>", "'"], ["eight"]],
            "bos_id": [-1, 1],
            "eos_id": [-1, 2],
            "unk_surface": [" ?? ", "x"],
        }
    )
    size = draw.choice([40, 50, 64])
    if options.get("byte_fallback"):
        size += 256
    sentencepiece.SentencePieceTrainer.train(
        input=text,
        model_prefix=at + "/tokenizer",
        vocab_size=size,
        hard_vocab_limit=False,
        minloglevel=2,
        **options,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=at + "/tokenizer.model")
    with open(at + "/vocab.txt", "w") as file:
        file.writelines(pieces.id_to_piece(i) + "\n" for i in range(1, len(pieces)))
    return {"dir": at, "type": "bpe"}


def draw_model(at):
    rate = draw.choice([8000, 16000])
    kind = draw.choice(["ctc", "ctc", "bpe", "bpe", "classes"])
    front_end, width = mfcc(rate) if chance(0.5 if kind == "classes" else 0.15) else mel(rate)
    encoder, channels = conformer(width) if chance(0.6) else jasper(width)
    config = {"sample_rate": rate, "preprocessor": front_end, "encoder": encoder}
    if kind == "classes":
        labels = [f"word{i}" for i in range(draw.choice([2, 5]))]
        data = {"labels": labels, "manifest_filepath": None, "shuffle": False, "batch_size": 1}
        config.update(labels=labels, train_ds=data, validation_ds=data)
        config["decoder"] = {
            "_target_": MODULES + "ConvASRDecoderClassification",
            "feat_in": channels,
            "num_classes": len(labels),
            **some({"return_logits": [True, False], "pooling_type": ["avg", "max"]}),
        }
        return EncDecClassificationModel(cfg=OmegaConf.create(config))
    decoder = {"_target_": MODULES + "ConvASRDecoder", "feat_in": draw.choice([None, channels]), "num_classes": -1}
    config["decoder"] = decoder
    if kind == "bpe":
        config["tokenizer"], decoder["vocabulary"] = tokenizer(at), []
        return EncDecCTCModelBPE(cfg=OmegaConf.create(config))
    labels = draw.sample(list("abcdefghijklmnopqrstuvwxyz' .?é"), draw.choice([3, 12, 28]))
    config["labels"] = decoder["vocabulary"] = labels
    return EncDecCTCModel(cfg=OmegaConf.create(config))


def fill(model):
    """Weights under which every part shows in the output."""
    generator = torch.Generator().manual_seed(draw.randrange(2**31))
    for name, value in model.state_dict().items():
        if name.startswith("preprocessor") or not value.is_floating_point():
            continue
        noise = torch.randn(value.shape, generator=generator)
        if name.endswith("running_var"):
            value.copy_(0.5 + noise.abs())
        elif value.dim() > 1 and "pos_bias" not in name:
            value.copy_(noise * (1.5 / value[0].numel()) ** 0.5)
        else:
            value.copy_((1 if name.endswith("weight") else 0) + 0.3 * noise)


def clips(at, rate):
    noise = numpy.random.default_rng(draw.randrange(2**31))
    out = []
    for i in range(draw.choice([2, 3])):
        samples = int(rate * draw.choice([0.12, 0.3, 0.555, 0.8, 1.3]))
        loudness = numpy.abs(numpy.sin(numpy.arange(samples) * noise.uniform(2, 20) / rate)) * draw.choice([1e-3, 0.1, 0.9])
        out.append(f"{at}/clip{i}.wav")
        soundfile.write(out[-1], (noise.standard_normal(samples) * loudness / 4).astype("float32"), rate, "FLOAT")
    return out


refused = {}
for number in range(count):
    while True:
        with tempfile.TemporaryDirectory() as at:
            try:
                model = draw_model(at)
                fill(model)
                case, nemo = f"{folder}/case{number}", at + "/model.nemo"
                model.save_to(nemo)
                record(model, nemo, case, clips(at, model.cfg.sample_rate))
                break
            except Exception as error:  # whatever NeMo raises
                text = f"{type(error).__name__}: {error}".split("\n")[0][:110]
                refused[text] = refused.get(text, 0) + 1
                shutil.rmtree(f"{folder}/case{number}", ignore_errors=True)
print(json.dumps(refused, indent=1), file=sys.stderr)
