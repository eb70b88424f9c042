"""`surgaug score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from surgaug.cli import defaults, outcome, screen
from surgaug.cli.choices import DEVICES, label_space, list_of, one_of, plugins, suggesting, without_bad
from surgaug.runtime.paths import refuse_missing


def score(
    real: Annotated[
        Path | None,
        typer.Option(
            help="Real frames: a data set or a folder of images [default: the data that lies here by a usual name]",
            show_default=False,
        ),
    ] = None,
    synth: Annotated[
        list[Path] | None,
        typer.Option(
            help="Synthetic images: an output of synthesize, a data set, or a folder of images; may be repeated "
            "[default: synthetic]",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(**one_of("train", "val", "test"), help="Of --real with splits: only these frames. Default: all."),
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Real frames that training saw: finds copies; with labels, for miou and --utility."
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            **list_of("all", "fid", "miou", *plugins("scoring/metrics")),
            show_default="frechet,kid,brightness,chroma,class_frechet,hue,sharpness,psnr,ssim,balance; "
            "miou with --train",
            help="Comma-separated: the default's, msssim, prdc (precision, recall, density, coverage), "
            "frechet_infinity, diversity, fid (Inception's weights), lpips, cmmd (theirs), miou (--train); or all.",
        ),
    ] = None,
    classes: Annotated[str, label_space("Label space of the labels.")] = "auto",
    leave_out_bad: Annotated[bool, without_bad("images", "the JSON lists them")] = False,
    json_file: outcome.JsonFile = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EXPR", help="Exit with 3 if it holds, as in 'kid>0.02' or 'frechet.ratio>3'; may be repeated."
        ),
    ] = None,
    html_file: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            callback=outcome.to_be_written,
            help="Write the report as one page with pictures and plots.",
        ),
    ] = None,
    utility: Annotated[
        bool,
        typer.Option(
            "--utility",
            help="Does it help? Train a segmenter on real frames, on synthetic ones and on both; test each on --real.",
            rich_help_panel="Segmenter",
        ),
    ] = False,
    sweep: Annotated[
        bool,
        typer.Option(
            "--sweep",
            help="Look for the mixture of real frames (--train) and synthetic images that helps most on --real "
            "(validation frames): how many, at which ratio, jointly or first, judged or raw; or none.",
            rich_help_panel="Segmenter",
        ),
    ] = False,
    least_agreement: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Leave out synthetic images of which the judge (synthesize --judge) trusted a smaller share.",
        ),
    ] = None,
    miou: Annotated[
        bool,
        typer.Option(
            "--miou/--no-miou",
            help="Whether a segmenter of real frames reads the synthetic images, where there are --train and labels.",
            rich_help_panel="Segmenter",
        ),
    ] = True,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Trainings of each kind for --utility, at most for --sweep. [default: 3]",
            rich_help_panel="Segmenter",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="What --utility or --sweep may take: fewer seeds, shorter trainings.",
            rich_help_panel="Segmenter",
        ),
    ] = None,
    segmenter: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="unet (compact), efficientnet-lite0 (a U-Net on that pretrained encoder; with surgaug[features]), or "
            "a network of torchvision's such as deeplabv3_resnet50, from scratch or --segmenter-init; or a file: "
            "one that score trained, or the state_dict of one of torchvision's.",
            rich_help_panel="Segmenter",
        ),
    ] = "unet",
    segmenter_init: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights that its training starts from: a segmenter of other classes, or a published backbone.",
            rich_help_panel="Segmenter",
        ),
    ] = None,
    segmenter_steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Batches of 8 frames of each training. Default: 100 a class of the training frames, at least 800.",
            rich_help_panel="Segmenter",
        ),
    ] = None,
    segmenter_size: Annotated[
        str | None,
        typer.Option(
            metavar="HxW",
            help="Size to work at. Default: the images' own, up to 128x128 pixels.",
            rich_help_panel="Segmenter",
        ),
    ] = None,
    inception_weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The published pt_inception-2015-12-05-6726825d.pth; adds FID and KID.",
            rich_help_panel="Weights",
        ),
    ] = None,
    download_inception: Annotated[
        bool,
        typer.Option(
            "--download-inception",
            help="Fetch those weights (95 MB, checksum verified) once into the cache folder.",
            rich_help_panel="Weights",
        ),
    ] = False,
    inception_resize: Annotated[
        str,
        typer.Option(
            **one_of("legacy", "clean"),
            help="legacy (TensorFlow's, as in published FIDs) or clean (antialiased).",
            rich_help_panel="Weights",
        ),
    ] = "legacy",
    dinov2_weights: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A folder of facebook/dinov2-large as published (config.json, weights); adds FD on DINOv2.",
            rich_help_panel="Weights",
        ),
    ] = None,
    clip_weights: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A folder of openai/clip-vit-large-patch14-336 as published; adds CMMD.",
            rich_help_panel="Weights",
        ),
    ] = None,
    lpips_weights: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Twice: torchvision's VGG16 or AlexNet, and its linear heads of the lpips package; adds LPIPS.",
            rich_help_panel="Weights",
        ),
    ] = None,
    features: Annotated[
        str,
        typer.Option(
            **suggesting("auto", "efficientnet-lite0", "none", metavar="NAME"),
            help="Network whose features frechet, kid and prdc compare first: efficientnet-lite0 (auto: where "
            "surgaug[features] is installed), or one of torchvision's such as resnet50 with --feature-weights.",
            rich_help_panel="Weights",
        ),
    ] = "auto",
    feature_weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="state_dict of that network of torchvision's.", rich_help_panel="Weights"),
    ] = None,
    device: Annotated[
        str, typer.Option(**one_of(*DEVICES), help="Where to compute.", rich_help_panel="Weights")
    ] = "auto",
    draws: Annotated[
        int, typer.Option(min=2, help="Random halves behind intervals and baselines.", rich_help_panel="Uncertainty")
    ] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of those halves.", rich_help_panel="Uncertainty")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Decoding threads; 0 for as many as there are cores.")] = 0,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Keep what was found of images for the next run.")
    ] = True,
) -> None:
    """Say how close synthetic images come to real ones, with intervals and beside what real frames reach themselves.

    Examples:
    surgaug score --real frames/val --synth synthetic
    surgaug score --real frames/val --synth synthetic --fail-if 'ssim<0.4' --json score.json
    """
    real, first = defaults.fill(
        ("--real", real, "real frames"), ("--synth", next(iter(synth or ()), None), "synthetic images")
    )
    synths = tuple(synth or (first,))
    refuse_missing("--real", real)
    refuse_missing("--synth", *synths)
    refuse_missing("--train", train)

    from surgaug.errors import GateError, UsageError
    from surgaug.runtime.paths import cache_folder
    from surgaug.scoring.config import Budget, EvaluationConfig, ScoreConfig, Weights
    from surgaug.scoring.features import inception
    from surgaug.scoring.report import gates
    from surgaug.scoring.report.notes import report_notes
    from surgaug.scoring.report.tables import tables
    from surgaug.scoring.run import score_folders
    from surgaug.scoring.segmenter.evaluation import parse_size

    feedback = screen.feedback()
    if not (utility or sweep):
        for flag, given in (("--seeds", seeds), ("--minutes", minutes)):
            if given is not None:
                raise UsageError(
                    f"{flag} {given:g}: of the trainings of --utility and --sweep; give one of them as well"
                )
    budget = Budget(seeds or Budget.seeds, minutes)
    if download_inception:
        if inception_weights is not None:
            raise UsageError("--download-inception and --inception-weights: give one of them")
        inception_weights = inception.download(cache_folder(), feedback)
    config = ScoreConfig(
        real=real,
        synth=synths,
        metrics=None if metrics is None else tuple(name.strip() for name in metrics.split(",") if name.strip()),
        classes=classes,
        weights=Weights(
            inception_weights,
            inception_resize,
            dinov2_weights,
            clip_weights,
            tuple(lpips_weights or ()),
            features,
            feature_weights,
        ),
        leave_out_bad=leave_out_bad,
        device=device,
        draws=draws,
        seed=seed,
        workers=workers,
        fail_if=tuple(fail_if or ()),
        train=train,
        evaluation=EvaluationConfig(
            segmenter,
            parse_size(segmenter_size) if segmenter_size else None,
            segmenter_steps,
            budget if utility else None,
            budget if sweep else None,
            segmenter_init,
        ),
        cache=cache,
        miou=miou,
        least_agreement=least_agreement,
        split=split,
    )
    scored = score_folders(config, feedback)
    report = scored.report
    for title, columns, rows, caption in tables(report):
        feedback.table(title, columns, rows, caption)
    for row in report.rows:
        for v in row.verdicts:
            feedback.info(f"{row.name}: {v.question} {v.answer}. {v.text}")
    for note in report_notes(report):
        feedback.info(note)
    outcome.write(json_file, report.to_dict())
    if html_file is not None:
        from surgaug.scoring.report.html.page import write_page

        write_page(outcome.make_way(html_file), report, scored.real, scored.train, scored.synths, feedback)
        outcome.show(json_file, html_file)
    failed = gates.failures(report.gates)
    if failed:
        raise GateError("quality gate not met: " + "; ".join(failed))
