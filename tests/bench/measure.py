#!/usr/bin/env python3
"""Measure a Nova-compatible compute API from outside, over REST only.

Needs nothing but Python's standard library. Where to measure comes from the
environment, as for the openstack client:

  OS_AUTH_URL OS_USERNAME OS_PASSWORD OS_PROJECT_NAME [OS_*_DOMAIN_NAME]
      password token from keystone v3, endpoints from its catalogue
  OS_TOKEN, BENCH_COMPUTE_URL, BENCH_IMAGE_ID, BENCH_FLAVOR_ID
      any of these replaces what keystone, glance or nova would say;
      with the first two no keystone is asked
  BENCH_IMAGE, BENCH_FLAVOR     names to look up (default: tiny)
  BENCH_PID_DIR                 folder of NAME.pid files: the cloud's processes
  BENCH_PROBE                   command that prints a flat JSON object of counters

Every figure is a client's: a server counts as booted when the API has said
ACTIVE, as gone when it lists it no more. At the end of each step the whole
list is read again and checked; whatever was not as it should be is counted
under "errors".
"""

import argparse
import http.client
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from urllib.parse import urlencode, urlsplit

now = time.perf_counter
TICK = os.sysconf("SC_CLK_TCK")


# ------------------------------------------------------------------ HTTP
class Api:
    """One endpoint; a connection of its own to each thread, kept while the
    server keeps it."""

    def __init__(self, base, headers):
        self.u = urlsplit(base.rstrip("/"))
        self.headers = headers
        self.local = threading.local()

    def __call__(self, method, path, body=None, version=None):
        h = dict(self.headers)
        if version:
            h["OpenStack-API-Version"] = "compute " + version
            h["X-OpenStack-Nova-API-Version"] = version
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            h["Content-Type"] = "application/json"
        for attempt in (0, 1):
            c = getattr(self.local, "c", None)
            fresh = c is None or c.sock is None
            if c is None:
                cls = (
                    http.client.HTTPSConnection
                    if self.u.scheme == "https"
                    else http.client.HTTPConnection
                )
                c = self.local.c = cls(self.u.hostname, self.u.port, timeout=120)
            try:
                c.request(method, self.u.path + path, body=data, headers=h)
                r = c.getresponse()
                raw = r.read()
                break
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                # a kept connection may have been closed under us: once more
                c.close()
                if fresh or attempt:
                    raise
        if r.headers.get("Content-Type", "").startswith("application/json"):
            return r.status, json.loads(raw or b"null"), r.headers
        return r.status, raw, r.headers


def connect(a):
    env = os.environ.get
    token, compute, image = env("OS_TOKEN"), env("BENCH_COMPUTE_URL"), None
    if not (token and compute):
        auth = {
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {
                        "user": {
                            "name": env("OS_USERNAME"),
                            "password": env("OS_PASSWORD"),
                            "domain": {"name": env("OS_USER_DOMAIN_NAME", "Default")},
                        }
                    },
                },
                "scope": {
                    "project": {
                        "name": env("OS_PROJECT_NAME"),
                        "domain": {"name": env("OS_PROJECT_DOMAIN_NAME", "Default")},
                    }
                },
            }
        }
        st, body, hdr = Api(os.environ["OS_AUTH_URL"], {})("POST", "/auth/tokens", auth)
        assert st == 201, (st, body)
        token = hdr["X-Subject-Token"]

        def endpoint(kind):
            for s in body["token"]["catalog"]:
                if s["type"] == kind:
                    for e in s["endpoints"]:
                        if e["interface"] == "public":
                            return e["url"]

        compute = compute or endpoint("compute")
        image = endpoint("image")
    h = {"X-Auth-Token": token, "Accept": "application/json"}
    nova = Api(compute, h)
    image_id, flavor_id = env("BENCH_IMAGE_ID"), env("BENCH_FLAVOR_ID")
    if not image_id:
        if not image.rstrip("/").endswith("/v2"):
            image = image.rstrip("/") + "/v2"
        st, b, _ = Api(image, h)(
            "GET", "/images?" + urlencode({"name": env("BENCH_IMAGE", "tiny")})
        )
        assert st == 200 and b["images"], (st, b)
        image_id = b["images"][0]["id"]
    if not flavor_id:
        st, b, _ = nova("GET", "/flavors", version="2.1")
        assert st == 200, (st, b)
        flavor_id = next(f["id"] for f in b["flavors"] if f["name"] == env("BENCH_FLAVOR", "tiny"))
    return nova, image_id, flavor_id, compute


# ------------------------------------------------------------------ figures
def dist(xs, unit=1000.0):
    """min, median, p95, max in ms."""
    if not xs:
        return None
    s = sorted(xs)
    p95 = s[min(len(s) - 1, int(round(0.95 * (len(s) - 1))))]
    return {
        k: round(v * unit, 2)
        for k, v in (("min", s[0]), ("median", statistics.median(s)), ("p95", p95), ("max", s[-1]))
    } | {"n": len(s)}


def processes():
    """{name: [pid, ...]}: the pid files' processes and their descendants."""
    d = os.environ.get("BENCH_PID_DIR")
    if not d or not os.path.isdir(d):
        return {}
    kids = {}
    for p in os.listdir("/proc"):
        if p.isdigit():
            try:
                with open(f"/proc/{p}/stat") as f:
                    ppid = f.read().rsplit(")", 1)[1].split()[1]
            except OSError:
                continue
            kids.setdefault(ppid, []).append(p)
    out = {}
    for f in sorted(os.listdir(d)):
        if f.endswith(".pid"):
            with open(os.path.join(d, f)) as fh:
                todo = [fh.read().strip()]
            pids = []
            while todo:
                p = todo.pop()
                if os.path.exists(f"/proc/{p}"):
                    pids.append(p)
                    todo += kids.get(p, [])
            out[f[:-4]] = pids
    return out


def cpu_of(procs):
    out = {}
    for name, pids in procs.items():
        t = 0
        for p in pids:
            try:
                with open(f"/proc/{p}/stat") as f:
                    x = f.read().rsplit(")", 1)[1].split()
                t += int(x[11]) + int(x[12])
            except OSError:
                pass
        out[name] = t / TICK
    return out


def memory():
    """RSS and PSS (shared pages split among their users) in MiB, by name."""
    out = {}
    for name, pids in processes().items():
        rss = pss = 0
        for p in pids:
            try:
                with open(f"/proc/{p}/smaps_rollup") as f:
                    for line in f:
                        if line.startswith("Rss:"):
                            rss += int(line.split()[1])
                        elif line.startswith("Pss:"):
                            pss += int(line.split()[1])
            except OSError:
                pass
        out[name] = {
            "rss_mib": round(rss / 1024, 1),
            "pss_mib": round(pss / 1024, 1),
            "processes": len(pids),
        }
    return out


def machine_busy():
    with open("/proc/stat") as f:
        x = [int(v) for v in f.readline().split()[1:]]
    return (sum(x[:8]) - x[3] - x[4]) / TICK  # without idle, iowait


def probe():
    cmd = os.environ.get("BENCH_PROBE")
    if not cmd:
        return {}
    return json.loads(
        subprocess.run(cmd, shell=True, check=True, text=True, stdout=subprocess.PIPE).stdout
    )


class Step:
    """The surroundings of one step: load average before, CPU seconds by
    whom, errors."""

    def __init__(self, name, results, probed=False):
        self.name, self.results, self.probed = name, results, probed
        self.figures, self.errors = {}, []

    def __enter__(self):
        print(f"  {self.name} ...", file=sys.stderr, flush=True)
        self.figures["loadavg_before"] = os.getloadavg()[0]
        if self.probed:
            self.c0 = probe()
        self.procs = processes()
        self.m0, self.s0 = machine_busy(), time.process_time()
        self.p0, self.t0 = cpu_of(self.procs), now()
        return self

    def stop(self):
        """End of what is timed; verification after this costs nothing."""
        if "step_wall_s" in self.figures:
            return
        wall = now() - self.t0
        cpu = {k: v - self.p0[k] for k, v in cpu_of(self.procs).items()}
        busy, own = machine_busy() - self.m0, time.process_time() - self.s0
        f = self.figures
        f["step_wall_s"] = round(wall, 3)
        f["client_cpu_s"] = round(own, 2)
        if cpu:
            f["cloud_cpu_s"] = round(sum(cpu.values()), 2)
            f["cloud_cpu_s_by"] = {k: round(v, 2) for k, v in cpu.items()}
            f["other_cpu_cores"] = round(max(0, busy - own - sum(cpu.values())) / wall, 3)
        if self.probed:
            c1 = probe()
            f["counters"] = {k: c1[k] - self.c0[k] for k in c1 if k in self.c0}

    def __exit__(self, *exc):
        self.stop()
        self.figures["errors"] = len(self.errors)
        if self.errors:
            self.figures["error_samples"] = self.errors[:5]
        self.results[self.name] = self.figures


def parallel(clients, items, fn):
    """fn(item) for all items in `clients` threads; [(result, seconds)]."""
    it, lock, out = iter(items), threading.Lock(), []

    def work():
        while True:
            with lock:
                try:
                    x = next(it)
                except StopIteration:
                    return
            t = now()
            try:
                r = fn(x)
            except Exception as e:  # counted by the caller
                r = e
            dt = now() - t
            with lock:
                out.append((r, dt))

    ts = [threading.Thread(target=work) for _ in range(clients)]
    [t.start() for t in ts]
    [t.join() for t in ts]
    return out


# ------------------------------------------------------------------ the cloud
class Bench:
    def __init__(self, a):
        self.a = a
        self.nova, self.image, self.flavor, self.url = connect(a)
        self.v = a.microversion
        self.res = {}
        self.serial = itertools.count()

    def body(self, name, **more):
        return {
            "server": {
                "name": name,
                "imageRef": self.image,
                "flavorRef": self.flavor,
                "networks": "none",
                **more,
            }
        }

    def boot(self, name, **more):
        st, b, _ = self.nova("POST", "/servers", self.body(name, **more), self.v)
        if st != 202:
            raise RuntimeError(f"POST /servers: {st} {b}")
        return b["server"]["id"]

    def get(self, sid):
        st, b, _ = self.nova("GET", "/servers/" + sid, version=self.v)
        if st != 200:
            raise RuntimeError(f"GET server: {st} {b}")
        return b["server"]

    def listing(self, path="/servers/detail", version=None, **q):
        q.setdefault("limit", 1000)
        st, b, _ = self.nova("GET", path + "?" + urlencode(q), version=version or self.v)
        if st != 200:
            raise RuntimeError(f"GET {path}: {st} {b}")
        return b["servers"]

    def poll_until(self, sid, want, t0, step=None):
        """GET the server every 20 ms until its status is `want`."""
        while True:
            s = self.get(sid)
            if s["status"] == want and not s.get("OS-EXT-STS:task_state"):
                return now() - t0
            if s["status"] == "ERROR":
                raise RuntimeError(f"{sid} went to ERROR: {s.get('fault')}")
            if now() - t0 > self.a.timeout:
                raise RuntimeError(f"{sid} not {want} after {self.a.timeout}s")
            time.sleep(0.02)

    @staticmethod
    def backoff(t0):
        # fine for a fast cloud, and no load worth mention on a slow one
        time.sleep(min(0.5, max(0.02, 0.03 * (now() - t0))))

    def all_built(self, n, t0):
        """Wait until no server is in BUILD and n are there; the time of the
        answer that said so."""
        while True:
            # one server at most: the watching must cost the cloud little
            left = self.listing(status="BUILD", limit=1)
            if left and left[0]["status"] != "BUILD":  # filter ignored
                left = [s for s in self.listing() if s["status"] == "BUILD"]
            t = now() - t0
            if not left and len(self.listing("/servers")) >= n:
                return t
            if t > self.a.timeout:
                raise RuntimeError("still in BUILD")
            self.backoff(t0)

    def verify(self, step, n, status="ACTIVE"):
        """Every one of the n servers must be in `status`, truly."""
        got = self.listing()
        if len(got) != n:
            step.errors.append(f"{len(got)} servers listed, not {n}")
        for s in got:
            if (
                s["status"] != status
                or s["OS-EXT-STS:vm_state"] != {"ACTIVE": "active", "SHUTOFF": "stopped"}[status]
            ):
                step.errors.append(f"{s['id']} is {s['status']}: {s.get('fault')}")
        return [s["id"] for s in got]

    def delete_all(self, ids, step):
        def one(sid):
            st, b, _ = self.nova("DELETE", "/servers/" + sid, version=self.v)
            if st != 204:
                raise RuntimeError(f"DELETE: {st} {b}")

        t0 = now()
        done = parallel(self.a.clients, ids, one)
        accepted = now() - t0
        step.errors += [str(r) for r, _ in done if isinstance(r, Exception)]
        while self.listing("/servers", limit=1):
            if now() - t0 > self.a.timeout:
                step.errors.append("not all gone in time")
                break
            self.backoff(t0)
        return [d for _, d in done], accepted, now() - t0

    # -------------------------------------------------------------- steps
    def idle(self):
        with Step("idle", self.res, probed=True):
            time.sleep(self.a.idle)

    def single(self):
        post, active = [], []
        ids = []
        with Step("1_single_boot", self.res) as st:
            for i in range(self.a.single):
                t0 = now()
                try:
                    sid = self.boot(f"single-{i}")
                    post.append(now() - t0)
                    ids.append(sid)
                    active.append(self.poll_until(sid, "ACTIVE", t0))
                except Exception as e:
                    st.errors.append(str(e))
            st.stop()
            self.verify(st, self.a.single)
            st.figures |= {"post_ms": dist(post), "post_to_active_ms": dist(active)}
            self.delete_all(ids, st)

    def burst(self):
        n = self.a.burst
        with Step("3_burst", self.res, probed=True) as st:
            t0 = now()
            self.boot("burst", min_count=n, max_count=n)
            accepted = now() - t0
            wall = self.all_built(n, t0)
            st.stop()
            ids = self.verify(st, n)
            st.figures |= {
                "servers": n,
                "post_ms": round(accepted * 1e3, 1),
                "all_active_s": round(wall, 3),
                "boots_per_s": round(n / wall, 2),
            }
            self.delete_all(ids, st)

    def sustained(self):
        n = self.a.servers
        with Step("2_sustained", self.res, probed=True) as st:
            t0 = now()
            done = parallel(self.a.clients, range(n), lambda i: self.boot(f"s-{i}"))
            accepted = now() - t0
            wall = self.all_built(n, t0)
            st.stop()
            st.errors += [str(r) for r, _ in done if isinstance(r, Exception)]
            self.ids = self.verify(st, n)
            f = st.figures
            f |= {
                "servers": n,
                "clients": self.a.clients,
                "post_ms": dist([d for _, d in done]),
                "all_accepted_s": round(accepted, 3),
                "all_active_s": round(wall, 3),
                "boots_per_s": round(n / wall, 2),
            }
            if "cloud_cpu_s" in f:
                f["cloud_cpu_ms_per_boot"] = round(f["cloud_cpu_s"] / n * 1e3, 1)
                f["cloud_cpu_ms_per_boot_by"] = {
                    k: round(v / n * 1e3, 1) for k, v in f["cloud_cpu_s_by"].items()
                }
            if f.get("counters"):
                f["counters_per_boot"] = {k: round(v / n, 1) for k, v in f["counters"].items()}
        self.res["memory"] = memory()

    def timed(self, n, fn):
        out = []
        for _ in range(n):
            t = now()
            fn()
            out.append(now() - t)
        return out

    def reads(self):
        n = self.a.servers
        with Step("4_reads", self.res) as st:
            f = st.figures

            def detail(version):
                got = self.listing(version=version)
                if len(got) != n:
                    st.errors.append(f"{len(got)} in the list, not {n}")

            sid = itertools.cycle(self.ids)
            for v in ("2.1", self.v):
                detail(v)  # not the first, cold one
                f[f"list_detail_{n}_v{v}_ms"] = dist(self.timed(self.a.reads, lambda: detail(v)))
            f["list_50_detail_ms"] = dist(self.timed(self.a.reads, lambda: self.listing(limit=50)))
            f["get_one_ms"] = dist(self.timed(self.a.reads * 5, lambda: self.get(next(sid))))
        with Step("4_reads_concurrent", self.res) as st:
            end = now() + self.a.seconds
            t0 = now()

            def loop(k):
                mine, lat = itertools.cycle(self.ids[k :: self.a.clients]), []
                while now() < end:
                    x = next(mine)
                    t = now()
                    if self.get(x)["id"] != x:
                        st.errors.append("another server answered")
                    lat.append(now() - t)
                return lat

            done = parallel(self.a.clients, range(self.a.clients), loop)
            wall = now() - t0
            st.stop()
            st.errors += [str(r) for r, _ in done if isinstance(r, Exception)]
            lat = [x for r, _ in done if isinstance(r, list) for x in r]
            st.figures |= {"get_one_ms": dist(lat), "get_one_per_s": round(len(lat) / wall, 1)}

    def actions(self):
        stop, start, stop_post, start_post = [], [], [], []
        with Step("5_actions", self.res) as st:
            for sid in self.ids[: self.a.actions]:
                for verb, want, post, full in (
                    ("os-stop", "SHUTOFF", stop_post, stop),
                    ("os-start", "ACTIVE", start_post, start),
                ):
                    t0 = now()
                    try:
                        s, b, _ = self.nova("POST", f"/servers/{sid}/action", {verb: None}, self.v)
                        if s != 202:
                            raise RuntimeError(f"{verb}: {s} {b}")
                        post.append(now() - t0)
                        full.append(self.poll_until(sid, want, t0))
                    except Exception as e:
                        st.errors.append(str(e))
            st.stop()
            self.verify(st, self.a.servers)
            s, b, _ = self.nova(
                "GET", f"/servers/{self.ids[0]}/os-instance-actions", version=self.v
            )
            verbs = sorted(x["action"] for x in b["instanceActions"])
            if verbs != ["create", "start", "stop"]:
                st.errors.append(f"os-instance-actions: {verbs}")
            st.figures |= {
                "stop_post_ms": dist(stop_post),
                "stop_to_shutoff_ms": dist(stop),
                "start_post_ms": dist(start_post),
                "start_to_active_ms": dist(start),
            }

    def delete(self):
        n = len(self.ids)
        with Step("6_delete", self.res, probed=True) as st:
            each, accepted, wall = self.delete_all(self.ids, st)
            st.stop()
            st.figures |= {
                "servers": n,
                "delete_ms": dist(each),
                "all_accepted_s": round(accepted, 3),
                "all_gone_s": round(wall, 3),
                "deletes_per_s": round(n / wall, 2),
            }
            for sid in self.ids[:5]:
                s, _, _ = self.nova("GET", "/servers/" + sid, version=self.v)
                if s != 404:
                    st.errors.append(f"deleted server answers {s}")

    def run(self):
        left = [s["id"] for s in self.listing("/servers")]
        if left and not self.a.clean:
            sys.exit(f"{len(left)} servers exist in this project; --clean deletes them first")
        with Step("0_warmup", self.res) as st:
            if left:
                self.delete_all(left, st)
            # every worker has answered once: caches, imports, connections
            ids = [
                r for r, _ in parallel(self.a.clients, range(8), lambda i: self.boot(f"warm-{i}"))
            ]
            st.errors += [str(r) for r in ids if isinstance(r, Exception)]
            self.all_built(len(ids), now())
            ids = self.verify(st, len(ids))
            [self.get(x) for x in ids]
            self.delete_all(ids, st)
        self.idle()
        self.single()
        self.burst()
        self.sustained()
        self.reads()
        self.actions()
        self.delete()


def table(r):
    def d(x):
        return (
            f"{x['median']:9.1f} median {x['min']:9.1f} min {x['p95']:9.1f} p95  ms (n={x['n']})"
            if x
            else "-"
        )

    s = r["steps"]
    rows = []

    def row(step, what, value):
        f = s[step]
        rows.append(
            (what, value, f"{f['loadavg_before']:.2f}", f.get("other_cpu_cores", ""), f["errors"])
        )

    row("1_single_boot", "1 boot: POST", d(s["1_single_boot"]["post_ms"]))
    row("1_single_boot", "1 boot: POST -> ACTIVE", d(s["1_single_boot"]["post_to_active_ms"]))
    x = s["2_sustained"]
    row(
        "2_sustained",
        f"2 {x['servers']} boots, {x['clients']} clients",
        f"{x['boots_per_s']:9.2f} boots/s; all ACTIVE {x['all_active_s']} s, "
        f"all accepted {x['all_accepted_s']} s",
    )
    row("2_sustained", "2 POST under that load", d(x["post_ms"]))
    if "cloud_cpu_ms_per_boot" in x:
        row("2_sustained", "7 cloud CPU per boot", f"{x['cloud_cpu_ms_per_boot']:9.1f} ms")
    x = s["3_burst"]
    row(
        "3_burst",
        f"3 one POST, max_count={x['servers']}",
        f"{x['all_active_s']:9.2f} s to all ACTIVE (POST {x['post_ms']} ms); "
        f"{x['boots_per_s']} boots/s",
    )
    x = s["4_reads"]
    for k in x:
        if k.endswith("_ms"):
            row("4_reads", "4 " + k[:-3], d(x[k]))
    x = s["4_reads_concurrent"]
    row("4_reads_concurrent", "4 GET one, concurrent", f"{x['get_one_per_s']:9.1f} req/s;")
    row("4_reads_concurrent", "4 GET one, concurrent", d(x["get_one_ms"]))
    x = s["5_actions"]
    row("5_actions", "5 os-stop POST", d(x["stop_post_ms"]))
    row("5_actions", "5 os-stop -> SHUTOFF", d(x["stop_to_shutoff_ms"]))
    row("5_actions", "5 os-start -> ACTIVE", d(x["start_to_active_ms"]))
    x = s["6_delete"]
    row(
        "6_delete",
        f"6 delete {x['servers']}",
        f"{x['deletes_per_s']:9.2f} deletes/s; all gone {x['all_gone_s']} s",
    )
    if s.get("memory"):
        m = s["memory"]
        rows.append(
            (
                "7 memory of the cloud",
                "%9.0f MiB RSS, %.0f MiB PSS, "
                "%d processes"
                % tuple(sum(v[k] for v in m.values()) for k in ("rss_mib", "pss_mib", "processes")),
                "",
                "",
                "",
            )
        )
    print(f"{'what':30} {'figure':70} {'load':>6} {'other':>6} {'err':>4}")
    for w, v, load, other, err in rows:
        print(f"{w:30} {v:70} {load:>6} {other!s:>6} {err!s:>4}")
    print(
        "load: load average as the step began (the steps before are in it); "
        "other: CPU cores used by neither cloud nor client"
    )


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (
        ("servers", 200),
        ("clients", 8),
        ("single", 20),
        ("burst", 50),
        ("reads", 20),
        ("actions", 20),
        ("timeout", 900),
        ("idle", 10),
        ("seconds", 5),
    ):
        p.add_argument("--" + name, type=int, default=default)
    p.add_argument("--microversion", default="2.90")
    p.add_argument("--clean", action="store_true", help="delete the project's servers first")
    p.add_argument("--label", default="")
    p.add_argument("--out", help="write the JSON object here too")
    a = p.parse_args()
    b = Bench(a)
    start = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    load0, t0 = os.getloadavg(), now()
    b.run()
    r = {
        "label": a.label,
        "compute_url": b.url,
        "started": start,
        "host": socket.gethostname(),
        "cores": os.cpu_count(),
        "microversion": a.microversion,
        "loadavg_start": load0,
        "loadavg_end": os.getloadavg(),
        "wall_s": round(now() - t0, 1),
        "args": vars(a),
        "steps": b.res,
    }
    print(json.dumps(r))
    if a.out:
        with open(a.out, "w") as f:
            json.dump(r, f, indent=1)
    print()
    table(r)
    bad = sum(s.get("errors", 0) for s in b.res.values())
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
