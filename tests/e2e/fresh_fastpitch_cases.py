"""FastPitch models of NeMo with options drawn at random and what they make of texts and of noise, as cases of `fathom-conformance
nemo_models/models`:

    python fresh_fastpitch_cases.py SEED DIR [CASES]
    python fresh_fastpitch_cases.py SEED DIR FILE.nemo...

The second records what NeMo makes of files that it restores: NAME with the file itself, NAME_again with what NeMo saves of it."""

import json
import math
import os
import random
import shutil
import sys

import torch
from nemo.collections.tts.losses.aligner_loss import BinLoss, ForwardSumLoss
from nemo.collections.tts.losses.fastpitchloss import DurationLoss, EnergyLoss, MelLoss, PitchLoss
from nemo.collections.tts.models import FastPitchModel
from nemo.utils import logging
from omegaconf import OmegaConf
from safetensors.torch import save_file

logging.setLevel(logging.CRITICAL)
torch.set_num_threads(1)
seed, folder = int(sys.argv[1]), sys.argv[2]
files = [name for name in sys.argv[3:] if name.endswith(".nemo")]
count = int(sys.argv[3]) if len(sys.argv) > 3 and not files else 12
draw = random.Random(seed)
TTS = "nemo.collections.tts.modules."
TEXTS = ["one two three.", "Hello, world!", "ab"]  # with energy NeMo speaks no single token
OUTPUTS = "spect num_frames durs_predicted log_durs_predicted pitch_predicted attn_soft attn_logprob attn_hard attn_hard_dur pitch "
OUTPUTS = (OUTPUTS + "energy_pred energy_tgt").split()


def chance(probability):
    return draw.random() < probability


def conditions(width, conditioned, types):
    return [] if not conditioned else [kind for kind in types if chance(0.4)]


def config():
    width, mels, rate = draw.choice([8, 12, 16]), draw.choice([10, 20]), draw.choice([16000, 22050])
    learns = chance(0.85)
    speakers = draw.choice([0, 1, 2, 5])
    encoder = None
    if chance(0.35):
        encoder = {"_target_": TTS + "submodules.SpeakerEncoder"}
        kind = draw.choice(["lookup", "gst", "both", "precomputed"])
        if kind in ("lookup", "both"):
            encoder["lookup_module"] = {"_target_": TTS + "submodules.SpeakerLookupTable", "n_speakers": 4, "embedding_dim": width}
        if kind in ("gst", "both"):
            filters = [draw.choice([2, 3, 4]) for _ in range(draw.choice([1, 2, 3]))]
            encoder["gst_module"] = {
                "_target_": TTS + "submodules.GlobalStyleToken",
                "gst_size": width,
                "n_style_token": draw.choice([1, 3, 10]),
                "n_style_attn_head": draw.choice([1, 2, 4]),
                "reference_encoder": {
                    "_target_": TTS + "submodules.ReferenceEncoder",
                    **{"n_mels": mels, "cnn_filters": filters, "dropout": 0.2, "gru_hidden": width},
                    **{"kernel_size": 3, "stride": 2, "padding": 1, "bias": chance(0.7)},
                },
            }
        if kind == "precomputed":
            encoder["precomputed_embedding_dim"] = width
    conditioned = speakers > 1 or encoder is not None
    fft = lambda: {
        **{"n_layer": draw.choice([1, 2, 3]), "n_head": draw.choice([1, 2, 3]), "d_model": width, "d_head": draw.choice([4, 6])},
        **{"d_inner": draw.choice([16, 24]), "kernel_size": draw.choice([1, 3, 5]), "dropout": 0.1, "dropatt": 0.1, "dropemb": 0.0},
        "condition_types": conditions(width, conditioned, ["add", "concat", "layernorm"]),
    }
    predictor = lambda: {
        "_target_": TTS + "fastpitch.TemporalPredictor",
        **{"input_size": width, "kernel_size": draw.choice([1, 3, 5]), "filter_size": draw.choice([8, 20]), "dropout": 0.1},
        "n_layers": draw.choice([1, 2, 3]),
        "condition_types": conditions(width, conditioned, ["add", "concat", "layernorm"]),
    }
    hop = draw.choice([128, 200, 256])
    out = {
        "learn_alignment": learns,
        "n_speakers": speakers,
        "symbols_embedding_dim": width,
        "pitch_embedding_kernel_size": draw.choice([1, 3, 5]),
        "energy_embedding_kernel_size": 3,
        "min_token_duration": draw.choice([0.7, 1, 2.5]),
        "max_token_duration": draw.choice([3, 75]),
        "use_log_energy": chance(0.5),
        "n_mel_channels": mels,
        "preprocessor": {
            "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
            **{"features": mels, "lowfreq": 0, "highfreq": None, "n_fft": 1024, "n_window_size": 1024, "window_size": False},
            **{"n_window_stride": hop, "window_stride": False, "pad_to": 1, "pad_value": 0, "sample_rate": rate, "window": "hann"},
            **{"normalize": None, "preemph": None, "dither": 0.0, "frame_splicing": 1, "log": True, "mag_power": 1.0},
            **{"log_zero_guard_type": "add", "log_zero_guard_value": draw.choice([1e-5, 1.0]), "mel_norm": draw.choice([None, "slaney"])},
        },
        "input_fft": {"_target_": TTS + "transformer.FFTransformerEncoder", **fft()},
        "output_fft": {"_target_": TTS + "transformer.FFTransformerDecoder", **fft()},
        "duration_predictor": predictor(),
        "pitch_predictor": predictor(),
    }
    if chance(0.5):
        out["energy_predictor"] = predictor()
    if encoder:
        out["speaker_encoder"] = encoder
    if conditioned:
        for part in ("prosody", "decoder", "aligner"):
            if chance(0.4):
                out["speaker_emb_condition_" + part] = True
    if learns:
        distance = draw.choice(["l2", "l2", "cosine"])
        out["alignment_module"] = {
            "_target_": TTS + "aligner.AlignmentEncoder",
            **{"n_mel_channels": mels, "n_text_channels": width, "n_att_channels": draw.choice([6, 16]), "dist_type": distance},
            "temperature": 15.0 if distance == "cosine" else draw.choice([0.0005, 0.05]),
            "condition_types": conditions(width, conditioned, ["add", "concat"]),
        }
        out["text_tokenizer"] = {
            "_target_": "nemo.collections.common.tokenizers.text_to_speech.tts_tokenizers.EnglishCharsTokenizer",
            **{"punct": True, "apostrophe": True, "pad_with_space": chance(0.5)},
        }
        out["train_ds"] = {"defer_setup": True, "dataset": {"_target_": "nemo.collections.tts.data.dataset.TTSDataset"}}
    else:
        out["input_fft"].update(n_embed=40, padding_idx=39)
    return out


def voice(model, batch):
    """What says whose voice it is, by NeMo's names."""
    fastpitch, given = model.fastpitch, {}
    table = fastpitch.speaker_emb or getattr(fastpitch.speaker_encoder, "lookup_module", None)
    if table is not None:
        rows = table.num_embeddings if fastpitch.speaker_emb is not None else table.table.num_embeddings
        given["speaker"] = torch.randint(rows, (batch,))
    if getattr(fastpitch.speaker_encoder, "gst_module", None) is not None:
        lengths = torch.randint(5, 30, (batch,))
        given["reference_spec"] = torch.randn(batch, model.cfg.n_mel_channels, int(lengths.max()))
        given["reference_spec_lens"] = lengths
    return given


def outputs(model, **given):
    result = model(**{"durs": None, **given})
    return {name: value.clone().contiguous() for name, value in zip(OUTPUTS, result) if torch.is_tensor(value)}


def batch_of(model):
    rate, hop = model.cfg.preprocessor.sample_rate, model.cfg.preprocessor.n_window_stride
    lengths = torch.tensor([rate, int(rate * 0.7), int(rate * 0.8)])
    time = torch.arange(int(lengths.max())) / rate
    audio = torch.stack([0.2 * torch.sin(2 * math.pi * (150 + 80 * i) * time + torch.sin(20 * time)) for i in range(3)])
    audio = audio + 0.01 * torch.randn_like(audio)
    for i, length in enumerate(lengths):
        audio[i, length:] = 0
    spec, spec_len = model.preprocessor(input_signal=audio, length=lengths)
    token_len = torch.tensor([draw.randrange(2, 30), 2, draw.randrange(2, 20)])  # of 1 NeMo writes where it must not
    tokens = torch.full((3, int(token_len.max())), int(model.fastpitch.encoder.padding_idx))
    for i, length in enumerate(token_len):
        tokens[i, :length] = torch.randint(1, 30, (int(length),))
    frames, width = spec.shape[2], tokens.shape[1]
    pitch = torch.randn(3, frames) * (torch.rand(3, frames) > 0.3)
    tensors = {"audio": audio, "audio_len": lengths, "spec": spec, "spec_len": spec_len, "tokens": tokens, "token_len": token_len}
    given = {"pitch": pitch}
    if model.fastpitch.energy_predictor is not None:
        given["energy"] = torch.rand(3, frames) * 20
    if model.learn_alignment and chance(0.7):
        prior = torch.rand(3, frames, width)
        given["attn_prior"] = prior / prior.sum(2, keepdim=True)
    given.update(voice(model, 3))
    for name, tensor in given.items():
        tensors[{"pitch": "pitch_in", "energy": "energy_in", "attn_prior": "prior"}.get(name, name)] = tensor
    return tensors, given, hop


def losses(model, out, tensors):
    spec, lens, own = tensors["spec"], tensors["token_len"], lambda value: value.detach().clone()
    found = {
        "mel": MelLoss()(spect_predicted=out["spect"], spect_tgt=spec),
        "duration": DurationLoss()(log_durs_predicted=out["log_durs_predicted"], durs_tgt=out["attn_hard_dur"], len=lens),
        "pitch": PitchLoss()(pitch_predicted=out["pitch_predicted"], pitch_tgt=out["pitch"], len=lens),
        "forward_sum": ForwardSumLoss()(attn_logprob=out["attn_logprob"], in_lens=lens, out_lens=tensors["spec_len"]),
        "bin": BinLoss()(hard_attention=out["attn_hard"], soft_attention=out["attn_soft"]),
    }
    if "energy_tgt" in out:
        found["energy"] = EnergyLoss()(energy_predicted=out["energy_pred"], energy_tgt=out["energy_tgt"], length=lens)
    return {"loss." + name: own(value) for name, value in found.items()}


def record(model, target):
    os.makedirs(target)
    model.save_to(target + "/model.nemo")
    tensors, prosody, paces = {}, [], [1.0, 1.3]
    for i, text in enumerate(TEXTS):
        tokens = model.parse(text) if model.learn_alignment else torch.randint(0, 30, (1, 7))
        tensors[f"text{i}.tokens"] = tokens
        given = voice(model, 1)
        tensors.update({f"text{i}.{name}": value for name, value in given.items()})
        for pace in paces:
            for name, value in outputs(model, text=tokens, pitch=None, pace=pace, **given).items():
                tensors[f"text{i}.pace{pace}.{name}"] = value
        if "reference_spec" in given:
            prosody.append(None)  # only a recording can say that
            continue
        wishes = {"pace": torch.rand(1, tokens.shape[1]) + 0.5, "pitch": torch.randn(1, tokens.shape[1])}
        options = {"pace": wishes["pace"][0].tolist(), "pitch_shift": wishes["pitch"][0].tolist()}
        if model.fastpitch.energy_predictor is not None and chance(0.5):
            wishes["energy"] = torch.rand(1, 1, tokens.shape[1])
            options["energy"] = wishes["energy"][0, 0].tolist()
        if "speaker" in given:
            options["speaker"] = int(given["speaker"])
        spect, *_ = model.fastpitch.infer(text=tokens, speaker=given.get("speaker"), **wishes)
        tensors[f"text{i}.infer.spect"] = spect
        prosody.append(options)
    meta = {
        **{"kind": "model", "class": "nemo.collections.tts.models.fastpitch.FastPitchModel", "nemo_file": "model.nemo"},
        **{"texts": TEXTS, "paces": paces, "prosody": prosody, "parses": model.learn_alignment},
        "tolerance": {"abs": 2e-5, "rel": 1e-4},
    }
    if model.learn_alignment:
        batch, given, _ = batch_of(model)
        out = outputs(
            model, text=batch["tokens"], spec=batch["spec"], mel_lens=batch["spec_len"], input_lens=batch["token_len"], **given
        )
        tensors.update({"align." + name: value for name, value in {**batch, **out}.items()})
        tensors.update(losses(model, out, batch))
    save_file({name: value.detach().clone().contiguous() for name, value in tensors.items()}, target + "/io.safetensors")
    with open(target + "/meta.json", "w") as file:
        json.dump(meta, file)


torch.manual_seed(seed)
for path in files:
    name = os.path.splitext(os.path.basename(path))[0]
    with torch.no_grad():
        record(FastPitchModel.restore_from(path, map_location="cpu").eval(), f"{folder}/{name}_again")
    shutil.copytree(f"{folder}/{name}_again", f"{folder}/{name}")
    shutil.copy(path, f"{folder}/{name}/model.nemo")
for i in range(0 if files else count):
    torch.manual_seed(seed * 1000 + i)
    model = FastPitchModel(OmegaConf.create(config())).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():  # norms and conditions that do something
            if "precomputed_emb" in name:
                parameter.normal_()
            elif parameter.dim() == 1 or "cond_" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
        record(model, f"{folder}/fastpitch{seed}_{i}")
