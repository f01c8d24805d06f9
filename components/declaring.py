"""How a step is declared to Kubeflow Pipelines: as a component in the one image, which has all that it needs."""

import os
from collections.abc import Callable
from typing import Any

from components.image import IMAGE

# Set in a task's own process, where kfp has no compiler.
IN_TASK = "_KFP_RUNTIME"


def declare_component(function: Callable[..., Any]) -> Any:
    """Return the function as a component; within a task the function itself."""
    if os.environ.get(IN_TASK) == "true":
        return function
    from kfp import dsl

    return dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)(function)


def get_function(component: Any) -> Callable[..., Any]:
    """Return the function of a component."""
    function: Callable[..., Any] = getattr(component, "python_func", component)
    return function
