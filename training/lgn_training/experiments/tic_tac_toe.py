"""All end positions of tic-tac-toe, an exact test of what a search for symmetries finds."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))


def end_positions() -> tuple[Tensor, Tensor]:
    """The 958 boards at the end of a game, and whether x, who begins, has won.

    Returns:
        Boards (958, 9), float64: 1 for x, -1 for o, 0 for an empty cell. Results (958,), bool.
    """
    ends: dict[tuple[int, ...], bool] = {}

    @cache
    def play(board: tuple[int, ...], player: int) -> None:
        won = any(board[i] == board[j] == board[k] == -player for i, j, k in LINES)  # by the move before
        if won or all(board):
            ends[board] = won and player == -1
            return
        for cell in range(9):
            if not board[cell]:
                play((*board[:cell], player, *board[cell + 1 :]), -player)

    play((0,) * 9, 1)
    return torch.tensor(list(ends), dtype=torch.float64), torch.tensor(list(ends.values()))
