"""Label target people with a model, to train on the most confident of them.

The file that it writes is the `ann_file` of `pseudo_target` in a MixedDomainDataset.
"""

import argparse
from collections.abc import Sequence

from _options import add_cfg_options, add_pair, existing_file, positive


def share(value: str) -> float:
    """Check that a number is in (0, 1], for ``argparse``."""
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"must be in (0, 1], got '{value}'")
    return number


def main(argv: Sequence[str] | None = None) -> None:
    """Label, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    option = parser.add_argument
    option("config", type=existing_file, help="the config of the run")
    option("checkpoint", type=existing_file, help="a checkpoint of the run")
    option("out", metavar="OUT", help="the file for the pseudo-labels, such as p.json")
    add_pair(parser)
    option("--keep", type=share, default=1.0, help="share of people, the surest first")
    option("--batch-size", type=positive, default=32)
    option("--workers", type=int, default=2, help="processes that load images")
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    from mmpose_da import apis
    from mmpose_da.apis.pseudo_labels import pseudo_label
    from mmpose_da.apis.render import progress_bars

    try:
        cfg = apis.load_config(args.config, args.pair)
        apis.merge_options(cfg, args.cfg_options)
        with progress_bars() as bars:
            bar = bars.add_task("labeling")
            labels = pseudo_label(
                cfg,
                args.checkpoint,
                share=args.keep,
                batch_size=args.batch_size,
                num_workers=args.workers,
                progress=lambda done, total: bars.update(
                    bar, completed=done, total=total
                ),
            )
    except (OSError, RuntimeError, ValueError) as error:
        parser.exit(1, f"pseudo_label.py: {error}\n")
    labels.save(args.out)
    print(
        f"{args.out}: {len(labels)} people, scores from {labels.scores.min():.3f}; "
        f"{labels.num_dropped} more that nothing trains on"
    )


if __name__ == "__main__":
    main()
