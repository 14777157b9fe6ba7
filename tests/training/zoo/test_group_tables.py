"""The tables of the networks over one group."""

from lgn_training.zoo import group_tables, records


def rows_of(*runs):
    row = dict.fromkeys(records.COLUMNS, "") | {"task": "classification", "parameters": "154330"}
    return [row | run for run in runs]


def run(model, accuracy, epochs="25", **more):
    return {"model": model, "test_accuracy": str(accuracy), "epochs": epochs, **more}


def body(table):
    return table.splitlines()[2:]


def test_what_a_group_gains_is_told_by_the_images_that_were_trained_on():
    rows = rows_of(
        run("convnet-rotmnist-c4", 0.98, train="12000"),
        run("convnet-rotmnist-c4", 0.97, train="12000"),
        run("convnet-rotmnist-c4", 0.9, "120", train="1000"),
        run("convnet-rotmnist-c4", 0.8, "100", train="833"),
        run("convnet-rotmnist-free", 0.94, "20", train="10000"),
    )
    assert body(group_tables.group_gains(rows)) == [
        "| C₄, told | 97.50 % (97.00 to 98.00, 2 seeds) | 90.00 % (1 seed) |  |"
    ]


def test_what_mirrored_images_gain_is_beside_what_the_mirror_group_gains():
    rows = rows_of(
        run("convnet-cifar10-small-mirror", 0.9, group="reflection"),
        run("convnet-cifar10-small-free", 0.8, group="trivial"),
        run("convnet-cifar10-small-free-flips", 0.85, group="trivial"),
        run("convnet-cifar10-mirror", 0.91, group="reflection"),
    )
    assert body(group_tables.mirror_gains(rows, ["convnet-cifar10-mirror"])) == [
        "| the mirror group, told | 154,330 | 90.00 % (1 seed) | the same: mirrored images have the same logits |",
        "| free filters, as many maps | 154,330 | 80.00 % (1 seed) | 85.00 % (1 seed) |",
        "| [the mirror group, told; wider, 25 epochs](../model_cards/convnet-cifar10-mirror/README.md) | 154,330 "
        "| 91.00 % (1 seed) | the same: mirrored images have the same logits |",
    ]


def test_upright_and_rotated_digits_are_told_apart():
    rotated = f"test_accuracy{records.ON}{group_tables.ROTATED}"
    rows = rows_of(run("convnet-mnist-c4", 0.99, **{rotated: "0.6"}))
    assert body(group_tables.unseen_rotations(rows)) == ["| C₄, told | 99.00 % (1 seed) | 60.00 % (1 seed) |"]


def test_parts_are_compared_on_all_images():
    rows = rows_of(
        run("convnet-rotmnist-c4", 0.98, train="12000"),
        run("convnet-rotmnist-c4-own-norms", 0.96, train="12000"),
        run("convnet-rotmnist-c4-no-orbit-pooling", 0.5, train="1000"),
    )
    assert body(group_tables.gains_of_parts(rows)) == [
        "| as published | 154,330 | 98.00 % (1 seed) |",
        "| each map has statistics and a scale of its own | 154,330 | 96.00 % (1 seed) |",
    ]
