"""The commands as functions: `surgaug.train`, `augment_masks`, `synthesize`, `score`; `load_model`, `read_manifest`.

What is not given is what the command takes by default. Each says nothing unless it gets a `feedback`, but shows its
progress in a notebook; each checks everything before long work starts, and raises `surgaug.errors.SurgaugError` (its
kinds: UsageError, DataError, ModelError) with one line that names the file, the value and the cure. Sizes are (H, W) in
pixels. All but `load_model` go on with what a stopped call of the same arguments left. Results show themselves in a
notebook: a table, and the contact sheet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surgaug.errors import DataError, UsageError
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.runtime.notebook import usual_feedback

if TYPE_CHECKING:
    import pandas as pd

    from surgaug.models.checkpoint import LoadedModel
    from surgaug.perturb.run import Result as AugmentResult
    from surgaug.scoring.report.model import Report
    from surgaug.synthesis.run import Result as SynthesizeResult
    from surgaug.training.loop import TrainResult

Source = str | Path | Iterable[str | Path]


def train(
    data: str | Path,
    *,
    val: str | Path | None = None,
    out: str | Path | None = None,
    model: str = "diffusion",
    preset: str = "tiny",
    size: tuple[int, int] | None = None,
    classes: str | Path = "auto",
    steps: int | None = None,
    minutes: float | None = None,
    batch: int | None = None,
    lr: float | None = None,
    cascade: str = "auto",
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
    feedback: Feedback | None = None,
) -> TrainResult:
    """Train a model that synthesizes images from label maps, as `surgaug train` does.

    data, val: data sets of images with label maps; without `val`, the data's own split, or some of it held out.
    classes: "auto", a built-in label space or a class file. size: of training, (H, W); without it the preset's, in the
    proportions of the frames. steps of the optimizer, minutes by the clock: whichever ends first. batch: frames a step.
    lr: the highest learning rate. cascade: "on" for two stages (a small picture, then a large one), "off" for one,
    "auto" for two above 128 pixels a side. settings: any other by its dotted name, as `--set` takes them
    ({"network.dropout": 0.1}). model: "diffusion" (the U-Net of SR3, Saharia et al. 2022, with the normalisation of
    SPADE), "pix2pix" (Isola et al. 2017), "pix2pixhd" (Wang et al. 2018), "cyclegan" (Zhu et al. 2017), "spade" (Park
    et al. 2019) or "clade" (Tan et al. 2021).

    Returns the model file, the steps and minutes trained, and the validation loss (mean of the loss over noise levels).
    Raises UsageError, DataError, ModelError (the loss is no number, or memory ran out), Interrupted after SIGINT.
    """
    from surgaug.training.presets import from_command_line
    from surgaug.training.run import train as run

    given: dict[str, Any] = {
        "model": model, "data": str(data), "val": None if val is None else str(val),
        "out": None if out is None else str(out), "classes": str(classes),
        "size": None if size is None else f"{size[0]}x{size[1]}", "steps": steps, "minutes": minutes, "batch": batch,
        "lr": lr, "cascade": cascade, "seed": seed, "device": device, "precision": precision,
    }  # fmt: skip
    assignments = [f"{name}={value}" for name, value in (settings or {}).items()]
    return run(from_command_line(preset, given, None, assignments), feedback or usual_feedback(), resume=resume)


def augment_masks(
    masks: Source,
    *,
    out: str | Path = "augmented",
    n: int | None = None,
    ops: str = "",
    classes: str | Path = "auto",
    seed: int = 0,
    workers: int | None = None,
    keep_originals: bool = False,
    split: str | None = None,
    feedback: Feedback | None = None,
    emit: Callable[[Path], None] = lambda path: None,
) -> AugmentResult:
    """Make `n` new label maps from real ones, as `surgaug augment-masks` does. Needs no torch.

    masks: a folder of label maps, a data set, or the files; of a data set with splits those of `split` ("train") alone,
    where it is given. n: None for one each. ops: "shift:0.5,flip" (operation:probability), the path of a recipe, or ""
    for the usual mix. Map K depends on the seed and K alone. emit: called with the path of each map.

    Returns the folder, the number of maps, and the samples left out with the reason. Maps are PNGs of class ids, uint8
    [H, W] (uint16 where an id is above 255). Raises UsageError, DataError, Interrupted.
    """
    from surgaug.perturb.config import configure
    from surgaug.perturb.run import augment_masks as run

    line = {"n": n, "classes": str(classes), "seed": seed, "workers": workers, "keep_originals": keep_originals or None}
    line["split"] = split
    return run(
        configure(_paths(masks), Path(out), ops, None, None, None, line), feedback or usual_feedback(), emit=emit
    )


def synthesize(
    masks: Source,
    *,
    n: int | None = None,
    model: str | Path | None = None,
    out: str | Path = "synthetic",
    layout: str = "folders",
    size: tuple[int, int] | str | None = None,
    sampler: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    augment: str | Iterable[str] = "",
    seed: int | None = None,
    batch: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    feedback: Feedback | None = None,
    emit: Callable[[Path], None] = lambda path: None,
    **more: Any,
) -> SynthesizeResult:
    """Synthesize `n` images from label maps, as `surgaug synthesize` does.

    n, seed: None for the recipe's, else 5000 and 0. model: a model file or run; None for the newest finished run, else
    the phantom model that ships. layout: see docs/data.md. size: (H, W), "native" for that of each mask, "base" for a
    cascade's first stage alone; None: native for a cascade trained at about that, else the model's. sampler: "ddim"
    (Song et al. 2021), "ddpm" (Ho et al. 2020), "dpm1" or "dpmpp" (Lu et al. 2022); sampler, steps and guidance (1:
    none; Ho and Salimans 2022) are the model's if None. augment: as `--augment` takes it, or a list of operations.
    more: other fields of `surgaug.synthesis.config.SynthesizeConfig`, among them `palette`: label maps as palette PNGs.
    Image K depends on the seed and K alone (same label map and noise; pixels to one grey level in 255). emit: called
    with the path of each image.

    Returns the folder, the images synthesized now and in all, and whether the set is complete. Images are RGB PNGs,
    uint8 [H, W, 3], each with a label map of its size. Raises UsageError, DataError, ModelError, Interrupted.
    """
    from surgaug.synthesis.config import SynthesizeConfig, over_recipe, parse_size
    from surgaug.synthesis.run import synthesize as run

    known = {f.name for f in fields(SynthesizeConfig)}
    if unknown := sorted(set(more) - known):
        raise UsageError(f"synthesize: no argument {', '.join(unknown)}; there is {', '.join(sorted(known))}")
    listed = [augment] if isinstance(augment, str) else augment
    names = tuple(name.strip() for text in listed for name in text.split(",") if name.strip())
    said = over_recipe(names, n=n, seed=seed, classes=more.pop("classes", None))
    config = SynthesizeConfig(
        masks=_paths(masks), model=None if model is None else Path(model), out=Path(out), layout=layout,
        size=parse_size(size) if isinstance(size, str) else size,
        sampler=sampler, steps=steps, guidance=guidance, batch=batch, device=device, precision=precision,
        augment=names, **said, **more,
    )  # fmt: skip
    return run(config, feedback or usual_feedback(), emit=emit)


def score(
    real: str | Path,
    synth: str | Path | Iterable[str | Path],
    *,
    metrics: Iterable[str] | None = None,
    classes: str | Path = "auto",
    device: str = "auto",
    seed: int = 0,
    feedback: Feedback | None = None,
    **more: Any,
) -> Report:
    """Say how close synthetic images come to real ones, as `surgaug score` does.

    real, synth: data sets or folders of images; several `synth` are scored one by one. metrics: names as `--metrics`
    takes them; None for the usual ones. more: other fields of `surgaug.scoring.config.ScoreConfig`, among them
    `weights`, without whose Inception no distance is called FID (Heusel et al. 2017).

    Returns the report, each value with its unit (see docs/measures.md); `report.to_dict()` is what `--json` writes.
    Raises UsageError, DataError.
    """
    from surgaug.scoring.config import ScoreConfig
    from surgaug.scoring.run import run_score

    known = {f.name for f in fields(ScoreConfig)}
    if unknown := sorted(set(more) - known):
        raise UsageError(f"score: no argument {', '.join(unknown)}; there is {', '.join(sorted(known))}")
    folders = (Path(synth),) if isinstance(synth, (str, Path)) else tuple(map(Path, synth))
    chosen: dict[str, Any] = {} if metrics is None else {"metrics": tuple(metrics)}
    config = ScoreConfig(Path(real), folders, classes=str(classes), device=device, seed=seed, **chosen, **more)
    return run_score(config, feedback or usual_feedback())


def load_model(path: str | Path, device: str = "cpu") -> LoadedModel:
    """A trained model from a file or a run's folder, with its label space, noise schedule and training size.

    `model.net` is a torch module in eval mode, float32, with averaged weights (EMA). Raises ModelError for what is not
    there, or not a model.
    """
    from surgaug.models.checkpoint import load_model as read
    from surgaug.synthesis.model_choice import resolve_model

    return read(resolve_model(Path(path), Silent()), device)


def read_manifest(path: str | Path) -> pd.DataFrame:
    """The manifest that `synthesize`, `augment_masks` or export left, as a table: a row a sample, by index.

    path: the output folder, finished or not, or the file. Columns are the keys of `surgaug.io.manifest.Row`; what a row
    lacks is NaN. Nested values stay Python objects: `perturbations` a list of dicts, `size` [H, W], `classes` pixels by
    class id (as text). `origin`, a dict, is the real label map behind the sample ("mask", "file", "video", "split" as
    far as they are known) and whether it was "changed" on the way; NaN for real frames. Files are named relative to the
    folder. `attrs["damaged"]` lists the lines that are no row ("FILE: line N"), which are passed over.

    Raises DataError where there is no manifest.
    """
    import pandas as pd

    from surgaug.datasets.provenance import Provenance
    from surgaug.io.manifest import part_paths, read_rows

    path = Path(path)
    if not (part_paths(path) if path.is_dir() else path.is_file()):
        raise DataError(f"{path}: no manifest is there; name the output folder, or its manifest.jsonl")
    rows, damaged = read_rows(path)
    before = Provenance(path if path.is_dir() else path.parent)
    for row in rows:
        if origin := before.of_row(row):
            row["origin"] = origin.to_row()
    table = pd.DataFrame(sorted(rows, key=lambda row: row.get("index", 0)))
    table.attrs["damaged"] = damaged
    return table


def _paths(masks: Source) -> Path | tuple[Path, ...]:
    return Path(masks) if isinstance(masks, (str, Path)) else tuple(map(Path, masks))
