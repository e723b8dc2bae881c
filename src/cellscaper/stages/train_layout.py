"""train_layout: train the layout model of one experiment, from its first step or from a beginning that it shares."""

from cellscaper.generators.protocol import read_recipe
from cellscaper.generators.training import train_generator
from cellscaper.run import stage
from cellscaper.run.methods import method


def main() -> None:
    inputs, outputs = ["cells", "density?", "beginning?", "init?"], ["model", "losses"]
    args = stage.arguments(__doc__, inputs, outputs, gpus="several")
    recipe = read_recipe(args.config)
    train_generator("train_layout", args, method("generators", recipe.method), recipe)


if __name__ == "__main__":
    stage.run(main)
