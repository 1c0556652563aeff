using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main), (name = "disk", disk = (path = "/tmp", writable = true))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.js")],
  compatibilityDate = "2026-04-10",
  durableObjectNamespaces = [(className = "Fanout", uniqueKey = "fanout"), (className = "FanoutHibernating", uniqueKey = "fanout-hibernating")],
  durableObjectStorage = (inMemory = void),
  bindings = [(name = "FANOUT", durableObjectNamespace = "Fanout"), (name = "FANOUT_HIBERNATING", durableObjectNamespace = "FanoutHibernating")],
);
