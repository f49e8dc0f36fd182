"""Starts one worker a link. The links file says where each link is; the plans say what it
speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from controller.core.errors import BadInput, nearest
from controller.core.ports import Inputs
from controller.field.links.machine import SerialLink
from controller.field.links.opcua import OpcuaLink
from controller.field.links.serial_worker import SerialWorker
from controller.field.links.worker import Duty, Worker
from controller.profile.link_plan import LinkPlan


def start_workers(
    urls: Mapping[str, str],
    plans: Sequence[LinkPlan],
    inputs: Callable[[str], Inputs],
    duty: Duty,
) -> list[Worker]:
    """Starts a worker for every plan; `inputs(link)` gives each its own ring.

    Raises BadInput, before anything is started, for a link without a URL or of the wrong kind, or a
    URL without a link.
    """
    names = [plan.name for plan in plans]
    for name in urls:
        if name not in names:
            raise BadInput(f"no link {name!r} in this unit. {nearest(name, names)}")
    for plan in plans:
        url = urls.get(plan.name)
        if url is None:
            raise BadInput(f"the links file says nothing about link {plan.name!r}")
        if url.startswith("opc.tcp://") != (plan.kind == "opcua"):
            raise BadInput(f"link {plan.name!r} is {plan.kind}, its URL is {url!r}")
    workers: list[Worker] = []
    for plan in plans:
        ring, now_ns, url = inputs(plan.name), duty.now_ns(), urls[plan.name]
        if plan.kind == "opcua":
            # Its library takes long to load: only where it is used, and not before it is.
            from controller.field.links.opcua_worker import OpcuaWorker

            workers.append(OpcuaWorker(plan.name, url, OpcuaLink(plan, ring, now_ns), duty))
        elif plan.kind == "bridge":
            from controller.field.links.bridge import BridgeLink
            from controller.field.links.bridge_worker import BridgeWorker

            workers.append(BridgeWorker(plan.name, url, BridgeLink(plan, ring, now_ns), duty))
        else:
            workers.append(SerialWorker(plan.name, url, SerialLink(plan, ring, now_ns), duty))
        workers[-1].start()
    return workers
