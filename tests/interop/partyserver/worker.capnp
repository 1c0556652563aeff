using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main), (name = "state", disk = (writable = true))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.js")],
  compatibilityDate = "2026-04-10",
  durableObjectNamespaces = [
    (className = "Memory", uniqueKey = "memory", enableSql = true),
    (className = "Sleeper", uniqueKey = "sleeper", enableSql = true),
    (className = "Bare", uniqueKey = "bare", enableSql = true),
    (className = "Broken", uniqueKey = "broken", enableSql = true),
    (className = "Plain", uniqueKey = "plain", enableSql = true),
    (className = "Shaky", uniqueKey = "shaky", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "state"),
  bindings = [
    (name = "MEMORY_ROOM", durableObjectNamespace = "Memory"),
    (name = "SleepingRoom", durableObjectNamespace = "Sleeper"),
    (name = "HTTPServer", durableObjectNamespace = "Bare"),
    (name = "Broken", durableObjectNamespace = "Broken"),
    (name = "PlainRoom", durableObjectNamespace = "Plain"),
    (name = "ShakyRoom", durableObjectNamespace = "Shaky"),
  ],
);
