"""Every way known to us of writing an address that a foreign link must not lead to: one table for every place that
follows links. Sources: OWASP's cheat sheet on server-side request forgery, and the special-purpose registries of IANA.
"""

from __future__ import annotations

# By kind: hosts as they stand in a URL.
HOSTS: dict[str, tuple[str, ...]] = {
    "loopback": ("127.0.0.1", "127.0.0.2", "127.255.255.254", "0.0.0.0", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]"),
    "decimal": ("2130706433", "2852039166", "3232235521", "1684301000", "0", "4294967295"),
    "octal": ("017700000001", "0177.0.0.1", "0177.1", "00000177.0.0.1", "0251.0376.0251.0376", "025177524776", "00"),
    "hex": ("0x7f000001", "0x7f.0.0.1", "0x7f.1", "0X7F.0.0.1", "0xa9fea9fe", "0xa9.254.0xa9fe", "0x0"),
    "short": ("127.1", "127.0.1", "10.1", "192.168.1", "172.1048577", "169.254.43518"),
    "mixed": ("127.0x1", "0177.0x0.0.1", "0x7f.1.", "127.1.", "2130706433."),
    "trailing dot": ("127.0.0.1.", "127.0.0.1..", "169.254.169.254.", "localhost.", "inner.localhost."),
    "private": ("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "localhost", "LOCALHOST", "a.localhost"),
    "carrier-grade NAT": ("100.64.0.1", "100.127.255.255"),
    "AS112": ("192.31.196.1", "192.175.48.1", "[2620:4f:8000::1]", "[2001:4:112::1]"),
    "relays": ("192.52.193.1", "192.88.99.1"),
    "not unicast": ("224.0.0.1", "240.0.0.1", "255.255.255.255", "[ff02::1]"),
    "documentation and benchmarks": (
        *("192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "[2001:db8::1]", "[3fff::1]", "[2001:2::1]"),
    ),
    "metadata of AWS": ("169.254.169.254", "[fd00:ec2::254]", "169.254.170.2"),
    "metadata of Google": ("[fd20:ce::254]",),
    "metadata of Azure": ("168.63.129.16",),
    "metadata of Alibaba": ("100.100.100.200",),
    "metadata of Oracle": ("192.0.0.192",),
    "mapped": (
        *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:127.0.0.1]", "[0:0:0:0:0:ffff:127.0.0.1]"),
        *("[::ffff:169.254.169.254]", "[::ffff:10.0.0.1]"),
    ),
    "v4-compatible": ("[::127.0.0.1]", "[::7f00:1]", "[::10.0.0.1]"),
    "v4-translated": ("[::ffff:0:127.0.0.1]", "[::ffff:0:7f00:1]"),
    "NAT64": ("[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[64:ff9b::a9fe:a9fe]"),
    "6to4": ("[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2002:a00:1::808:808]"),
    "Teredo": ("[2001::1]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]"),
    "ISATAP": ("[2606:4700::5efe:10.0.0.1]", "[2606:4700::200:5efe:7f00:1]", "[2002:101:101::5efe:a00:1]"),
    "site-local": ("[fec0::1]",),
    "unique local": ("[fc00::1]", "[fd00::1]", "[fdff::1]"),
    "link-local": ("[fe80::1]", "[fe80::1%25eth0]", "[fe80::1%eth0]", "[fe80::1%251]"),
    "zone": ("[2606:4700::1111%25eth0]",),
    "out of use": ("[3ffe::1]", "[5f00::1]", "[100::1]"),
    "user name": (
        "films.example@127.0.0.1",
        "films.example:443@127.0.0.1",
        "127.0.0.1@films.example",
        "@films.example",
    ),
    "backslash": ("films.example\\@127.0.0.1", "127.0.0.1\\.films.example", "films.example\\"),
    "fullwidth digits": ("１２７.0.0.1", "１２７．０．０．１", "①②⑦.⓪.⓪.①", "١٢٧.٠.٠.١"),
    "fullwidth dots": ("127。0。0。1", "127．0．0．1", "127｡0｡0｡1"),
    "other letters": (
        "ｌｏｃａｌｈｏｓｔ",
        "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
        "lo\u00adcalhost",
        "127.0.0.1\u200b",
        "films.example／.127.0.0.1",
    ),
    "percent": (
        *(
            "%31%32%37.0.0.1",
            "127%2e0%2e0%2e1",
            "loc%61lhost",
            "films.example%40127.0.0.1",
            "127.0.0.1%2f.films.example",
        ),
        *("127.0.0.1%00.films.example", "films.example%23@127.0.0.1"),
    ),
    "no address after all": (
        "4294967296",
        "0x64646464c8",
        "1.2.3.4.5",
        "1..1",
        "0x",
        "256.256.256.256",
        "[::1]x",
        "[::1",
    ),
    "port": ("films.example:22", "films.example:443:80", "films.example:+443", "films.example:４４３", "127.0.0.1:443"),
    "space": (" 127.0.0.1", "127.0.0.1\t", "films.example\r\nHost:inner", "films.example\u0085"),
}

# What a resolver may answer for an innocent name.
ADDRESSES = (
    *("127.0.0.1", "10.0.0.1", "192.168.0.1", "169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    *("100.64.0.1", "192.175.48.1", "192.31.196.1", "0.0.0.0", "::1", "::ffff:127.0.0.1", "::127.0.0.1"),
    *("::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "fec0::1", "fd00:ec2::254", "fe80::1%lo"),
    *("3ffe::1", "2620:4f:8000::1", "2606:4700::5efe:10.0.0.1", "64:ff9b:1::7f00:1"),
)

URLS = [f"https://{host}/a" for hosts in HOSTS.values() for host in hosts]
