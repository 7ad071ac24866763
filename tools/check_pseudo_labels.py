"""Compare pseudo-labels with labels: do the people that are kept have fewer errors?

For target sets whose labels are known. Nothing that trains reads the result. Several
files, such as those of the rounds of a self-training, are rows of one table.
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
    option("labels", type=existing_file, nargs="+", help="files of pseudo-labels")
    add_pair(parser)
    option("--picture", type=Path, help="error against confidence, of one file")
    args = parser.parse_args(argv)
    if args.picture is not None and len(args.labels) > 1:
        parser.error("--picture is of one file")
    import mmpose_da  # noqa: F401 - registers
    from mmpose_da import apis
    from mmpose_da.datasets import MixedDomainDataset, PseudoLabels
    from mmpose_da.datasets.pseudo_labels import people_hash
    from mmpose_da.visualization import label_quality, plot_label_quality
    from mmpose_da.visualization.pseudo_label_quality import SHARES

    try:
        cfg = apis.load_config(args.config, args.pair)
        dataset = MixedDomainDataset(
            cfg.train_dataloader.dataset.joints,
            target=cfg.train_dataloader.dataset.target,
            labeled_target=dict(ratio=1.0),
        )
        qualities = []
        for path in args.labels:
            labels = PseudoLabels.load(path)
            labels.check_made_from(path, people=people_hash(dataset.datasets[0]))
            qualities.append(label_quality(labels, dataset))
    except (OSError, ValueError) as error:
        parser.exit(1, f"check_pseudo_labels.py: {error}\n")
    print("Errors in % of the box; rank correlation of confidence and error\n")
    print("| pseudo-labels | people | kept | error | of dropped | rank correlation |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for path, quality in zip(args.labels, qualities, strict=True):
        print(
            f"| {path} | {len(quality.scores)} | {quality.kept.mean():.0%} | "
            f"{quality.kept_error:.2f} | {quality.dropped_error:.2f} | "
            f"{quality.rank_correlation:.3f} |"
        )
    if len(qualities) > 1:
        return
    print("\n| most confident | mean error (% of the box) | perfect ranking |")
    print("| ---: | ---: | ---: |")
    for share in SHARES:
        errors = quality.mean_error(share), quality.lowest_error(share)
        print(f"| {share:.0%} | {errors[0]:.2f} | {errors[1]:.2f} |")
    if args.picture is not None:
        plot_label_quality(quality, args.picture)
        print(f"\n{args.picture}")


if __name__ == "__main__":
    main()
