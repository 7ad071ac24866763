"""Find the people in images or a video, to adapt a model to them.

The work directory receives people.json, a COCO file of boxes, and result.json. When
run again, it resumes where it was interrupted.
"""

import argparse
from collections.abc import Sequence

from _options import add_detection, detection_of, existing_path, positive


def main(argv: Sequence[str] | None = None) -> None:
    """Detect."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    option = parser.add_argument
    option(
        "source",
        type=existing_path,
        help="a folder of images, a video, or a COCO file",
    )
    option("--work-dir", required=True, help="folder for people.json and result.json")
    add_detection(parser)
    option("--batch-size", type=positive, default=8, help="images searched at once")
    option("--device", help="such as cpu or cuda:1 (default: a GPU if there is one)")
    args = parser.parse_args(argv)
    from mmpose_da.apis.detect.run import Detection, describe_detected, detect
    from mmpose_da.apis.render import progress_bars

    try:
        settings = Detection(args.source, **detection_of(args))
        with progress_bars() as bars:
            tasks = {}

            def report(text: str, done: int, total: int) -> None:
                if text not in tasks:
                    tasks[text] = bars.add_task(text)
                bars.update(tasks[text], completed=done, total=total)

            result = detect(
                settings,
                args.work_dir,
                batch_size=args.batch_size,
                device=args.device,
                progress=report,
            )
    except KeyboardInterrupt:
        parser.exit(130, "interrupted; the same command resumes from here\n")
    except (OSError, RuntimeError, ValueError) as error:
        parser.exit(1, f"detect.py: {error}\n")
    print(f"{result.ann_file}: {describe_detected(result)}")


if __name__ == "__main__":
    main()
