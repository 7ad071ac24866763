"""Adapt a model by self-training: rounds of labeling, ranking, and training.

The config has a key `self_training`, and `load_from`, the model of the first labels.
When run again, it resumes where it was interrupted.
"""

import argparse
from collections.abc import Sequence

from _options import add_cfg_options, add_pair, existing_file, positive


def main(argv: Sequence[str] | None = None) -> None:
    """Self-train."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    option = parser.add_argument
    option("config", type=existing_file, help="the config file")
    add_pair(parser)
    option("--init", type=existing_file, help="checkpoint instead of `load_from`")
    option("--work-dir", help="folder of all rounds (default: as of tools/train.py)")
    option("--threads", type=positive, help="CPU threads of a process")
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    from mmpose_da import apis
    from mmpose_da.apis.render import progress_bars
    from mmpose_da.apis.self_training import Round, SelfTraining, self_train

    def report(number: int, done: Round) -> None:
        metrics = ", ".join(f"{k} {v:.4g}" for k, v in done.metrics.items())
        bars.console.print(
            f"round {number} of {rounds}: {done.people} people ({done.share:.0%}), "
            f"scores from {done.lowest_score:.3f}; {metrics}",
            highlight=False,
            soft_wrap=True,
        )

    try:
        cfg = apis.load_config(args.config, args.pair, args.work_dir)
        if args.init is not None:
            cfg.load_from = args.init
        apis.merge_options(cfg, args.cfg_options)
        rounds = SelfTraining.of(cfg).rounds
        with progress_bars() as bars:
            bar = bars.add_task("training")
            result = self_train(
                cfg,
                cfg.work_dir,
                threads=args.threads,
                progress=lambda done, total: bars.update(
                    bar, completed=done, total=total
                ),
                report=report,
            )
    except KeyboardInterrupt:
        parser.exit(130, "interrupted; the same command resumes from here\n")
    except (OSError, RuntimeError, ValueError) as error:
        parser.exit(1, f"self_train.py: {error}\n")
    print(result.checkpoint)


if __name__ == "__main__":
    main()
