"""Sends the first requests of an editor to a language server, and prints the diagnostics that it sends.

Usage: ask.py LANGUAGE FILE COMMAND...
"""
import json
import os
import subprocess
import sys

language, name, *command = sys.argv[1:]
root = "file://" + os.getcwd()
server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def send(**message):
    text = json.dumps({"jsonrpc": "2.0", **message}).encode()
    server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(text) + text)
    server.stdin.flush()


def receive():
    length = 0
    while (line := server.stdout.readline().strip()) or not length:
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
        elif not line:
            sys.exit(f"the server ended: {server.wait()}")
    return json.loads(server.stdout.read(length))


send(id=1, method="initialize", params={
    "processId": None, "rootUri": root, "capabilities": {"textDocument": {"publishDiagnostics": {}}},
    "workspaceFolders": [{"uri": root, "name": "w"}],
})
while True:
    message = receive()
    if message.get("id") == 1 and "method" not in message:
        send(method="initialized", params={})
        send(method="textDocument/didOpen", params={"textDocument": {
            "uri": f"{root}/{name}", "languageId": language, "version": 1, "text": open(name).read(),
        }})
    elif message.get("method") == "workspace/configuration":
        send(id=message["id"], result=[None for _ in message["params"]["items"]])
    elif "id" in message and "method" in message:
        send(id=message["id"], result=None)
    elif message.get("method") == "textDocument/publishDiagnostics" and message["params"]["diagnostics"]:
        print("\n".join(it["message"] for it in message["params"]["diagnostics"]))
        break
server.kill()
server.wait()
