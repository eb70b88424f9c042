"""`surgaug synthesize`: label maps and a model in, a folder of paired images and labels out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from surgaug.cli import defaults, outcome, pipes
from surgaug.cli.choices import (
    COMPILE,
    DEVICES,
    PRECISIONS,
    WRITTEN,
    as_palette,
    label_space,
    list_of,
    one_of,
    plugins,
    without_bad,
)
from surgaug.errors import UsageError
from surgaug.runtime.paths import refuse_missing

_What = partial(typer.Option, rich_help_panel="What")
_How = partial(typer.Option, rich_help_panel="How")
_Judge = partial(typer.Option, rich_help_panel="Judge")
_Where = partial(typer.Option, rich_help_panel="Where and with what")


def synthesize(
    masks: Annotated[
        str | None,
        _What(
            metavar="DIR|-",
            help="Folder of label maps, or a data set that has them; -: paths on standard input. Default: what "
            "augment-masks wrote here, else the data that lies here by a usual name.",
        ),
    ] = None,
    n: Annotated[
        int | None, _What("--n", help="Samples, over the masks in equal shares. Default: the recipe's, else 5000.")
    ] = None,
    model: Annotated[
        str | None,
        _What(
            metavar="RUN|FILE",
            envvar="SURGAUG_MODEL",
            help="Default: the newest finished run under runs/, else the phantom model that ships.",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        label_space(
            "Label space of the masks, brought to the model's by name. Default: the recipe's, else auto: what "
            "lies beside them says it, or ids that are plainly the model's. MODEL: the ids are the model's.",
            "MODEL",
            panel="What",
        ),
    ] = None,
    leave_out_bad: Annotated[bool, without_bad("masks", "dataset.json lists them", "What")] = False,
    split: Annotated[
        str | None,
        _What(**one_of("train", "val", "test"), help="Of a data set with splits: only these masks. Default: all."),
    ] = None,
    order: Annotated[
        str,
        _What(
            **one_of("even", "rare-first", "hard"),
            help="Which masks come first; hard: those that --judge finds hard come more often.",
        ),
    ] = "even",
    augment: Annotated[
        str,
        _What(
            **list_of(*plugins("perturb/ops"), metavar="LIST|FILE"),
            help="Perturb each sample's label map as augment-masks does: flip:0.5,shift (operation:probability), or a "
            "recipe (.toml), whose n, seed and classes count where no flag says otherwise.",
        ),
    ] = "",
    sampler: Annotated[str | None, _How(**one_of(*plugins("diffusion/samplers")), help="Default: the model's.")] = None,
    steps: Annotated[
        int | None,
        _How(help="Of the sampler. Default: the model's, or 40 for ddim and dpm1, 100 for ddpm, 20 for dpmpp."),
    ] = None,
    guidance: Annotated[
        float | None,
        _How(help="How strongly the label map is followed; 1: as learnt, in half of the time. Default: the model's."),
    ] = None,
    style: Annotated[
        str,
        _How(
            metavar="auto|any|NAME|IMAGE|DIR",
            help="Colours, contrast and sharpness. auto: of training frames, of each video as often; any: left to the "
            "model; NAME: of a video or frame it was trained on; IMAGE: of a picture; DIR: of the frames in a folder.",
        ),
    ] = "auto",
    size: Annotated[
        str | None,
        _How(
            metavar="native|HxW|base",
            help="Of the images. Default: native, each mask's own, for a model of two stages trained at about that; "
            "else the model's in the mask's proportions. base: the first stage alone.",
        ),
    ] = None,
    seed: Annotated[
        int | None, _How(help="Sample K depends on the seed and K alone. Default: the recipe's, else 0.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        _How(
            "--set",
            metavar="KEY=VALUE",
            help="Of the sampler: eta=0.5, variance=large, spacing=leap, or guidance_below=5, the highest noise "
            "level (sigma) with guidance. Of a second stage: second.steps=6 and the like. style.fourier=0.01: light "
            "and colour of --style IMAGE by its lowest frequencies; style.tries=0: no trials for a picture's style.",
        ),
    ] = None,
    judge: Annotated[
        Path | None,
        _Judge(
            metavar="DIR|FILE",
            help="Real training frames, of which a segmenter learns to read every image as it is made, or the file it "
            "was kept in: label pixels that it does not trust are ignored; labels_full has them all.",
        ),
    ] = None,
    trust: Annotated[
        float,
        _Judge(help="A label pixel is trusted up to so many times the mean cross-entropy of its class on real frames."),
    ] = 1.25,
    least_agreement: Annotated[
        float | None,
        _Judge(
            metavar="SHARE",
            help="Of an image's label pixels that must be trusted, 0 to 1; else it is drawn again, thrice at most.",
        ),
    ] = None,
    segmenter_steps: Annotated[
        int | None, _Judge(metavar="N", help="Of each of the judge's trainings. Default: 100 a class, at least 800.")
    ] = None,
    out: Annotated[Path, _Where(help="Folder to write; a stopped run goes on in it.")] = Path("synthetic"),
    layout: Annotated[
        str,
        _Where(
            **one_of(*WRITTEN),
            help="Of the output: as a segmentation trainer reads it (docs/data.md).",
        ),
    ] = "folders",
    palette: Annotated[bool, as_palette("Where and with what")] = False,
    shard: Annotated[str, _Where(metavar="I/N", help="Only part I of N, counted from 1.")] = "1/1",
    batch: Annotated[
        str, _Where(metavar="auto|N", help="Images made at once; moves pixels by one grey level at most.")
    ] = "auto",
    device: Annotated[str, _Where(**one_of(*DEVICES), help="Where to compute.")] = "auto",
    precision: Annotated[str, _Where(**one_of(*PRECISIONS), help="auto: bf16 on GPUs, else fp32.")] = "auto",
    compile_: Annotated[
        str, _Where("--compile", **one_of(*COMPILE), help="torch.compile; auto: on CUDA, with ten minutes ahead.")
    ] = "auto",
    json_file: outcome.JsonFile = None,
) -> None:
    """Synthesize images from label maps: a folder of paired images and labels.

    Writes OUT/images, OUT/labels, OUT/manifest.jsonl, OUT/dataset.json and the contact sheet OUT/preview.png.
    Stopped or killed, the same line goes on where it was. Prints the images' paths when its output is piped.

    Examples:
    surgaug synthesize --masks frames/train --n 5000
    surgaug synthesize --masks masks --n 5000 --model runs/frames-train-tiny-64x112 --out synthetic
    surgaug synthesize --masks frames/train --n 5000 --judge frames/train --least-agreement 0.7
    surgaug synthesize --masks frames/train --n 500 --augment flip:0.5,shift --sampler dpmpp --steps 20
    """
    source = pipes.source(*defaults.fill(("--masks", masks, "label maps")))
    refuse_missing("--judge", judge)
    if model is not None:
        from surgaug.synthesis.model_choice import find_given

        find_given(Path(model))

    from surgaug.synthesis.config import SynthesizeConfig, over_recipe, parse_options, parse_size
    from surgaug.synthesis.plan import Shard
    from surgaug.synthesis.run import synthesize as run

    names = tuple(name.strip() for name in augment.split(",") if name.strip())
    config = SynthesizeConfig(
        masks=source,
        model=None if model is None else Path(model),
        out=out,
        leave_out_bad=leave_out_bad,
        split=split,
        size=None if size is None else parse_size(size),
        order=order,
        augment=names,
        sampler=sampler,
        steps=steps,
        guidance=guidance,
        style=style,
        options=parse_options(set_ or []),
        layout=layout,
        palette=palette,
        judge=judge,
        trust=trust,
        least_agreement=least_agreement,
        segmenter_steps=segmenter_steps,
        shard=Shard.parse(shard),
        batch=_parse_batch(batch),
        device=device,
        precision=precision,
        compile=compile_,
        **over_recipe(names, n=n, seed=seed, classes=classes),
    )
    pipes.run("synthesize", run, config, json_file)


def _parse_batch(text: str) -> int | None:
    if text != "auto" and not text.isdecimal():
        raise UsageError(f"--batch {text}: auto or a whole number")
    return None if text == "auto" else int(text)
