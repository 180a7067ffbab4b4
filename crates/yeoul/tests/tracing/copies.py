"""Is told of events by push and publishes one for each, with the thread that it hangs on, as the guide shows it."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote
from urllib.request import Request, urlopen


def thread(event):
    name = event["id"].replace("%", "%25").replace("/", "%2F")
    return {"correlationid": event["correlationid"], "causationid": f"{event['source']}/{name}"}


class Service(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"] or 0))
        event = {name[3:]: unquote(text) for name, text in self.headers.items() if name.startswith("ce-")}
        address = open(sys.argv[1]).read()
        follows = {"specversion": "1.0", "id": event["id"] + "-next", "source": "/python", "type": "Followed",
                   "subject": event["subject"], "data": {}, **thread(event)}
        headers = {"content-type": "application/cloudevents+json"}
        urlopen(Request(f"{address}/events/next", json.dumps(follows).encode(), headers))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
print(server.server_address[1], flush=True)
server.serve_forever()
