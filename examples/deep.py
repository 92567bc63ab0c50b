"""Converted here from PyTorch and TensorFlow: EfficientNet on a photo, basic-pitch on a chord."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import zoo

NAMES = {698: "palace", 663: "monastery", 858: "tile roof"}
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def photo(cache: Path, folder: Path) -> zoo.VerifiedModel:
    """Convert efficientnet-lite0 from its PyTorch weights; classify a photo that scikit-learn ships."""
    from sklearn.datasets import load_sample_image

    print("efficientnet-lite0: what is in the photo? (china.jpg, the Summer Palace in Beijing)")
    model = zoo.pull("efficientnet-lite0", cache=cache)
    image = _centre(load_sample_image("china.jpg"), 224)
    logits = next(iter(zoo.load(model.path)(image).values()))[0]
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    for index in shares.argsort()[::-1][:3]:
        print(f"  ImageNet class {index:<4} {shares[index]:.3f}   {NAMES.get(int(index), '')}")
    return model


def _centre(image: np.ndarray, side: int) -> np.ndarray:
    """The middle square, shrunk by averaging, as float32[1, 3, side, side] of ImageNet's scale."""
    edge = min(image.shape[:2]) // side * side
    top, left = ((size - edge) // 2 for size in image.shape[:2])
    block = edge // side
    square = image[top : top + edge, left : left + edge] / 255
    small = square.reshape(side, block, side, block, 3).mean(axis=(1, 3))
    return ((small - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)


def chord(cache: Path, folder: Path) -> zoo.VerifiedModel:
    """Convert basic-pitch from its SavedModel; hear a C major chord that is made here."""
    print("basic-pitch: which notes sound? (C4 E4 G4, synthesised)")
    model = zoo.pull("basic-pitch", cache=cache)
    loaded = zoo.load(model.path)
    rate, samples = 22_050, 43_844
    time = np.arange(samples) / rate
    audio = (
        sum(np.sin(2 * np.pi * f * k * time) / k for f in (261.63, 329.63, 392.0) for k in (1, 2, 3)) * 0.1
    )
    outputs = loaded(audio.astype(np.float32)[None, :, None])
    notes = next(array for array in outputs.values() if array.shape[-1] == 88)
    strongest = np.sort(notes[0].mean(axis=0).argsort()[::-1][:3]) + 21
    names = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
    print("  heard: " + " ".join(f"{names[note % 12]}{note // 12 - 1}" for note in strongest))
    return model
