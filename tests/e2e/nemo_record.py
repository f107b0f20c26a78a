"""What NeMo makes of a model file, as a case of `fathom-conformance nemo_models/models`: a folder with the file, io.safetensors
(features, encoded, log_probs or logits of clips one by one and as one padded batch) and meta.json (answers).

As a program, `nemo_record.py OUT CLIP... -- FILE.nemo...` records every file below OUT as NAME, and below OUT as NAME_again
what NeMo itself saves after it has restored it."""

import json
import os
import shutil
import sys

import soundfile
import torch
from nemo.collections.asr.models import ASRModel, EncDecClassificationModel, EncDecHybridRNNTCTCModel, EncDecRNNTModel
from safetensors.torch import save_file

TOLERANCE = {"abs": 1e-4, "rel": 1e-4, "features_abs": 1e-3}  # features: some are differences of large numbers


def read_clips(paths):
    return [torch.tensor(soundfile.read(path, dtype="float32")[0]) for path in paths]


def outputs(model, audio):
    lengths = torch.tensor([len(clip) for clip in audio])
    signal = torch.zeros(len(audio), int(lengths.max()))
    for i, clip in enumerate(audio):
        signal[i, : len(clip)] = clip
    with torch.inference_mode():
        features, features_len = model.preprocessor(input_signal=signal, length=lengths)
        encoded, encoded_len = model.encoder(audio_signal=features, length=features_len)
        out = {"features": features, "features_len": features_len, "encoded": encoded, "encoded_len": encoded_len}
        if isinstance(model, EncDecClassificationModel):
            out["logits"] = model.decoder(encoder_output=encoded)
        elif isinstance(model, EncDecHybridRNNTCTCModel):
            out["ctc_log_probs"] = model.ctc_decoder(encoder_output=encoded)
        elif not isinstance(model, EncDecRNNTModel):
            out["log_probs"] = model.decoder(encoder_output=encoded)
    return {name: tensor.clone().contiguous() for name, tensor in out.items()}


def joint(model, clip):
    """Of a transducer: its prediction network on labels, and its joint network on the clip's first frames."""
    model.eval()
    labels = torch.arange(4).unsqueeze(0)
    with torch.inference_mode():
        encoded, _ = model(input_signal=clip.unsqueeze(0), input_signal_length=torch.tensor([len(clip)]))
        decoded, _, _ = model.decoder(targets=labels, target_length=torch.tensor([4]))
        out = model.joint.joint(encoded[:, :, :3].transpose(1, 2), decoded.transpose(1, 2))
    tensors = {"labels": labels, "decoder_out": decoded, "out": out}
    return {f"joint.{name}": tensor.clone().contiguous() for name, tensor in tensors.items()}


def answers(model, paths, batch_size):
    if not isinstance(model, EncDecClassificationModel):
        return [hypothesis.text for hypothesis in model.transcribe(paths, batch_size=batch_size, verbose=False)]
    labels = list(model.cfg.train_ds.labels)
    return [labels[int(answer)] for answer in model.transcribe(paths, batch_size=batch_size)]


def record(model, nemo, folder, paths):
    """`nemo` holds the model; `paths` are the clips."""
    model.eval()
    os.makedirs(folder)
    shutil.copy(nemo, folder + "/model.nemo")
    audio = read_clips(paths)
    tensors = {f"clip{i}.audio": clip for i, clip in enumerate(audio)}
    for i, clip in enumerate(audio):
        tensors.update({f"clip{i}.{name}": tensor for name, tensor in outputs(model, [clip]).items()})
    tensors.update({f"batch.{name}": tensor for name, tensor in outputs(model, audio).items()})
    if isinstance(model, EncDecRNNTModel):
        tensors.update(joint(model, audio[0]))
    save_file(tensors, folder + "/io.safetensors")
    meta = {
        "kind": "model",
        "class": f"{type(model).__module__}.{type(model).__name__}",
        "nemo_file": "model.nemo",
        "tolerance": TOLERANCE,
        "transcribe_batch1": answers(model, paths, 1),
    }
    with open(folder + "/meta.json", "w") as file:
        json.dump(meta, file)


def restore(path):
    return ASRModel.restore_from(path, map_location="cpu")


def main(words):
    torch.set_num_threads(1)
    out, split = words[0], words.index("--")
    clips, files = words[1:split], words[split + 1 :]
    for path in files:
        name = os.path.splitext(os.path.basename(path))[0]
        model = restore(path)
        record(model, path, f"{out}/{name}", clips)
        again = f"{out}/{name}_saved_again.nemo"
        restore(path).save_to(again)
        record(restore(again), again, f"{out}/{name}_again", clips)
        os.remove(again)
        print(name, type(model).__name__, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
