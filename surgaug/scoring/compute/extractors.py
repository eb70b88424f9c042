"""The extractors of a run, loaded: functions of images with a name for all that their numbers depend on."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch

from surgaug.scoring import metrics
from surgaug.scoring.compute.extraction import Feature, PairValue
from surgaug.scoring.config import Weights
from surgaug.scoring.features import clip, colour_texture, dinov2, fingerprint, inception

_CPU_BATCH, _GPU_BATCH = 16, 64


def load_features(names: Collection[str], weights: Weights, device: torch.device) -> dict[str, Feature]:
    """Extractors by name. Raises ModelError for weights that are not what they should be."""
    batch = _CPU_BATCH if device.type == "cpu" else _GPU_BATCH
    features = {}
    for name, module in (("colour_texture", colour_texture), ("fingerprint", fingerprint)):
        if name in names:
            features[name] = Feature(module.extract, f"{name} {module.VERSION}")
    if "inception" in names and weights.inception:
        network = inception.Extractor(inception.load(weights.inception), weights.resize, device)
        features["inception"] = Feature(network, f"inception {weights.resize} {inception.SHA256}", batch)
    for name, module, folder in (("dinov2", dinov2, weights.dinov2), ("clip", clip, weights.clip)):
        if name in names:
            encoder = module.load(folder, device)
            features[name] = Feature(encoder, f"{name} {module.PREPARATION} {encoder.sha256}", batch)
    return features


def load_pair_metrics(
    names: Collection[str], weights: Weights, device: torch.device
) -> dict[str, tuple[PairValue, str]]:
    """Metrics of pairs by name, each with what identifies it. Raises ModelError as `load_features`."""
    loaded = {}
    for name in names:
        module = metrics.get(name)
        if name == "lpips":
            network = module.load(weights.lpips, device)
            loaded[name] = network, f"lpips {module.VERSION} {network.sha256}"
        else:
            loaded[name] = module.compute, f"{name} {module.VERSION}"
    return loaded


def facts(
    features: dict[str, Feature], pair_metrics: dict[str, tuple[PairValue, str]], weights: Weights
) -> dict[str, Any]:
    """What the features and weights were, for the report."""
    known: dict[str, dict[str, Any]] = {
        "colour_texture": {"dimension": colour_texture.DIMENSION, "weights": None},
        "fingerprint": {"dimension": fingerprint.DIMENSION, "weights": None},
        "inception": {
            "dimension": inception.DIMENSION,
            "weights": inception.FILE_NAME,
            "sha256": inception.SHA256,
            "resize": weights.resize,
        },
    }
    found = {name: known[name] for name in features if name in known}
    for name, folder in (("dinov2", weights.dinov2), ("clip", weights.clip)):
        if name in features:
            encoder: Any = features[name].extract
            found[name] = {"weights": str(folder), "sha256": encoder.sha256}
    if "lpips" in pair_metrics:
        network: Any = pair_metrics["lpips"][0]
        found["lpips"] = {"network": network.backbone, "sha256": network.sha256}
    return found
