"""The branch that is shown, and what stands beside it."""

import random

import pytest

from analysis.tree import Tree


def ids(tree: Tree, leaf: str) -> list[str]:
    return [step.id for step in tree.branch(leaf)]


def test_a_branch_goes_from_the_first_message_to_the_newest_child() -> None:
    tree = Tree([(1, "a", None), (2, "b", "a"), (3, "c", "b"), (4, "d", "b"), (5, "e", "d")])
    assert tree.leaf("a") == "e"
    assert ids(tree, "e") == ["a", "b", "d", "e"]
    assert ids(tree, "c") == ["a", "b", "c"]
    assert (tree.newest(), len(tree), "c" in tree, "z" in tree) == ("e", 5, True, False)


def test_each_step_knows_what_else_stands_in_its_place() -> None:
    tree = Tree([(1, "a", None), (3, "c", "a"), (2, "b", "a"), (4, "d", "b")])
    assert [step.siblings for step in tree.branch("d")] == [("a",), ("b", "c"), ("d",)]


def test_messages_under_one_parent_that_was_not_captured_stand_in_one_place() -> None:
    tree = Tree([(1, "u", "root"), (2, "a", "u"), (3, "v", "root"), (4, "b", "v")])
    assert ids(tree, "b") == ["v", "b"]
    assert tree.branch("b")[0].siblings == ("u", "v")
    assert not tree.branch("b")[0].gap


def test_a_piece_without_a_beginning_stands_behind_the_piece_before_it() -> None:
    tree = Tree([(1, "a", None), (2, "b", "a"), (3, "x", "lost"), (4, "y", "x")])
    assert [(step.id, step.gap) for step in tree.branch("y")] == [("a", False), ("b", False), ("x", True), ("y", False)]


@pytest.mark.parametrize("parents", ["bcda", "badd", "aaaa", "bbbb"])
def test_a_circle_gives_each_message_a_place_and_ends(parents: str) -> None:
    tree = Tree([(n, identity, parents[n]) for n, identity in enumerate("abcd")])
    for identity in "abcd":
        shown = ids(tree, tree.leaf(identity))
        assert len(shown) == len(set(shown))
        assert identity in ids(tree, identity)


def test_any_parents_at_all_give_a_branch_through_every_message() -> None:
    for seed in range(200):
        chance = random.Random(seed)
        names = [f"m{n}" for n in range(chance.randint(1, 12))]
        nodes = [(n, name, chance.choice([*names, None, "gone"])) for n, name in enumerate(names)]
        tree = Tree(nodes)
        for name in names:
            branch = ids(tree, tree.leaf(name))
            assert name in branch
            assert len(branch) == len(set(branch))


def test_a_very_long_conversation_is_no_deep_one() -> None:
    tree = Tree([(n, f"m{n}", f"m{n - 1}" if n else None) for n in range(20_000)])
    assert len(tree.branch(tree.leaf("m0"))) == 20_000


def test_nothing_has_no_newest() -> None:
    assert Tree([]).newest() is None
