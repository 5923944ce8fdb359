"""A scripted chat-completions server on the loopback: the first part of the path says what it does.

    reader-server.py PORT-FILE REQUEST-FILE

It writes its port to PORT-FILE when it listens, and each request to REQUEST-FILE as a line of JSON.
"""
import http.server
import json
import os
import sys
import threading
import time

PIECES = ["The caf", "\u00e9 was closed [2].\n", "A fo", "x slept [1, 3] [x] [", "2] there."]


def event(text=None, **choice):
    return "data: %s\n\n" % json.dumps({"choices": [dict(choice, delta={"content": text} if text else {})]},
                                       ensure_ascii=False)


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, body, status=200, kind="text/event-stream", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.write(body)

    def write(self, body):
        self.wfile.write(body if isinstance(body, bytes) else body.encode())
        self.wfile.flush()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open(sys.argv[2], "a") as requests:
            print(json.dumps({"path": self.path, "key": self.headers["Authorization"], "body": json.loads(body)}),
                  file=requests)
        try:
            getattr(self, "do_" + self.path.split("/")[1])()
        except (BrokenPipeError, ConnectionResetError):
            pass

    def do_v1(self):
        self.do_stream()

    def do_stream(self):
        """Byte by byte at the start, so that characters and lines come in parts."""
        text = ": a comment\n\n" + event(role="assistant") + "".join(event(piece) for piece in PIECES)
        text += event(finish_reason="stop") + 'data: {"choices": [], "usage": {}}\n\ndata: [DONE]\n\n'
        data = text.replace("\n", "\r\n").encode()
        self.answer(b"")
        for i in range(300):
            self.write(data[i:i + 1])
        self.write(data[300:])

    def do_nodone(self):
        self.answer(event("Short [1].") + event(finish_reason="stop").rstrip("\n"))

    def do_whole(self):
        message = {"choices": [{"message": {"content": "All at once [1]."}, "finish_reason": "stop"}]}
        self.answer(json.dumps(message, indent=2), kind="application/json")

    def do_wrongly(self):
        self.answer(event("As [9] and [0] say, \x1b[31mred\x07\u009b.") + "data: [DONE]\n\n")

    def do_uncited(self):
        self.answer(event("Nobody knows.") + "data: [DONE]\n\n")

    def do_empty(self):
        self.answer("data: [DONE]\n\n")

    def do_nothing(self):
        self.answer("")

    def do_short(self):
        self.answer(event("The fox was") + event(" last seen"))

    def do_cut(self):
        self.protocol_version = "HTTP/1.1"
        self.answer("", **{"Transfer-Encoding": "chunked"})
        data = event("The fox was")
        self.write("%x\r\n%s\r\n5\r\nda" % (len(data), data))
        self.close_connection = True

    def do_slow(self):
        self.answer(event("The fox was"))
        time.sleep(8)

    def do_mute(self):
        time.sleep(8)

    def do_html(self):
        self.answer("<html><body>Welcome</body></html>", kind="text/html")

    def do_words(self):
        self.answer("data: these are words\n\n")

    def do_other(self):
        self.answer('data: {"answer": 42}\n\n')

    def do_list(self):
        self.answer("data: [1, 2]\n\n")

    def do_halfway(self):
        self.answer(event("The fox") + 'data: {"error": {"message": "the context is full", "code": 500}}\n\n')

    def do_long(self):
        self.answer("data: " + "x" * (3 << 20))

    def do_401(self):
        self.answer(json.dumps({"error": {"message": "Incorrect API key."}}), 401, "application/json")

    def do_404(self):
        self.answer(json.dumps({"error": "model 'x' not found"}), 404, "application/json")

    def do_422(self):
        self.answer(json.dumps({"detail": "max_tokens is too large"}), 422, "application/json")

    def do_500(self):
        self.answer("Out of order\x1b[31m", 500, "text/plain")

    def do_503(self):
        self.answer("", 503)

    def do_302(self):
        self.answer("", 302, Location="http://127.0.0.1:1/stolen")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
with open(sys.argv[1] + ".new", "w") as port_file:
    print(server.server_address[1], file=port_file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
threading.Timer(250, server.shutdown).start()
server.serve_forever()
