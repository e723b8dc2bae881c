"""start_layout: make the first steps that the trainings of several experiments have in common.

``--until`` is the number of steps; ``--config`` is the recipe of a training without the losses that act later.
"""

from cellscaper.errors import CellscaperError
from cellscaper.generators.protocol import read_recipe
from cellscaper.generators.training import train_generator
from cellscaper.run import stage
from cellscaper.run.methods import method


def main() -> None:
    inputs, outputs = ["cells", "density?", "init?"], ["model", "losses"]
    args = stage.arguments(__doc__, inputs, outputs, options=["until"], gpus="several")
    recipe = read_recipe(args.config)
    steps = recipe.training.steps
    if not (args.until.isdecimal() and 1 <= int(args.until) <= steps):
        raise CellscaperError(f"--until {args.until}: expected a whole number from 1 to the recipe's {steps} steps")
    train_generator("start_layout", args, method("generators", recipe.method), recipe, int(args.until))


if __name__ == "__main__":
    stage.run(main)
