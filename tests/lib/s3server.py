#!/usr/bin/python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A small S3 in memory that is strict about signatures (AWS SigV4, computed here anew), and can be
told to misbehave.

    server = S3Server(); server.start(); ... server.stop()
    server.fault = lambda request: ("503", "SlowDown") or None

Alone, `s3server.py` prints its URL, and serves until its standard input ends. Not for use: it keeps
everything in memory, in one bucket, with one pair of keys.
"""
import base64
import contextlib
import datetime
import hashlib
import hmac
import http.server
import socket
import sys
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

KEY, SECRET, REGION, BUCKET = "AKIDEXAMPLE", "secret/with+signs=", "test-region-1", "bucket"


class Stored:
    def __init__(self, body, headers, etag=None):
        self.body, self.etag = body, etag or hashlib.md5(body).hexdigest()
        self.meta = {k: v for k, v in headers.items() if k.startswith("x-amz-meta-")}
        self.type, self.headers = headers.get("content-type", ""), headers

    @property
    def quoted(self):
        return f'"{self.etag}"'


class Refused(Exception):
    def __init__(self, status, code, message=""):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


def signature(secret, method, path, query, headers, signed, payload_hash, amz_date, scope):
    """The signature of a request as AWS documents it."""
    pairs = sorted((urllib.parse.quote(k, safe="-._~"), urllib.parse.quote(v, safe="-._~"))
                   for k, v in query)
    canonical = "\n".join([
        method, path, "&".join(f"{k}={v}" for k, v in pairs),
        "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in signed),
        ";".join(signed), payload_hash])
    text = "\n".join(["AWS4-HMAC-SHA256", amz_date, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.server.s3.connections.add(self.connection)

    def finish(self):
        self.server.s3.connections.discard(self.connection)
        with contextlib.suppress(ConnectionError):  # the client has gone, or was cut off
            super().finish()

    def log_message(self, *_):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (ConnectionError, ValueError):
            self.close_connection = True

    def handle_expect_100(self):
        done = super().handle_expect_100()
        self.wfile.flush()  # the client waits for it
        return done

    def serve(self):
        s3 = self.server.s3
        path, _, query = self.path.partition("?")
        self.query = urllib.parse.parse_qsl(query, keep_blank_values=True)
        self.lower = {k.lower(): v for k, v in self.headers.items()}
        self.key = urllib.parse.unquote(path)
        self.raw_path, self.raw_query = path, query
        length = int(self.lower.get("content-length", "0"))
        if s3.cut_in_body and s3.cut_in_body(self):
            self.rfile.read(length // 2)
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.body = self.rfile.read(length)
        with s3.lock:
            s3.requests.append((self.command, self.key, query))
        try:
            fault = s3.fault(self) if s3.fault else None
            if fault == "cut":
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            if fault:
                raise Refused(*fault)
            self.authenticate(s3)
            with s3.lock:
                status, headers, body = self.answer(s3)
            late = s3.after(self) if s3.after else None
            if late == "cut":
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            if s3.rewrite:
                status, headers, body = s3.rewrite(self, status, headers, body)
        except Refused as refused:
            body = (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{refused.code}</Code>'
                    f"<Message>{escape(refused.message)}</Message></Error>").encode()
            status, headers = refused.status, {"Content-Type": "application/xml"}
        self.send_response(int(status))
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers and int(status) != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and int(status) != 204:
            for at in range(0, len(body), s3.dribble or len(body)):
                self.wfile.write(body[at:at + (s3.dribble or len(body))])
                if s3.dribble:
                    self.wfile.flush()
                    time.sleep(s3.dribble_s)
        self.wfile.flush()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve

    def authenticate(self, s3):
        given = self.lower.get("authorization", "")
        if "X-Amz-Signature" in dict(self.query):
            self.authenticate_url(s3)
            return
        if not given.startswith("AWS4-HMAC-SHA256 "):
            raise Refused(403, "AccessDenied", "not signed")
        fields = dict(part.strip().split("=", 1) for part in given.split(" ", 1)[1].split(","))
        access, scope = fields["Credential"].split("/", 1)
        signed = fields["SignedHeaders"].split(";")
        date = self.lower.get("x-amz-date", "")
        if access != s3.key:
            raise Refused(403, "InvalidAccessKeyId", "there is no such key")
        if s3.token and self.lower.get("x-amz-security-token") != s3.token:
            raise Refused(403, "InvalidToken", "another token is expected")
        if scope.split("/")[1] != REGION:
            raise Refused(400, "AuthorizationHeaderMalformed", f"expecting '{REGION}'")
        must = {"host"} | {name for name in self.lower if name.startswith("x-amz-")}
        if not must <= set(signed) <= set(self.lower) or signed != sorted(signed):
            raise Refused(403, "AccessDenied", "headers are not signed")
        then = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(
            tzinfo=datetime.timezone.utc)
        if abs(time.time() + s3.clock_shift - then.timestamp()) > 900:
            raise Refused(403, "RequestTimeTooSkewed", "the difference is too large")
        payload = self.lower.get("x-amz-content-sha256", "")
        if payload != hashlib.sha256(self.body).hexdigest():
            raise Refused(400, "XAmzContentSHA256Mismatch", "the body is another one")
        if fields["Signature"] != signature(s3.secret, self.command, self.raw_path, self.query,
                                            self.lower, signed, payload, date, scope):
            raise Refused(403, "SignatureDoesNotMatch", "the signature is another one")

    def authenticate_url(self, s3):
        """What is signed in the query."""
        fields = dict(self.query)
        access, scope = fields["X-Amz-Credential"].split("/", 1)
        if access != s3.key or fields.get("X-Amz-Security-Token", "") != s3.token:
            raise Refused(403, "InvalidAccessKeyId", "there is no such key")
        date, query = fields["X-Amz-Date"], [(k, v) for k, v in self.query if k != "X-Amz-Signature"]
        then = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        age = time.time() + s3.clock_shift - then.timestamp()
        if not -900 <= age < int(fields["X-Amz-Expires"]) <= 604800:
            raise Refused(403, "AccessDenied", "Request has expired")
        signed = fields["X-Amz-SignedHeaders"].split(";")
        if fields["X-Amz-Signature"] != signature(s3.secret, self.command, self.raw_path, query, self.lower,
                                                  signed, "UNSIGNED-PAYLOAD", date, scope):
            raise Refused(403, "SignatureDoesNotMatch", "the signature is another one")

    def answer(self, s3):
        bucket, _, key = self.key[1:].partition("/")
        query = dict(self.query)
        if bucket not in s3.buckets:
            raise Refused(404, "NoSuchBucket", "the bucket is not there")
        if not key:
            return self.list(s3, query)
        if "uploads" in query or "uploadId" in query:
            return self.multipart(s3, key, query)
        if self.command == "PUT" and "x-amz-copy-source" in self.lower:
            return self.copy(s3, key)
        if self.command == "PUT":
            self.check_condition(s3, key)
            self.check_sum()
            s3.objects[key] = Stored(self.body, self.lower)
            return 200, {"ETag": f'"{s3.objects[key].etag}"'}, b""
        if self.command == "DELETE":
            s3.objects.pop(key, None)
            return 204, {}, b""
        stored = s3.objects.get(key)
        if not stored:
            raise Refused(404, "NoSuchKey", "the key is not there")
        if self.lower.get("if-match", stored.quoted) != stored.quoted:
            raise Refused(412, "PreconditionFailed", "it is another object")
        headers = {"ETag": stored.quoted, "Content-Type": stored.type, **stored.meta}
        body = stored.body
        if self.command == "HEAD":
            return 200, {**headers, "Content-Length": str(len(body))}, b""
        if "range" in self.lower:
            start, end = self.lower["range"].removeprefix("bytes=").split("-")
            if int(start) >= len(body):
                raise Refused(416, "InvalidRange")
            return 206, headers, body[int(start):int(end) + 1]
        return 200, headers, body

    def copy(self, s3, key):
        if s3.copies == "refused":
            raise Refused(501, "NotImplemented", "a header means functions that are not implemented")
        bucket, _, source = urllib.parse.unquote(self.lower["x-amz-copy-source"]).lstrip("/").partition("/")
        stored = s3.objects.get(source) if bucket in s3.buckets else None
        if not stored:
            raise Refused(404, "NoSuchKey", "the source is not there")
        if self.lower.get("x-amz-copy-source-if-match", stored.quoted) != stored.quoted:
            raise Refused(412, "PreconditionFailed", "the source is another one")
        replace = s3.copies != "without metadata" and self.lower.get("x-amz-metadata-directive") == "REPLACE"
        s3.objects[key] = Stored(stored.body, self.lower if replace else {**stored.meta}, stored.etag)
        return 200, {}, f"<CopyObjectResult><ETag>&quot;{stored.etag}&quot;</ETag></CopyObjectResult>".encode()

    def check_condition(self, s3, key):
        if "if-none-match" not in self.lower:
            return
        if s3.condition == "refused":
            raise Refused(501, "NotImplemented", "a header means functions that are not implemented")
        if s3.condition == "honoured" and key in s3.objects:
            raise Refused(412, "PreconditionFailed", "a precondition did not hold")

    def check_sum(self):
        given = self.lower.get("x-amz-checksum-sha256")
        if given and self.server.s3.checksum == "refused":
            raise Refused(501, "NotImplemented", "checksums are not implemented")
        if given and base64.b64decode(given) != hashlib.sha256(self.body).digest():
            raise Refused(400, "BadDigest", "the checksum is another one")

    def list(self, s3, query):
        if self.command != "GET" or query.get("list-type") != "2":
            raise Refused(405, "MethodNotAllowed")
        keys = sorted((k for k in s3.objects if k.startswith(query.get("prefix", ""))),
                      key=lambda k: k.encode())
        start = int(query.get("continuation-token", "0/x=&").split("/")[0])
        page, more = keys[start:start + s3.page], len(keys) > start + s3.page
        items = "".join(f"<Contents><Key>{urllib.parse.quote(k)}</Key><Size>{len(s3.objects[k].body)}"
                        "</Size></Contents>" for k in page)
        token = f"<NextContinuationToken>{start + s3.page}/x=&amp;</NextContinuationToken>" if more else ""
        return 200, {"Content-Type": "application/xml"}, (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/'
            f'doc/2006-03-01/"><IsTruncated>{str(more).lower()}</IsTruncated>{token}{items}'
            "</ListBucketResult>").encode()

    def multipart(self, s3, key, query):
        if self.command == "POST" and "uploads" in query:
            upload = f"up/{len(s3.begun)}+{key[-3:]}"
            s3.begun.append(upload)
            s3.uploads[upload] = (key, self.lower, {})
            return 200, {}, ("<InitiateMultipartUploadResult><UploadId>" + escape(upload)
                             + "</UploadId></InitiateMultipartUploadResult>").encode()
        if s3.uploads.get(query["uploadId"], ("",))[0] != key:
            raise Refused(404, "NoSuchUpload", "the upload is not there")
        _, headers, parts = s3.uploads[query["uploadId"]]
        if self.command == "PUT":
            parts[int(query["partNumber"])] = self.body
            return 200, {"ETag": f'"{hashlib.md5(self.body).hexdigest()}"'}, b""
        if self.command == "POST":
            self.check_condition(s3, key)
            text = self.body.decode()
            numbers = [int(part.split("<")[0]) for part in text.split("<PartNumber>")[1:]]
            if numbers != list(range(1, len(numbers) + 1)) or any(
                    hashlib.md5(parts.get(n, b"")).hexdigest() not in text for n in numbers):
                raise Refused(400, "InvalidPart", "a part is another one")
            if any(len(parts[n]) < s3.part_min for n in numbers[:-1]):
                raise Refused(400, "EntityTooSmall")
            body = b"".join(parts[n] for n in numbers)
            s3.objects[key] = Stored(body, headers,
                                     f"{hashlib.md5(body).hexdigest()}-{len(numbers)}")
        del s3.uploads[query["uploadId"]]
        if self.command == "DELETE":
            return 204, {}, b""
        return 200, {}, b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class S3Server:
    def __init__(self, port=0):
        self.lock = threading.RLock()
        self.objects, self.uploads, self.begun, self.requests = {}, {}, [], []
        self.buckets = {BUCKET}
        self.fault = self.after = None  # called with each request, before and after it is carried out
        self.cut_in_body = self.rewrite = None  # before its body is read; with what is to be answered
        self.dribble, self.dribble_s = 0, 0  # answers in pieces of so many bytes, and pauses; 0: at once
        self.condition, self.checksum, self.copies = "honoured", "honoured", "honoured"
        self.key, self.secret, self.token = KEY, SECRET, ""
        self.clock_shift, self.page, self.part_min = 0, 1000, 5 << 20
        self.http, self.port, self.connections = None, port, set()

    def start(self):
        self.http = Listener(("127.0.0.1", self.port), Handler)
        self.port, self.http.s3 = self.http.server_address[1], self
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        self.http.shutdown()
        self.http.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/{BUCKET}"


if __name__ == "__main__":
    print(S3Server().start().url, flush=True)
    sys.stdin.read()
