#!/usr/bin/python3
"""A small language server for the example `lsp`: it reports lines that contain TODO."""

import json
import sys


def receive():
    length = None
    for line in sys.stdin.buffer:
        line = line.strip()
        if not line:
            return json.loads(sys.stdin.buffer.read(length))
        name, _, value = line.partition(b":")
        if name == b"Content-Length":
            length = int(value)
    return None


def send(**message):
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    sys.stdout.buffer.flush()


def diagnostics(text):
    for number, line in enumerate(text.splitlines()):
        column = line.find("TODO")
        if column >= 0:
            start = {"line": number, "character": column}
            end = {"line": number, "character": len(line)}
            yield {"range": {"start": start, "end": end}, "message": line[column:]}


while (message := receive()) is not None:
    method = message.get("method")
    if method == "initialize":
        capabilities = {"textDocumentSync": 1}
        server = {"name": "todo-server"}
        send(id=message["id"], result={"capabilities": capabilities, "serverInfo": server})
    elif method == "textDocument/didOpen":
        document = message["params"]["textDocument"]
        found = list(diagnostics(document["text"]))
        send(method="textDocument/publishDiagnostics", params={"uri": document["uri"], "diagnostics": found})
    elif method == "shutdown":
        send(id=message["id"], result=None)
    elif method == "exit":
        break
