"""How much memory there is for workers."""

from __future__ import annotations

import os

from voicebus.daemon import memory


def test_three_quarters_of_what_there_is():
    """The budget is three quarters of the machine's memory, or of less where a control group has less."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory.budget() <= machine * 3 / 4


def test_the_tightest_group_counts(tmp_path):
    """Of our own group and those above it the smallest limit holds; "max" is none."""
    own, groups = tmp_path / "cgroup", tmp_path / "groups"
    (groups / "user" / "service").mkdir(parents=True)
    own.write_text("1:name=systemd:/x\n0::/user/service\n")
    assert memory._group(groups, own) == 0
    (groups / "user" / "service" / "memory.max").write_text("max\n")
    (groups / "user" / "memory.max").write_text("4096000\n")
    assert memory._group(groups, own) == 4096000
    (groups / "user" / "service" / "memory.max").write_text("1024000\n")
    assert memory._group(groups, own) == 1024000


def test_where_there_are_no_groups_there_is_no_limit(tmp_path):
    """Neither a system without control groups nor one with the older kind is asked."""
    assert memory._group(tmp_path, tmp_path / "nothing") == 0
    (tmp_path / "cgroup").write_text("4:memory:/x\n")
    assert memory._group(tmp_path, tmp_path / "cgroup") == 0
