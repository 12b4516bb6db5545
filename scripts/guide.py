"""What a person needs while the capture runs, told by mitmdump when it takes connections and nothing has gone wrong.

`scripts/capture` loads it behind the addon, which has ended mitmdump by then if it cannot capture.
"""

from pathlib import Path

from mitmproxy import ctx


def running() -> None:
    """Tell how to use the proxy; where it reads saved flows only, where they go."""
    options, proxyserver = ctx.options, ctx.master.addons.get("proxyserver")  # type: ignore[no-untyped-call]
    certificate = Path(options.confdir).expanduser() / "mitmproxy-ca-cert.pem"
    database = ("Database", str(Path(options.chatgpt_db).expanduser().absolute()))
    facts = [
        *(("Proxy", f"set the browser's HTTP and HTTPS proxy to {address[0]}, port {address[1]}")
          for address in proxyserver.listen_addrs()),
        ("Certificate", f"once: open http://mitm.it through the proxy, or import {certificate}"),
        database,
        ("Stop", "Ctrl-C"),
    ]  # fmt: skip
    shown = facts if options.server else [database]
    print("\n" + "".join(f"  {name:<13}{told}\n" for name, told in shown), flush=True)
