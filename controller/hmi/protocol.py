"""HTTP/1.1 as uvicorn speaks it, saying of each connection whether it waits, asks or rests.

A module of its own because it is loaded in the server's thread only, with the web framework.
"""

from __future__ import annotations

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from controller.hmi.lines import Lines


def speaking(lines: Lines) -> type[H11Protocol]:
    """The protocol of one server's connections."""

    class Spoken(H11Protocol):
        """See the module."""

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.client is None or self.transport.get_protocol() is not self:
                return  # it is a feed now
            if self.conn.their_state is h11.IDLE:
                lines.begins(self.client)
            else:
                lines.asks(self.client)

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            if self.client is not None:
                lines.stays(self.client)
            super().handle_websocket_upgrade(event)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.client is not None and self.conn.their_state is h11.IDLE:
                lines.rests(self.client)

    return Spoken
