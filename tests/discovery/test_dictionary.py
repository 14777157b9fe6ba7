"""Dictionaries: planted atoms are recovered, equal seeds give equal atoms, and unusable data get one clear message."""

import math

import pytest
import torch

from lgn_hf import learn_dictionary
from lgn_hf.discovery import Dictionary, load_dictionary
from lgn_hf.discovery.sparse_coding import sparse_codes


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def planted(groups: int, dim: int, noise: float, rows: int = 8000, seed: int = 0):
    """Rows that are sparse, non-negative sums of `groups` orbits of 4 atoms, with noise; and the atoms."""
    random = generator(seed)
    q, _ = torch.linalg.qr(torch.randn(dim, dim, generator=random))
    shift = torch.arange(dim)
    for start in range(0, dim - dim % 4, 4):
        shift[start : start + 4] = shift[start : start + 4].roll(1)
    action = q @ torch.eye(dim)[shift] @ q.T
    basis = torch.randn(groups, dim, generator=random)
    orbits = [basis]
    for _ in range(3):
        orbits.append(orbits[-1] @ action.T)
    atoms = torch.stack(orbits, 1).flatten(0, 1)
    atoms = atoms / atoms.norm(dim=1, keepdim=True)
    count = len(atoms)
    on = torch.rand(rows, count, generator=random) < 3 / count
    data = (on * (0.5 + torch.rand(rows, count, generator=random))) @ atoms
    return data + noise * data.std() * torch.randn(data.shape, generator=random), atoms


def share_recovered(atoms, learned):
    return float(((atoms.double() @ learned.T).amax(1) > 0.95).double().mean())


def test_codes_satisfy_the_optimality_conditions():
    """Where a code is on, the residual pulls with exactly the penalty; where it is off, with no more."""
    atoms = torch.nn.functional.normalize(torch.randn(12, 6, generator=generator(), dtype=torch.float64))
    data = torch.randn(20, 6, generator=generator(1), dtype=torch.float64)
    codes = sparse_codes(data, atoms, penalty=0.3, steps=3000)
    pull = (data - codes @ atoms) @ atoms.T
    assert (codes >= 0).all()
    assert 0 < (codes > 0).double().mean() < 0.7
    torch.testing.assert_close(pull[codes > 0], torch.full_like(pull[codes > 0], 0.3), rtol=0, atol=1e-6)
    assert (pull[codes == 0] < 0.3 + 1e-6).all()


@pytest.mark.slow
def test_planted_atoms_are_recovered_in_a_small_problem():
    data, atoms = planted(groups=6, dim=16, noise=0.1, rows=4000)
    learned = learn_dictionary(data, 36, steps=300)
    assert share_recovered(atoms, learned.atoms) > 0.95


@pytest.mark.slow
def test_planted_atoms_are_recovered():
    data, atoms = planted(groups=10, dim=25, noise=0.3, rows=20_000)
    assert share_recovered(atoms, learn_dictionary(data, 60).atoms) == 1


def test_the_statistics_say_how_often_and_how_strongly_atoms_are_on():
    """Three atoms, each on by itself in a known share of the rows and with a known strength."""
    strengths, shares = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, 0.3, 0.2])
    which = torch.multinomial(shares, 3000, replacement=True, generator=generator())
    atoms, _ = torch.linalg.qr(torch.randn(4, 4, generator=generator(1)))
    data = strengths[which, None] * atoms[which]
    learned = learn_dictionary(data, 9, steps=100, penalty=0.01)
    assert (learned.atoms.shape, learned.coactivation.shape) == ((9, 4), (9, 9))
    torch.testing.assert_close(learned.coactivation, learned.coactivation.T)
    torch.testing.assert_close(learned.coactivation.diagonal(), learned.frequency)
    for atom, strength, share in zip(atoms.double(), strengths, shares, strict=False):
        same = learned.atoms @ atom > 0.999  # copies of one atom share its rows
        total = float((learned.frequency * learned.amplitude)[same].sum())
        assert total == pytest.approx(float(strength * share), rel=0.1)


def test_atoms_have_norm_1_and_stay_in_the_span_of_the_data():
    data = torch.randn(500, 9, generator=generator())
    data = data - data.mean(1, keepdim=True)
    atoms = learn_dictionary(data, 20, steps=30).atoms
    assert atoms.dtype == torch.float64
    torch.testing.assert_close(atoms.norm(dim=1), torch.ones(20, dtype=torch.float64), rtol=0, atol=1e-5)
    assert atoms.sum(1).abs().max() < 1e-7
    assert torch.linalg.matrix_rank(atoms) == 8


def test_a_seed_decides_the_dictionary():
    data = torch.randn(400, 6, generator=generator())
    first, again, other = (learn_dictionary(data.numpy(), 20, seed, steps=30) for seed in (0, 0, 1))
    for name in ("atoms", "coactivation", "frequency", "amplitude"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(first.atoms, other.atoms)


def test_learning_leaves_the_state_of_torch_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    learn_dictionary(torch.randn(100, 4, generator=generator()), 13, steps=5)
    assert torch.equal(torch.rand(1), expected)


def test_no_more_atoms_than_dimensions_are_warned_of():
    with pytest.warns(UserWarning, match=r"num_atoms=6 in 6 dimensions: a symmetry cannot be determined"):
        learn_dictionary(torch.randn(100, 6, generator=generator()), 6, steps=5)


GOOD = torch.randn(100, 4, generator=generator())
ERRORS = {
    "NaN": (lambda: learn_dictionary(GOOD.clone().fill_(math.nan), 9), "NaN or infinity in 100 of 100 rows"),
    "constant": (lambda: learn_dictionary(torch.ones(50, 4), 9), "data are constant"),
    "zero": (lambda: learn_dictionary(torch.zeros(50, 4), 9), "data are constant"),
    "few": (lambda: learn_dictionary(GOOD[:5], 9), "5 rows and num_atoms is 9: more rows than atoms"),
    "vector": (lambda: learn_dictionary(GOOD[0], 9), r"data of shape \(4,\)"),
    "complex": (lambda: learn_dictionary(GOOD * 1j, 9), "must be real rows"),
    "atoms": (lambda: learn_dictionary(GOOD, 0), "num_atoms=0: must be a whole number above 0"),
    "steps": (lambda: learn_dictionary(GOOD, 9, steps=0), "steps=0: must be a whole number above 0"),
    "penalty": (lambda: learn_dictionary(GOOD, 9, penalty=-1.0), "penalty=-1.0: must be a number above 0"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_unusable_data_get_one_clear_message(name):
    learn, message = ERRORS[name]
    with pytest.raises(ValueError, match=message) as error:
        learn()
    assert "\n" not in str(error.value)


def test_a_dictionary_is_saved_and_loaded(tmp_path):
    learned = learn_dictionary(GOOD, 13, steps=5)
    loaded = load_dictionary(learned.save(tmp_path / "d.safetensors"))
    assert repr(loaded) == "Dictionary(13 atoms of 4 dimensions)"
    assert len(loaded) == 13
    assert torch.equal(loaded.atoms, learned.atoms)
    assert torch.equal(loaded.amplitude, learned.amplitude)


def test_what_is_not_a_dictionary_is_refused(tmp_path):
    (tmp_path / "d.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="damaged or incomplete"):
        load_dictionary(tmp_path / "d.safetensors")
    wrong = Dictionary(torch.zeros(3, 2), torch.zeros(2, 2), torch.zeros(3), torch.zeros(3))
    with pytest.raises(ValueError, match=r"must be atoms \(N, d\)"):
        load_dictionary(wrong.save(tmp_path / "w.safetensors"))
