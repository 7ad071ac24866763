"""Compare pseudo-labels with labels: do the most confident people have fewer errors?

For target sets whose labels are known. Nothing that trains reads the result.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from _options import add_pair, existing_file


def main(argv: Sequence[str] | None = None) -> None:
    """Compare, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    option = parser.add_argument
    option("config", type=existing_file, help="the config of the run")
    option("labels", type=existing_file, help="the file of pseudo-labels")
    add_pair(parser)
    option("--picture", type=Path, help="picture of error against confidence")
    args = parser.parse_args(argv)
    import mmpose_da  # noqa: F401 - registers
    from mmpose_da import apis
    from mmpose_da.datasets import MixedDomainDataset, PseudoLabels
    from mmpose_da.visualization import label_quality, plot_label_quality
    from mmpose_da.visualization.pseudo_label_quality import SHARES

    try:
        cfg = apis.load_config(args.config, args.pair)
        dataset = MixedDomainDataset(
            cfg.train_dataloader.dataset.joints,
            target=cfg.train_dataloader.dataset.target,
            labeled_target=dict(ratio=1.0),
        )
        quality = label_quality(PseudoLabels.load(args.labels), dataset)
    except (OSError, ValueError) as error:
        parser.exit(1, f"check_pseudo_labels.py: {error}\n")
    print(
        f"{len(quality.scores)} people, rank correlation of confidence and error "
        f"{quality.rank_correlation:.3f} (-1 is perfect)\n"
    )
    print("| most confident | mean error (% of the box) | perfect ranking |")
    print("| ---: | ---: | ---: |")
    for share in SHARES:
        errors = quality.mean_error(share), quality.lowest_error(share)
        print(f"| {share:.0%} | {errors[0]:.2f} | {errors[1]:.2f} |")
    if args.picture is not None:
        plot_label_quality(quality, args.picture)
        print(f"\n{args.picture}")


if __name__ == "__main__":
    main()
