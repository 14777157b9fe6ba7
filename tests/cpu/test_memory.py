"""The pool of memory: used again, limited, safe with threads and forks."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from lgn_hf.cpu.memory import Pool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the compiled layers are for Linux")


def test_memory_is_used_again_once_it_is_free():
    pool = Pool(capacity=1000)
    tensor = pool.empty((2, 3), torch.float32)
    address = tensor.data_ptr()
    kept = tensor[1:]
    del tensor
    assert pool.empty((2, 3), torch.float32).data_ptr() != address
    del kept
    addresses = {pool.empty((2, 3), torch.float32).data_ptr() for _ in range(2)}
    assert address in addresses


def test_what_lies_free_is_limited_and_the_oldest_size_goes_first():
    pool = Pool(capacity=100)
    for shape in ((2, 3), (4, 3), (2, 3), (5, 3)):
        pool.empty(shape, torch.float32)
    assert {size: len(blocks) for size, blocks in pool.free.items()} == {24: 1, 60: 1}
    pool.empty((1000,), torch.float32)
    assert pool.free == {}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_memory_of_its_own():
    tensor = Pool(capacity=0).empty((4,), torch.float32).fill_(1)
    child = os.fork()
    if child == 0:
        tensor.fill_(2)
        os._exit(0)
    os.waitpid(child, 0)
    assert tensor.tolist() == [1] * 4


def test_threads_share_it():
    pool = Pool(capacity=10_000)

    def work(number):
        for _ in range(200):
            tensors = [pool.empty((4, size), torch.int64).fill_(number) for size in (1, 2, 3)]
            if not all((tensor == number).all() for tensor in tensors):
                return False
        return True

    with ThreadPoolExecutor(4) as executor:
        assert all(executor.map(work, range(4)))


def test_shapes_and_types():
    tensor = Pool(capacity=0).empty((2, 4, 3), torch.float64)
    assert tensor.shape == (2, 4, 3)
    assert tensor.dtype == torch.float64
