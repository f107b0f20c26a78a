"""Writes what NeMo 3.0 makes of two lines of the bundled clips: python record.py, where nemo_toolkit[tts] is installed."""
import json
import os
import tempfile

import torch
from pathlib import Path
from omegaconf import OmegaConf
from hydra.utils import instantiate
from nemo.collections.tts.data.text_to_speech_dataset import TextToSpeechDataset
from nemo.collections.tts.data.vocoder_dataset import VocoderDataset
from nemo.collections.common.tokenizers.text_to_speech.tts_tokenizers import EnglishCharsTokenizer
from safetensors.torch import save_file
O = os.path.dirname(os.path.abspath(__file__))
D = O + "/../../data/ljspeech_mini"
D = os.path.normpath(D)
l=json.loads(open(D+"/train.json").readline())
lines=[{**l,"speaker":"bob"},{**l,"speaker":"ann","offset":0.5,"duration":1.0,"text":"In being 2.","normalized_text":"in being two."}]
open(O+"/manifest.json","w").write("".join(json.dumps(x)+"\n" for x in lines))
json.dump({"ann":0,"bob":1},open(O+"/speakers.json","w"),indent=4); open(O+"/speakers.json","a").write("\n")
P="nemo.collections.tts.parts.preprocessing."
mel=dict(_target_=P+"features.MelSpectrogramFeaturizer",sample_rate=16000,win_length=1024,hop_length=256,mel_dim=80,lowfreq=0,highfreq=None)
F=instantiate(OmegaConf.create({"pitch":dict(_target_=P+"features.PitchFeaturizer",voiced_prob_name="voiced_prob",sample_rate=16000,win_length=1024,hop_length=256,pitch_fmin=60,pitch_fmax=640,batch_seconds=1.5),"energy":dict(_target_=P+"features.EnergyFeaturizer",spec_featurizer=mel)}))
fd = Path(tempfile.mkdtemp())
for f in F.values(): f.save(manifest_entry=lines[0],audio_dir=Path(D),feature_dir=fd)
from collections import defaultdict
st={n:defaultdict(list) for n in ["pitch","energy"]}
for e in lines:
    d={}
    for f in F.values(): d.update(f.load(manifest_entry=e,audio_dir=Path(D),feature_dir=fd))
    for n in st:
        v=d[n][d["voiced_mask"]]; st[n]["default"].append(v); st[n][e["speaker"]].append(v)
out=defaultdict(dict)
for n in st:
    for s,v in st[n].items():
        t=torch.cat(v); out[s][n+"_mean"]=t.mean().item(); out[s][n+"_std"]=t.std(dim=0).item()
json.dump(out,open(O+"/feature_stats.json","w"),indent=4); open(O+"/feature_stats.json","a").write("\n")
procs=instantiate(OmegaConf.create({
 "pitch":{"_target_":P+"feature_processors.MeanVarianceSpeakerNormalization","field":"pitch","stats_path":O+"/feature_stats.json"},
 "energy":{"_target_":P+"feature_processors.MeanVarianceNormalization","field":"energy","stats_path":O+"/feature_stats.json"},
 "p":{"_target_":P+"feature_processors.FeatureScaler","field":"voiced_prob","add_value":0.5,"div_value":2.0},
 "q":{"_target_":P+"feature_processors.LogCompression","field":"voiced_prob","log_zero_guard_type":"clamp","log_zero_guard_value":0.3}}))
ds=TextToSpeechDataset(dataset_meta={"lj":{"manifest_path":O+"/manifest.json","audio_dir":D,"feature_dir":str(fd)}},sample_rate=16000,text_tokenizer=EnglishCharsTokenizer(pad_with_space=True),speaker_path=O+"/speakers.json",featurizers=F,feature_processors=procs,align_prior_hop_length=256,min_duration=0.1)
b=ds.collate_fn([ds[i] for i in range(2)])
t={k:v for k,v in b.items() if torch.is_tensor(v)}
vd=VocoderDataset(dataset_meta={"lj":{"manifest_path":O+"/manifest.json","audio_dir":D}},sample_rate=22050,resample_rate=16000,trunc_duration=1.2,volume_norm=True)
v=vd.collate_fn([vd[i] for i in range(2)])
t["vocoder_audio"]=v["audio"]; t["vocoder_audio_lens"]=v["audio_lens"]
for k in ("audio","vocoder_audio"): t[k+"_every_16th"]=t.pop(k)[:,::16].contiguous()
save_file({k:v.contiguous() for k,v in t.items()},O+"/batch.safetensors")
