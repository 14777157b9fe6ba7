"""The papers' equations in plain numpy, one filter and one matrix at a time, to hold the model against.

Every function takes a model in float64 and reads its raw parameters; nothing here calls the package's own mathematics.
"""

import math

import numpy as np
from scipy import ndimage


def numpy_of(tensor):
    return tensor.detach().numpy()


def vec(filter_):
    """Equation 6: the columns of a matrix, one below the other."""
    rows, columns = filter_.shape
    return np.array([filter_[i, j] for j in range(columns) for i in range(rows)])


def unvec(vector, rows):
    """Equation 7."""
    columns = len(vector) // rows
    return np.array([[vector[j * rows + i] for j in range(columns)] for i in range(rows)])


def rotate(filter_, degrees):
    """Counter-clockwise about the centre, bilinear, zeros outside."""
    return ndimage.rotate(filter_, degrees, reshape=False, order=1, mode="grid-constant", cval=0.0)


def rotation_operator(size, degrees):
    """Column by column: where the rotation takes each unit vector."""
    return np.stack([vec(rotate(unvec(unit, size), degrees)) for unit in np.eye(size**2)], axis=1)


def shift_permutation(dim, order):
    """e_i -> e_{i+1} around each consecutive block of `order` coordinates; left-over coordinates stay."""
    permutation = np.eye(dim)
    for start in range(0, dim - order + 1, order):
        for i in range(order):
            permutation[:, start + i] = np.eye(dim)[start + (i + 1) % order]
    return permutation


def own_layer(config, layer):
    """The index of a layer's parameters: tied layers all read the first."""
    return 0 if config.tied else layer


def own_action(config, layer, group, channel):
    """The index of an action's parameters, which all that share it read."""
    sharing = config.action_sharing
    layer = 0 if sharing == "network" else own_layer(config, layer)
    return layer, 0 if sharing in ("layer", "network") else group, channel if sharing == "channel" else 0


def generator(model, layer, group, channel):
    """The matrix A of one action."""
    config = model.config
    size = config.filter_size
    if config.group_order == 1:
        return np.eye(size**2)
    if config.action == "rotation":
        return rotation_operator(size, config.rotation_angle)
    weight = numpy_of(model.base_model.action.weight[own_action(config, layer, group, channel)])
    if config.action == "left":
        return np.kron(np.eye(size), weight)
    if config.action == "cyclic":
        return weight @ shift_permutation(size**2, config.group_order) @ np.linalg.inv(weight)
    return weight


def orbit_operators(model, layer, group, channel):
    """Equation 9 on vec(W): the powers of A, or for rotations the rotation by i times the angle itself."""
    config = model.config
    if config.action == "rotation":
        return [rotation_operator(config.filter_size, i * config.rotation_angle) for i in range(config.group_order)]
    matrix = generator(model, layer, group, channel)
    return [np.linalg.matrix_power(matrix, i) for i in range(config.group_order)]


def orbit(model, layer, group, channel):
    """Equations 8 and 9: W, phi_A(W), phi_A(phi_A(W)), ..., each by applying phi to the one before."""
    config = model.config
    filter_ = numpy_of(model.base_model.basis[own_layer(config, layer), group, channel])
    if config.action == "rotation":
        return [rotate(filter_, i * config.rotation_angle) for i in range(config.group_order)]
    matrix = generator(model, layer, group, channel)
    images = [filter_]
    while len(images) < config.group_order:
        images.append(unvec(matrix @ vec(images[-1]), config.filter_size))
    return images


def layer_filters(model, layer):
    """Equation 11: the filters of a layer, (K*p, C, n, n), group by group."""
    config = model.config
    filters = []
    for group in range(config.num_groups):
        slices = [orbit(model, layer, group, channel) for channel in range(config.num_channels)]
        filters += [np.stack([image[power] for image in slices]) for power in range(config.group_order)]
    return np.stack(filters)


def dictionary_matrix(filters, height, width, padding):
    """The matrix W of "W y": column (f, i, j) is filter f laid on the image with its corner at (i, j), padding cut off."""
    channels, size = filters.shape[1:3]
    columns = []
    for filter_ in filters:
        for i in range(height + 2 * padding - size + 1):
            for j in range(width + 2 * padding - size + 1):
                canvas = np.zeros((channels, height + 2 * padding, width + 2 * padding))
                canvas[:, i : i + size, j : j + size] = filter_
                columns.append(canvas[:, padding : padding + height, padding : padding + width].ravel())
    return np.stack(columns, axis=1)


def batch_norm(maps, module):
    """(B, F, H', W') with the batch's own statistics in training mode, the running ones in evaluation mode."""
    if module.training:
        mean, variance = maps.mean(axis=(0, 2, 3)), maps.var(axis=(0, 2, 3))
    else:
        mean, variance = numpy_of(module.running_mean), numpy_of(module.running_var)
    scale = numpy_of(module.weight) / np.sqrt(variance + 1e-5)
    return (maps - mean[:, None, None]) * scale[:, None, None] + numpy_of(module.bias)[:, None, None]


def codes(model, images):
    """Equation 10 for l = 1..L: the list of z_l, each (B, K*p, H', W')."""
    config, lgn = model.config, model.base_model
    images = numpy_of(images)
    batch, _, height, width = images.shape
    a, padding = config.step_size, config.padding
    shape = (batch, config.num_filters, *(side + 2 * padding - config.filter_size + 1 for side in (height, width)))
    x = images.reshape(batch, -1)
    y = z = np.zeros((batch, math.prod(shape[1:])))
    t, result = 1.0, []
    for layer in range(config.num_layers):
        W = dictionary_matrix(layer_filters(model, layer), height, width, padding)
        thresholds = np.repeat(numpy_of(lgn.threshold[layer]), shape[2] * shape[3])
        previous, z = z, np.maximum(y + a * (x - y @ W.T) @ W - a * thresholds, 0)
        following = (1 + math.sqrt(1 + 4 * t**2)) / 2
        y = z + (t - 1) / following * (z - previous) if config.algorithm == "fista" else z
        t = following
        if config.batch_norm and layer < config.num_layers - 1:
            y = batch_norm(y.reshape(shape), lgn.norms[layer]).reshape(batch, -1)
        result.append(z.reshape(shape))
    return result


def adaptive_average_pool(maps, size):
    """Output cell i averages rows floor(i*H/size) to ceil((i+1)*H/size), columns alike."""

    def bounds(length):
        return [(i * length // size, math.ceil((i + 1) * length / size)) for i in range(size)]

    cells = [maps[..., top:bottom, left:right].mean(axis=(-2, -1))
             for top, bottom in bounds(maps.shape[-2]) for left, right in bounds(maps.shape[-1])]  # fmt: skip
    return np.stack(cells, axis=-1).reshape(*maps.shape[:-2], size, size)


def logits(model, images):
    pooled = adaptive_average_pool(codes(model, images)[-1], model.config.pool_size)
    return pooled.reshape(len(pooled), -1) @ numpy_of(model.classifier.weight).T + numpy_of(model.classifier.bias)


def cross_entropy(logits_, labels):
    shifted = logits_ - logits_.max(axis=1, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -np.mean([row[label] for row, label in zip(log_probability, labels.tolist(), strict=True)])


def reconstruction(model, images):
    config = model.config
    code = codes(model, images)[-1]
    tied = config.decoder == "tied"
    filters = layer_filters(model, config.num_layers - 1) if tied else numpy_of(model.dictionary)
    D = dictionary_matrix(filters, *images.shape[2:], config.padding)
    return (code.reshape(len(code), -1) @ D.T).reshape(images.shape)


def regularization(model):
    """mu times equation 12, equation 14 or appendix B, summed over layers, groups and channels (shared actions once, tied
    layers each)."""
    config = model.config
    if config.regularizer == "none" or config.group_order == 1 or config.action == "rotation":
        return 0.0
    total = 0.0
    places = np.ndindex(config.num_layers, config.num_groups, config.num_channels)
    for index in {own_action(config, *place) for place in places}:
        matrix = generator(model, *index)
        singular_values = np.linalg.svd(matrix, compute_uv=False)
        if config.regularizer == "inverse":
            product = matrix @ numpy_of(model.base_model.auxiliary_inverses)[index]
            total += math.sqrt(((product - np.eye(len(product))) ** 2).sum())
        elif config.regularizer == "nuclear":
            total -= singular_values.sum()
        else:
            total -= np.log(singular_values).sum()
    return config.regularizer_weight * total * (config.num_layers if config.tied else 1)
