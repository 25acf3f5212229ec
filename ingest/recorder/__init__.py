"""One HTTP exchange, byte-exact. `Recorder` is the door; see `client`.

`framing` finds where a response ends (the only place that imports the HTTP parser), `wire` is one connection with
its TLS, `dial` resolves names and judges addresses, `cookies` is the jar of one redirect chain.
"""

from ingest.recorder.client import Recorder, RecorderSettings
from ingest.recorder.cookies import Cookies

__all__ = ["Cookies", "Recorder", "RecorderSettings"]
