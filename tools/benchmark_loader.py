"""Time the data loading of MixedDomainDataset against MMPose's CocoDataset."""

import argparse
from collections.abc import Sequence

from _options import positive


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    option = parser.add_argument
    option("--people", type=positive, default=20000, help="in the annotation file")
    option("--samples", type=positive, default=300, help="that are loaded")
    option("--repeats", type=positive, default=5, help="turns that the datasets take")
    args = parser.parse_args(argv)
    import torch

    import mmpose_da  # noqa: F401 - registers
    from mmpose_da.apis.loader_benchmark import measure_loaders
    from mmpose_da.apis.machine import cpu_name

    torch.set_num_threads(1)
    found = measure_loaders(args.people, args.samples, args.repeats)
    print(
        f"\n{cpu_name()}, one core; {args.people} people, {args.samples} samples of "
        f"640 x 480 pixels, median of {args.repeats}\n"
    )
    print("| dataset | annotations (s) | sample (ms) |")
    print("| --- | ---: | ---: |")
    for name, title in dict(stock="CocoDataset", mixed="MixedDomainDataset").items():
        print(f"| {title} | {found[name]['load']:.2f} | {found[name]['sample']:.2f} |")
    ratios = (found["mixed"][key] / found["stock"][key] for key in ("load", "sample"))
    print("| ratio | {:.2f} | {:.2f} |".format(*ratios))


if __name__ == "__main__":
    main()
