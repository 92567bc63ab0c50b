"""Silero VAD finds speech in a recording: here, a sentence of Samuel Beckett's, read aloud."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

import zoo

RATE, WINDOW, CONTEXT = 16_000, 512, 64


def run(cache: Path, folder: Path) -> zoo.VerifiedModel:
    """Pull silero-vad and run it over real speech and over noise."""
    print("silero-vad: where does somebody speak?")
    model = zoo.pull("silero-vad", cache=cache)
    detect = zoo.load(model.path)
    recording = recorded(
        next(path for path in zoo.samples("silero-vad", cache=cache) if path.suffix == ".wav")
    )
    noise = np.random.default_rng(0).normal(0, 0.02, len(recording)).astype(np.float32)
    for name, audio in (("recording", recording), ("noise", noise)):
        speech = probabilities(detect, audio) > 0.5
        print(
            f"  {name:<10} {len(audio) / RATE:4.1f} s   speech in {speech.mean():4.0%} of it   {_bar(speech)}"
        )
    return model


def probabilities(detect: zoo.LoadedModel, audio: np.ndarray) -> np.ndarray:
    """The probability of speech in each window of 32 ms, float32[windows]."""
    state = np.zeros((2, 1, 128), np.float32)
    before = np.zeros(CONTEXT, np.float32)
    found = []
    for start in range(0, len(audio) - WINDOW + 1, WINDOW):
        window = audio[start : start + WINDOW]
        fed = np.concatenate([before, window])[None]
        outputs = detect({"input": fed, "state": state, "sr": np.array(RATE, np.int64)})
        probability, state = outputs.values()
        before = window[-CONTEXT:]
        found.append(probability[0, 0])
    return np.array(found)


def recorded(path: Path) -> np.ndarray:
    """A 16-bit mono recording at 16 kHz as float32 in [-1, 1]."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768


def _bar(speech: np.ndarray, width: int = 40) -> str:
    return "".join("█" if part.mean() > 0.5 else "·" for part in np.array_split(speech, width))
