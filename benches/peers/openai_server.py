#!/usr/bin/env python3
"""Puts a server that speaks OpenAI's chat API (vLLM, SGLang, ...) under the load that `tessera bench serve` makes.

    tessera bench pages --tiles 13 --count 64 --out /tmp/pages
    vllm serve OpenGVLab/InternVL3-8B --port 8000 &
    python3 benches/peers/openai_server.py --url http://127.0.0.1:8000 --model OpenGVLab/InternVL3-8B \
        --images /tmp/pages --concurrency 1,8,64 --requests 128 --output-tokens 200

Standard library only. Each client is a thread with a connection of its own that sends its next page when it has the
answer to the last. Times are the client's: to the first piece of text, and to the end of the stream. Output tokens are
those that the server reports (`stream_options.include_usage`). Prints the table that `tessera bench serve` prints, and
writes requests.csv with --out. `--ignore-eos` asks vLLM for exactly the output tokens.
"""

import argparse
import base64
import csv
import http.client
import json
import pathlib
import queue
import threading
import time
import urllib.parse


def percentile(values, percent):
    values = sorted(values)
    if not values:
        return float("nan")
    place = (len(values) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def body(args, content, mime):
    image = f"data:{mime};base64,{base64.b64encode(content).decode()}"
    message = {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": image}}, {"type": "text", "text": args.prompt}],
    }
    request = {
        "model": args.model, "messages": [message], "temperature": 0, "max_tokens": args.output_tokens, "stream": True,
        "stream_options": {"include_usage": True},
    }
    if args.ignore_eos:
        request["ignore_eos"] = True
    return json.dumps(request).encode()


def one(connection, path, request):
    """Seconds to the first text and to the end, output tokens; raises where the server refuses."""
    start = time.perf_counter()
    connection.request("POST", path, request, {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise RuntimeError(f"{response.status} {response.read(300)!r}")
    first, tokens = None, None
    while True:
        line = response.readline()
        if not line:
            raise RuntimeError("the stream ended without [DONE]")
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            response.read()
            return first, time.perf_counter() - start, tokens
        event = json.loads(data)
        if event.get("usage"):
            tokens = event["usage"]["completion_tokens"]
        for choice in event.get("choices", []):
            if choice.get("delta", {}).get("content") and first is None:
                first = time.perf_counter() - start


def level(args, url, pages, clients, requests):
    work = queue.Queue()
    for index in range(requests):
        work.put(index)
    results, lock = [], threading.Lock()

    def client():
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=args.timeout)
        while True:
            try:
                index = work.get_nowait()
            except queue.Empty:
                return
            try:
                outcome = (*one(connection, url.path.rstrip("/") + "/v1/chat/completions", pages[index % len(pages)]), "OK")
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                connection.close()
                outcome = (None, None, None, str(error))
            with lock:
                results.append(outcome)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", required=True, type=pathlib.Path)
    parser.add_argument("--prompt", default="Read this page.")
    parser.add_argument("--concurrency", default="1")
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--warm-up", type=int, default=4, help="requests before each level that do not count")
    parser.add_argument("--output-tokens", type=int, default=200)
    parser.add_argument("--ignore-eos", action="store_true")
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    mimes = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
    files = sorted(path for path in args.images.iterdir() if path.suffix.lower() in mimes)
    if not files:
        parser.error(f"--images {args.images}: there are no page files")
    pages = [body(args, path.read_bytes(), mimes[path.suffix.lower()]) for path in files]
    url = urllib.parse.urlsplit(args.url)
    rows = []
    print("| load | answers | refused | pages/s | pages/min | tokens/s | first token p50 / p99 ms | whole p50 / p90 / p99 s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for clients in map(int, args.concurrency.split(",")):
        level(args, url, pages, clients, args.warm_up)
        results, seconds = level(args, url, pages, clients, args.requests)
        good = [result for result in results if result[3] == "OK"]
        firsts = [result[0] * 1e3 for result in good if result[0] is not None]
        wholes = [result[1] for result in good]
        tokens = sum(result[2] or 0 for result in good)
        print(
            f"| {clients} clients | {len(good)} | {len(results) - len(good)} | {len(good) / seconds:.2f} "
            f"| {len(good) / seconds * 60:.0f} | {tokens / seconds:.0f} "
            f"| {percentile(firsts, 50):.1f} / {percentile(firsts, 99):.1f} "
            f"| {percentile(wholes, 50):.2f} / {percentile(wholes, 90):.2f} / {percentile(wholes, 99):.2f} |",
            flush=True,
        )
        for text in sorted({result[3] for result in results} - {"OK"}):
            print(f"  refused: {text}")
        rows += [(clients, *result) for result in results]
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        with (args.out / "requests.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["clients", "first_token_s", "latency_s", "output_tokens", "status"])
            writer.writerows(rows)


if __name__ == "__main__":
    main()
