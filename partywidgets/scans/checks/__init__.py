"""The kinds of checks that a config may use, by their `type`. What a probe needs beyond the standard library is imported when it first
looks."""

from .base import CheckModel
from .dns import DnsCheck
from .docker import DockerCheck
from .domain import DomainCheck
from .exec import ExecCheck
from .file import FileCheck
from .function import FunctionCheck
from .heartbeat import HeartbeatCheck
from .host import HostCheck
from .http import HttpCheck
from .icmp import IcmpCheck
from .kubernetes import KubernetesCheck
from .log import LogCheck
from .promql import PromqlCheck
from .sql import SqlCheck
from .systemd import SystemdCheck
from .tcp import TcpCheck
from .tls import TlsCheck

CHECK_TYPES: dict[str, type[CheckModel]] = {
    "http": HttpCheck,
    "tcp": TcpCheck,
    "dns": DnsCheck,
    "tls": TlsCheck,
    "host": HostCheck,
    "exec": ExecCheck,
    "function": FunctionCheck,
    "heartbeat": HeartbeatCheck,
    "systemd": SystemdCheck,
    "sql": SqlCheck,
    "promql": PromqlCheck,
    "log": LogCheck,
    "icmp": IcmpCheck,
    "file": FileCheck,
    "docker": DockerCheck,
    "kubernetes": KubernetesCheck,
    "domain": DomainCheck,
}
