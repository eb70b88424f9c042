"""The model file: safetensors with everything that sampling needs in its JSON metadata.

One file holds the EMA weights, the network's configuration, the label space, the noise schedule, the parameterisation
(eps, v or x0), the training size and the class statistics. No sampler can be run on another schedule than the one
trained on, because the schedule comes with the weights. Nothing in it is executed when it is read.

The file of a cascade holds two of these: the descriptions of both stages, and their weights as "first.NAME" and
"second.NAME".
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from surgaug.errors import ModelError, SurgaugError
from surgaug.io.atomic import write_bytes
from surgaug.labels.label_space import LabelSpace
from surgaug.models import families
from surgaug.models.description import LONG, STAGE_NAMES, describe
from surgaug.models.unet import SemanticUNet
from surgaug.models.upsampler import Upsampler
from surgaug.runtime.notebook import table_html

FORMAT, CASCADE_FORMAT = "surgaug-model-1", "surgaug-model-2"


@dataclass
class LoadedModel:
    """A trained model, ready to sample from: `net` in eval mode with the EMA weights, in float32.

    schedule and prediction: of families "diffusion" and "upsampler"; the others have none ({}) and "image". hash: see
    `model_hash`. stages: of family "cascade", the first and the second; all else but `size` and `hash` is then the
    first's. header: what the file says; {} of a model that no file was read for.
    """

    net: Any  # of one of `models/families`, each with methods of its own
    space: LabelSpace
    schedule: dict[str, Any]
    prediction: str
    size: tuple[int, int]
    hash: str
    family: str = families.DIFFUSION
    defaults: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    stages: tuple[LoadedModel, ...] = ()
    header: dict[str, Any] = field(default_factory=dict, repr=False)

    def _repr_html_(self) -> str:
        """What `surgaug inspect` says of the file, its long settings and tables folded."""
        if not self.header:
            return table_html(["", ""], [["family", self.family], ["size", "x".join(map(str, self.size))]], "model")
        named = dict(zip(STAGE_NAMES, self.stages, strict=True)) if self.stages else {"": self}
        stages = {name: stage.header for name, stage in named.items()}
        numbers = {name: sum(v.numel() for v in stage.net.state_dict().values()) for name, stage in named.items()}
        found = describe({"stages": stages} if self.stages else self.header, numbers)
        short = [fact for fact in found.facts if not fact[0].startswith(LONG)]
        settings = [[*fact] for fact in found.facts if fact not in short]
        folded = [*found.tables, ("Settings", ["", ""], settings)]
        return table_html(["", ""], short, "model", " ".join(found.notes)) + "".join(
            f"<details><summary>{title}</summary>{table_html(columns, rows)}</details>"
            for title, columns, rows in folded
        )

    @property
    def first(self) -> LoadedModel:
        """The model that label maps go into first: of a cascade, its first stage; else itself."""
        return self.stages[0] if self.stages else self


def file_hash(path: Path) -> str:
    """sha256 of the file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as f:
        while chunk := f.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def save_model(
    path: Path,
    weights: dict[str, Tensor],
    *,
    config: Any,
    space: LabelSpace,
    schedule: dict[str, Any],
    prediction: str,
    size: tuple[int, int],
    defaults: dict[str, Any],
    meta: dict[str, Any],
    family: str = families.DIFFUSION,
    base: tuple[int, int] | None = None,
    half: bool = False,
) -> None:
    """Write a model file atomically; `half` stores the weights in float16 (half the bytes).

    base: of an upsampler, the size (h, w) of the small pictures that it was trained on.

    Its hash (`model_hash`) is of the weights and of what they mean, but of nothing in `meta`, where folders and minutes
    stand: two trainings to the same weights have the same hash.
    """
    header = {
        "family": family,
        "config": dataclasses.asdict(config),
        "space": space.to_dict(),
        "schedule": schedule,
        "prediction": prediction,
        "size": list(size),
        "defaults": defaults,
        "meta": meta,
        **({"base": list(base)} if base else {}),
    }
    _write(path, FORMAT, header, _meaning(header), _stored(weights, half))


def save_cascade(path: Path, first: Path, second: Path, *, half: bool = False) -> None:
    """Join the model files of two stages (of cascades: that stage) to one, atomically.

    ModelError unless the second is an upsampler of the first's classes that was trained on pictures of its size.
    """
    headers: dict[str, dict[str, Any]] = {}
    weights: dict[str, Tensor] = {}
    for name, source, family in zip(STAGE_NAMES, (first, second), families.STAGES, strict=True):
        header, tensors = read_stage(source, family)
        stored = _stored(tensors, half)
        headers[name] = {**header, "hash": _content_hash(json.dumps(_meaning(header)), stored)}
        weights |= {f"{name}.{key}": value for key, value in stored.items()}
    check_classes(second, families.UPSAMPLER, LabelSpace.from_dict(headers["first"]["space"]), str(first))
    height, width = headers["first"]["size"]
    check_second(second, (height, width))
    meaning = {name: _meaning(header) for name, header in headers.items()}
    _write(path, CASCADE_FORMAT, {"family": families.CASCADE, "stages": headers}, meaning, weights)


def read_stage(path: Path, family: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and weights of a model file, or of that stage of a cascade whose family it is.

    ModelError where it is, or has, none.
    """
    (prefix, header), weights = _stage(path, family), read_weights(path)
    return header, {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def stage_header(path: Path, family: str) -> dict[str, Any]:
    """The header alone of what `read_stage` reads."""
    return _stage(path, family)[1]


def check_second(path: Path, base: tuple[int, int]) -> None:
    """ModelError unless `path` is, or has, a second stage for small pictures of `base` = (h, w)."""
    header = stage_header(path, families.UPSAMPLER)
    if (found := tuple(header["base"])) != base:
        sizes = ["x".join(map(str, size)) for size in (found, base)]
        raise ModelError(f"{path}: a second stage for pictures of {sizes[0]}, but the first one makes {sizes[1]}")


def check_classes(path: Path, family: str, space: LabelSpace, other: str) -> None:
    """ModelError unless the stage of that family in `path` has the classes `space`, which are those of `other`."""
    theirs = LabelSpace.from_dict(stage_header(path, family)["space"])
    if (theirs.ids, theirs.names) != (space.ids, space.names):
        name = STAGE_NAMES[families.STAGES.index(family)]
        told = [f"{s.num_classes}, '{s.name}'" for s in (theirs, space)]
        raise ModelError(f"{path}: a {name} stage of other classes ({told[0]}) than {other} ({told[1]})")


def _stage(path: Path, family: str) -> tuple[str, dict[str, Any]]:
    """The prefix of a stage's weights in the file, and its header; see `read_stage`."""
    header = read_header(path)
    for name, stage in header.get("stages", {}).items():
        if stage["family"] == family:
            return f"{name}.", stage
    if (found := header.get("family", families.DIFFUSION)) != family:
        raise ModelError(f"{path}: a model of kind {found}, where one of kind {family} is asked for")
    return "", header


def _meaning(header: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in header.items() if key not in ("defaults", "meta", "hash")}


def _stored(weights: dict[str, Tensor], half: bool) -> dict[str, Tensor]:
    return {
        k: v.detach().to("cpu", torch.float16 if half and v.is_floating_point() else v.dtype).contiguous()
        for k, v in weights.items()
    }


def _write(path: Path, kind: str, header: dict[str, Any], meaning: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    text = json.dumps(header)
    metadata = {
        "format": kind,
        "surgaug": text,
        "sha256": _content_hash(text, tensors),
        "hash": _content_hash(json.dumps(meaning), tensors),
    }
    write_bytes(path, save(tensors, metadata=metadata))


def model_hash(path: Path) -> str:
    """What tells a model from others in manifests, 64 hexadecimal digits (see `save_model`).

    Of files of version 0.1, which do not hold it: the sha256 of the file, as its manifests have it.
    """
    with safe_open(str(path), framework="pt") as f:
        return (f.metadata() or {}).get("hash") or file_hash(path)


def read_header(path: Path) -> dict[str, Any]:
    """The metadata of a model file. ModelError when it is not one, is cut short or cannot be read.

    Of a cascade: the first stage's, with the family "cascade", the second one's size, and both under "stages".
    """
    try:
        with safe_open(str(path), framework="pt") as f:
            metadata = f.metadata() or {}
    except FileNotFoundError:
        raise ModelError(f"{path}: no such model file") from None
    except (SafetensorError, OSError) as e:
        raise ModelError(f"{path}: not a readable model file ({e}); is it complete?") from None
    if metadata.get("format") not in (FORMAT, CASCADE_FORMAT):
        raise ModelError(f"{path}: a safetensors file, but not a surgaug model (no '{FORMAT}' in its metadata)")
    try:
        header = json.loads(metadata["surgaug"])
        stages = header.get("stages")
        return {**stages["first"], **header, "size": stages["second"]["size"]} if stages else header
    except (KeyError, ValueError, TypeError, AttributeError) as e:
        raise ModelError(f"{path}: its description is damaged ({e}); copy or train the model again") from None


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a model file, in float32. ModelError when they cannot be read, or are not as they were saved."""
    try:
        with safe_open(str(path), framework="pt") as f:
            metadata = f.metadata() or {}
            tensors = {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError) as e:
        raise ModelError(f"{path}: not a readable model file ({e}); is it complete?") from None
    # Files of the first version have no checksum.
    if "sha256" in metadata and metadata["sha256"] != _content_hash(metadata.get("surgaug", ""), tensors):
        raise ModelError(f"{path}: damaged (its checksum differs); copy or train the model again")
    return {k: v.float() for k, v in tensors.items()}


def _content_hash(header: str, tensors: dict[str, Tensor]) -> str:
    """sha256 over the header and every tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load_model(path: str | Path, device: str | torch.device = "cpu") -> LoadedModel:
    """Read a model file. ModelError names what is wrong with it."""
    path = Path(path)
    header = read_header(path)
    if header.get("stages"):
        first, second = (_load(path, *read_stage(path, family), device) for family in families.STAGES)
        return dataclasses.replace(
            first, hash=model_hash(path), family=families.CASCADE, size=second.size, stages=(first, second)
        )
    return _load(path, header, read_weights(path), device)


def _load(path: Path, header: dict[str, Any], weights: dict[str, Tensor], device: str | torch.device) -> LoadedModel:
    """The network that `header` describes with these weights."""
    family = header.get("family", families.DIFFUSION)  # files of the first version have none
    try:
        space = LabelSpace.from_dict(header["space"])
        net = families.get(family).build(families.read_config(family, header["config"]), space.num_classes)
        size = (int(header["size"][0]), int(header["size"][1]))
    except (SurgaugError, KeyError, IndexError, TypeError, ValueError) as e:
        raise ModelError(
            f"{path}: its description cannot be used ({e}); was it written by a newer version of surgaug?"
        ) from None
    try:
        net.load_state_dict(weights)
    except RuntimeError as e:
        raise ModelError(f"{path}: the weights do not fit the network that the file describes ({e})") from None
    net = net.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    return LoadedModel(
        net, space, header["schedule"], header["prediction"], size, header.get("hash") or model_hash(path), family,
        header["defaults"], header["meta"], header=header,
    )  # fmt: skip


def transfer(net: SemanticUNet, space: LabelSpace, path: Path) -> list[str]:
    """Start `net` from the weights of the model file `path`; what belongs to a class goes by the class's name.

    Returns the names of the tensors that could not be taken over (other shape or absent).
    """
    header, source = read_stage(path, families.UPSAMPLER if isinstance(net, Upsampler) else families.DIFFUSION)
    source_names = {c["name"].lower(): i for i, c in enumerate(header["space"]["classes"])}
    pairs = [(i, source_names[n.lower()]) for i, n in enumerate(space.names) if n.lower() in source_names]
    own = net.state_dict()
    left = []
    for name, tensor in own.items():
        given = source.get(name)
        per_class = name == "label_embedding.weight" or (
            name.endswith("weight") and (name.startswith("level_features") or ".shared." in name)
        )
        if (
            given is not None
            and per_class
            and given.shape[0] == tensor.shape[0]
            and given.shape[2:] == tensor.shape[2:]
        ):
            for mine, theirs in pairs:
                tensor[:, mine] = given[:, theirs]
        elif given is not None and given.shape == tensor.shape:
            tensor.copy_(given)
        else:
            left.append(name)
    net.load_state_dict(own)
    return left


def halve(source: Path, target: Path) -> None:
    """Write the model file `source` again with its weights in float16. ModelError when it cannot be read."""
    h = read_header(source)
    if h.get("stages"):
        save_cascade(target, source, source, half=True)
        return
    size, family = (int(h["size"][0]), int(h["size"][1])), h.get("family", families.DIFFUSION)
    save_model(
        target, read_weights(source), family=family, config=families.read_config(family, h["config"]),
        space=LabelSpace.from_dict(h["space"]), schedule=h["schedule"], prediction=h["prediction"], size=size,
        defaults=h["defaults"], meta=h["meta"], base=h.get("base"), half=True,
    )  # fmt: skip
