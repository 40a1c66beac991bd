"""What is asked for in the place of a host that is not this one."""

import os

from boxship.runtime.tuning import SetAffinity, plan_tuning


def test_all_processors_are_those_too_whose_numbers_are_above_their_count():
    # With some off line the numbers have gaps.
    process = {"execCPUAffinity": {"initial": "0"}}
    (step,) = plan_tuning(process, {}, joining=True).steps
    assert isinstance(step, SetAffinity)
    assert (os.cpu_count() or 1) + 100 in step.cpus
    assert step.describe() == "run on processors all"
