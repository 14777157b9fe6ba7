"""Load repositories as a stranger would, ask each model about noise and about an image, and save its answers.

`python probe.py with|without OUTPUT FOLDER...`, in a fresh process. `with`: the package is imported first, and its code runs.
`without`: the package cannot be imported, and the repository's own modules run. A folder is read through the Auto classes.
The answers of the first folder are `OUTPUT/0.safetensors`, and so on.

This is a program and not a module: it must not import from the package.
"""

import os
import sys


def forget_own_folder() -> None:
    """Python puts the folder of a program on its path. Ours would hide a package that has the name of a file here."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [place for place in sys.path if os.path.abspath(place) != here]


def main(where: str, output: str, *folders: str) -> None:
    forget_own_folder()
    if where == "with":
        import lgn_hf  # noqa: F401

        options = {}
    else:
        sys.modules["lgn_hf"] = None  # pyrefly: ignore[unsupported-operation]  (to import it is a ModuleNotFoundError)
        options = {"trust_remote_code": True}

    for number, folder in enumerate(folders):
        probe(folder, os.path.join(output, f"{number}.safetensors"), options)


def probe(folder: str, output: str, options: dict) -> None:
    import torch
    import transformers
    from PIL import Image
    from safetensors.torch import save_file

    config = transformers.AutoConfig.from_pretrained(folder, **options)
    (architecture,) = config.architectures or [None]
    auto = next(name for name, value in config.auto_map.items() if value.endswith(f".{architecture}"))
    model = getattr(transformers, auto).from_pretrained(folder, **options).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder, **options)

    generator = torch.Generator().manual_seed(0)
    size, channels = config.image_size, config.num_channels
    pixels = torch.randint(256, (size + 3, size, 3), generator=generator, dtype=torch.uint8)
    inputs = {
        "noise": {"pixel_values": torch.randn(2, channels, size, size, generator=generator)},
        "an image": processor(Image.fromarray(pixels.numpy()), return_tensors="pt"),
    }
    answers = {"pixels of an image": inputs["an image"]["pixel_values"]}
    with torch.no_grad():
        for name, given in inputs.items():
            answers[name] = next(value for key, value in model(**given).items() if "loss" not in key).contiguous()
    for name, answer in answers.items():
        if not answer.isfinite().all():
            sys.exit(f"{name}: the answer is not finite")
    save_file(answers, output)


if __name__ == "__main__":
    main(*sys.argv[1:])
